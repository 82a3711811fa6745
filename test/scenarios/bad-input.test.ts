import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { freePort, TestCluster } from "../harness/cluster.ts";
import { ensureTestImages } from "../images/images.ts";

/** Bad input gets one clear error: what, where, what to do. Nothing is lost, nothing hangs. */
let cluster: TestCluster;

beforeAll(async () => {
  await ensureTestImages();
  cluster = await TestCluster.start();
});
afterAll(() => cluster?.remove());

function file(name: string, text: string): string {
  const path = join(cluster.home, name);
  writeFileSync(path, text);
  return path;
}
const apply = (name: string, text: string) => cluster.cli(["apply", "-f", file(name, text)]);
const pod = (spec: string, name = "x") => `apiVersion: v1\nkind: Pod\nmetadata: {name: ${name}}\nspec: ${spec}\n`;
const GOOD = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: good}\ndata: {a: b}\n";

describe("a manifest that is wrong", () => {
  test("broken YAML: file, document and line; the other documents of the file are not half applied", async () => {
    const done = await apply("broken.yaml", `${GOOD}---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: [x\n`);
    expect(done.code).toBe(1);
    expect(done.stderr).toMatch(/broken\.yaml/);
    expect(done.stderr).toMatch(/document 2/);
    expect(done.stderr).toMatch(/line \d+/);
    expect(done.stderr.trim().split("\n").length).toBeLessThan(8);
  });

  test.each([
    [
      "an unknown kind",
      "apiVersion: v1\nkind: Pood\nmetadata: {name: x}\n",
      /no matches for kind "Pood" in version "v1"/,
    ],
    [
      "a kind of another group",
      "apiVersion: apps/v9\nkind: Pod\nmetadata: {name: x}\n",
      /no matches for kind "Pod" in version "apps\/v9"/,
    ],
    [
      "an unknown field",
      pod("{containers: [{name: a, image: busybox, imagee: y}]}"),
      /unknown field "spec\.containers\[0\]\.imagee"/,
    ],
    [
      "a field of the wrong type",
      pod("{containers: [{name: a, image: busybox, ports: [{containerPort: http}]}]}"),
      /containerPort/,
    ],
    ["a missing required field", pod("{containers: [{name: a}]}"), /spec\.containers\[0\]\.image: Required value/],
    ["no containers at all", pod("{}"), /spec\.containers: Required value/],
    [
      "an invalid name",
      pod("{containers: [{name: a, image: busybox}]}", "Not_Valid"),
      /metadata\.name: Invalid value: "Not_Valid".*lowercase RFC 1123/,
    ],
    [
      "an invalid quantity",
      pod("{containers: [{name: a, image: busybox, resources: {limits: {memory: lots}}}]}"),
      /quantities must match the regular expression/,
    ],
    [
      "an invalid image",
      pod("{containers: [{name: a, image: ' busybox'}]}"),
      /spec\.containers\[0\]\.image: Invalid value: " busybox": must not have leading or trailing whitespace/,
    ],
    ["no kind", "apiVersion: v1\nmetadata: {name: x}\n", /kind/],
    ["no name", "apiVersion: v1\nkind: ConfigMap\ndata: {a: b}\n", /name/],
  ])("%s", async (what, text, message) => {
    const done = await apply(`${what.replaceAll(/\W/g, "-")}.yaml`, text);
    expect(done.code).toBe(1);
    expect(done.stderr).toMatch(message);
    expect((await cluster.cli(["get", "pod", "x"])).stderr).toMatch(/not found/);
  });

  test("an image name that no registry could have: the Pod says InvalidImageName and waits", async () => {
    expect(
      (
        await apply(
          "image.yaml",
          pod("{terminationGracePeriodSeconds: 0, containers: [{name: a, image: 'UPPER:::bad'}]}", "badimage"),
        )
      ).code,
    ).toBe(0);
    const found = await cluster.untilPod(
      "badimage",
      (p) => p.status?.containerStatuses?.[0]?.state?.waiting?.reason === "InvalidImageName",
    );
    expect(found.status?.phase).toBe("Pending");
    await cluster.cliOk(["delete", "pod", "badimage"]);
  });

  test("several documents: the good ones are applied, each bad one is named", async () => {
    const done = await apply("mixed.yaml", `${GOOD}---\n${pod("{}", "bad")}---\n${GOOD.replace("good", "good2")}`);
    expect(done.code).toBe(1);
    expect(done.stdout).toBe("configmap/good created\nconfigmap/good2 created\n");
    expect(done.stderr).toMatch(/"bad" is invalid/);
  });

  test("10 MB: refused in one sentence, by kubectl's server too", async () => {
    const big = `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: big}\ndata:\n  a: ${"x".repeat(10_000_000)}\n`;
    const ours = await apply("big.yaml", big);
    expect(ours.code).toBe(1);
    expect(ours.stderr).toMatch(/big\.yaml: document 1.*9\.5 MB large; the API server takes at most 3 MB/);
    expect(ours.stderr.length).toBeLessThan(2_000);
    const theirs = await cluster.kubectl(["create", "-f", join(cluster.home, "big.yaml")]);
    expect(theirs.code).toBe(1);
    expect(theirs.stderr).toMatch(/too large|Too long|limit/i);
    expect((await cluster.cliOk(["get", "cm", "good", "-o", "name"])).trim()).toBe("configmap/good");
  });

  test("a file that is not there, and a directory without manifests", async () => {
    const gone = await cluster.cli(["apply", "-f", join(cluster.home, "no-such.yaml")]);
    expect(gone).toMatchObject({ code: 1 });
    expect(gone.stderr).toMatch(/no-such\.yaml.*does not exist/);
  });
});

