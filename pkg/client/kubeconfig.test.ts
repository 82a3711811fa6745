import { afterEach, describe, expect, test } from "@jest/globals";
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  fileKubeconfig,
  kubeconfigPlace,
  loadKubeconfig,
  mergeKubeconfig,
  readKubeconfig,
  resolveContext,
  singleKubeconfig,
  writeKubeconfig,
} from "./kubeconfig.ts";

const dir = mkdtempSync(join(tmpdir(), "mini-kube-kubeconfig-"));
afterEach(() => rmSync(dir, { recursive: true, force: true }));

describe("where it is looked for", () => {
  const userHome = "/home/u";
  test.each<[string, { flag?: string; env: Record<string, string> }, readonly string[]]>([
    ["the flag first", { flag: "/f", env: { KUBECONFIG: "/k" } }, ["/f"]],
    ["then the list in $KUBECONFIG", { env: { KUBECONFIG: "/a::/b", MINI_KUBE_HOME: "/m" } }, ["/a", "/b"]],
    ["then mini-kube's home", { env: { MINI_KUBE_HOME: "/m" } }, ["/m/kubeconfig"]],
    ["which is in the user's", { env: {} }, ["/home/u/.mini-kube/kubeconfig"]],
  ])("%s", (_title, o, files) => {
    expect(kubeconfigPlace({ ...o, userHome }).files).toEqual(files);
  });
});

const connection = { server: "https://127.0.0.1:6443", ca: "CA", cert: "CERT", key: "KEY" };

test("what is written is read back, by its owner only", () => {
  const file = join(dir, "deep", "kubeconfig");
  writeKubeconfig(file, singleKubeconfig("mini", connection, "team"));
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const config = loadKubeconfig({ files: [join(dir, "missing"), file], required: false });
  expect(resolveContext(config)).toEqual({ name: "mini", namespace: "team", connection });
});

test("other servers of the same cluster are written and read back; kubectl sees but the first", () => {
  const several = { ...connection, others: ["https://10.0.0.2:6443", "https://10.0.0.3:6443"] };
  const config = singleKubeconfig("mini", several);
  expect(config.clusters?.[0]?.cluster.server).toBe("https://127.0.0.1:6443");
  expect(resolveContext(config).connection).toEqual(several);
});

test("a certificate that is renewed is in a file of its own, with its key", () => {
  mkdirSync(dir, { recursive: true });
  const pair = join(dir, "pair.pem");
  writeFileSync(pair, "CERT\nKEY\n");
  const { cert, key, ...rest } = resolveContext(fileKubeconfig("mini", connection, pair)).connection;
  expect(rest).toEqual({ server: connection.server, ca: "CA" });
  expect([cert, key]).toEqual(["CERT\nKEY\n", "CERT\nKEY\n"]);
});

test("merging keeps what is there, and the first current-context", () => {
  const merged = mergeKubeconfig(singleKubeconfig("b", connection), singleKubeconfig("a", connection));
  expect(merged.clusters?.map((c) => c.name)).toEqual(["a", "b"]);
  expect(merged["current-context"]).toBe("a");
  expect(resolveContext(merged, "b").name).toBe("b");
});

test("mistakes are named", () => {
  const place = kubeconfigPlace({ env: { MINI_KUBE_HOME: join(dir, "none") }, userHome: "/" });
  expect(() => loadKubeconfig(place)).toThrow(/there is no kubeconfig at .*\nstart a cluster with: mini-kube up/);
  expect(() => resolveContext(singleKubeconfig("a", connection), "b")).toThrow('context "b" does not exist');
  writeKubeconfig(join(dir, "k"), {});
  writeFileSync(join(dir, "k"), "clusters: [\n");
  expect(() => readKubeconfig(join(dir, "k"))).toThrow(/k: document 1, line 1/);
});