describe("a server that is not there", () => {
  const away = async (port: number) => {
    const config = join(cluster.home, "away");
    const text = await import("node:fs/promises").then((fs) => fs.readFile(cluster.kubeconfig, "utf8"));
    writeFileSync(config, text.replace(/server: .*/, `server: https://127.0.0.1:${port}`));
    return config;
  };

  test("refused at once, with the next step", async () => {
    const done = await cluster.cli(["get", "pods", "--kubeconfig", await away(await freePort())]);
    expect(done.code).toBe(1);
    expect(done.stderr).toMatch(/refused/);
    expect(done.stderr).toMatch(/mini-kube up/);
  });

  test("one that never answers does not hang the client", async () => {
    const silent = createServer(() => {});
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const address = silent.address();
    const port = typeof address === "object" ? (address?.port ?? 0) : 0;
    const done = await cluster.cli(["get", "pods", "--request-timeout=2s", "--kubeconfig", await away(port)]);
    silent.close();
    expect(done.code).toBe(1);
    expect(done.stderr).not.toBe("");
  });

  test("no kubeconfig at all: told where it was looked for, and how to get one", async () => {
    const done = await cluster.cli(["get", "pods"], {
      env: { ...cluster.env, MINI_KUBE_HOME: join(cluster.home, "nowhere") },
    });
    expect(done.code).toBe(1);
    expect(done.stderr).toMatch(/nowhere\/kubeconfig[\s\S]*mini-kube up/);
  });
});

describe("a command that is wrong", () => {
  test("an unknown command suggests the right one; help goes to the reader, not to a script", async () => {
    const typo = await cluster.cli(["aply", "-f", "x.yaml"]);
    expect(typo.code).toBe(1);
    expect(typo.stderr).toMatch(/apply/);
    const help = await cluster.cli([]);
    expect(help.stdout + help.stderr).toMatch(/mini-kube apply -f/);
  });

  test("up on a port in use, and with a store that does not exist", async () => {
    const port = await freePort();
    const blocker = createServer();
    await new Promise<void>((resolve) => blocker.listen(port, "127.0.0.1", resolve));
    const env = { ...cluster.env, MINI_KUBE_HOME: join(cluster.home, "other") };
    const busy = await cluster.cli(["up", "--port", String(port)], { env });
    blocker.close();
    expect(busy).toMatchObject({ code: 1 });
    expect(busy.stderr).toMatch(new RegExp(`port ${port} is in use.*--port`));
    const store = await cluster.cli(["up", "--store", "sqlite"], { env });
    expect(store).toMatchObject({ code: 1 });
    expect(store.stderr).toMatch(/--store sqlite: choose lmdb, memory or etcd/);
  });
});
