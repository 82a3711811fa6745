import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { join } from "node:path";
import { ensureTestTools, kubectls } from "../../cmd/dev/test-tools.mjs";
import { ready, TestCluster } from "../harness/cluster.ts";
import { type Runner, type Step, takeSteps } from "../harness/command-table.ts";
import { run, Running, type RunOptions, runOk } from "../harness/process.ts";
import { ensureTestImages } from "../images/images.ts";
import * as manifests from "./kubectl/manifests.ts";
import * as table from "./kubectl/table.ts";

/**
 * Unmodified kubectls of many ages on one cluster: 1.27 (SPDY alone, the oldest discovery), 1.29 (WebSocket off), 1.31
 * (port-forward through WebSocket), 1.33 (protobuf bodies), 1.36 (lists by watch), each in a namespace of its own.
 */
let cluster: TestCluster;

beforeAll(async () => {
  await Promise.all([ensureTestTools(), ensureTestImages()]);
  cluster = await TestCluster.start();
}, 600_000);
afterAll(() => cluster?.remove());

class Kubectl implements Runner {
  readonly namespace: string;
  readonly dir: string;
  readonly #path: string;

  constructor(minor: string) {
    this.#path = kubectls[minor] ?? "";
    this.namespace = `v${minor.replace(".", "")}`;
    this.dir = join(cluster.home, this.namespace);
    mkdirSync(this.dir);
    const files = {
      "app.yaml": manifests.APP,
      "app2.yaml": manifests.APP.replaceAll("blue", "red").replace(', size: "3"', ""),
      "list.yaml": manifests.LIST,
      "owned.yaml": manifests.OWNED,
      "owned2.yaml": manifests.OWNED.replace(/^data: .*/m, 'data: { x: "2" }'),
      "owned3.yaml": manifests.OWNED.replace(/^data: .*/m, 'data: { z: "3" }'),
      "pod.yaml": manifests.POD,
      "csr.yaml": manifests.SIGNING_REQUEST,
      "crd.yaml": manifests.CRD,
      "widget.yaml": manifests.WIDGET,
      "every-kind.yaml": manifests.EVERY_KIND,
      "kustomization.yaml": "configMapGenerator: [{ name: kustomized, literals: [a=b] }]\n",
      "cp.txt": "to be copied\n",
    };
    for (const [name, text] of Object.entries(files)) {
      writeFileSync(join(this.dir, name), text.replaceAll("$NS", this.namespace));
    }
    // What `kubectl edit` calls.
    writeFileSync(join(this.dir, "editor.sh"), "#!/bin/sh\nsed -i 's/colour: blue/colour: green/' \"$1\"\n", {
      mode: 0o755,
    });
  }

  get #options() {
    // The cache of discovery is per home; two versions write it differently.
    return { env: { ...cluster.env, HOME: this.dir, KUBE_EDITOR: join(this.dir, "editor.sh") }, cwd: this.dir };
  }

  #args = (args: readonly string[]) => ["--kubeconfig", cluster.kubeconfig, "-n", this.namespace, ...args];

  run(args: readonly string[], o: RunOptions = {}) {
    return run(this.#path, this.#args(args), { ...this.#options, ...o });
  }

  ok(...args: readonly string[]): Promise<string> {
    return runOk(this.#path, this.#args(args), this.#options);
  }

  running(...args: readonly string[]): Running {
    return new Running(this.#path, this.#args(args), this.#options);
  }
}

describe.each(Object.keys(kubectls))("kubectl %s", (minor) => {
  let k: Kubectl;
  const assertSteps = async (group: readonly Step[]) => expect(await takeSteps(k, group)).toBe(group.length);

  beforeAll(async () => {
    k = new Kubectl(minor);
    await k.ok("create", "namespace", k.namespace);
    await k.ok("apply", "-f", "pod.yaml");
  });

  test("creates one of each", () => assertSteps(table.CREATE));
  test("gets them in every form", () => assertSteps(table.GET));
  test("describes one of every kind", async () => {
    await k.ok("apply", "-f", "every-kind.yaml");
    const wanted = table.DESCRIBED.map((name) => name.replaceAll("$NS", k.namespace));
    const said = await Promise.all(
      ["cm/cm1", ...wanted].map(async (name) => {
        const done = await k.run(["describe", name]);
        const title = new RegExp(`^Name:\\s+${name.split("/")[1] ?? ""}\\n`, "m");
        return done.code === 0 && title.test(done.stdout) ? "" : `${name}: ${done.stdout}${done.stderr}`;
      }),
    );
    expect(said.filter((text) => text !== "")).toEqual([]);
  });
  test("modifies them", () => assertSteps(table.MODIFY));
  test("applies, on the client's side and on the server's", () => assertSteps(table.APPLY));
  test("custom resources", () => assertSteps(table.CUSTOM));
  test("who may what", async () => {
    await assertSteps(table.AUTH);
    await assertSteps(minor === "1.27" ? [] : table.WHOAMI);
    const token = (await k.ok("create", "token", "robot")).trim();
    // A certificate would win: the token must be all there is.
    const server = /server: (\S+)/.exec(readFileSync(cluster.kubeconfig, "utf8"))?.[1] ?? "";
    const bare = ["--server", server, "--insecure-skip-tls-verify", "--token", token, "--kubeconfig", "/dev/null"];
    expect(await k.ok("get", "cm", "cm1", "-o", "name", ...bare)).toBe("configmap/cm1\n");
    expect((await k.run(["get", "cm", "cm1", ...bare.with(4, "nonsense")])).stderr).toMatch(/Unauthorized|logged in/);
  });
  test("nodes and discovery", () => assertSteps(table.NODE));
  test("a certificate is approved", () => assertSteps(table.CERTIFICATE));

  test("logs, exec, cp and proxies", async () => {
    await cluster.untilPod("box", ready, k.namespace);
    await assertSteps(table.STREAMS);
    expect(readFileSync(join(k.dir, "back.txt"), "utf8")).toBe("to be copied\n");
    const cat = await k.run(["exec", "-i", "box", "-c", "side", "--", "cat"], { input: "one\ntwo\n" });
    expect(cat.stdout).toBe("one\ntwo\n");
    const big = await k.run(["exec", "-i", "box", "-c", "side", "--", "wc", "-c"], { input: "x".repeat(1_000_000) });
    expect(big.stdout.trim()).toBe("1000000");
  });

  test("port-forward, attach, proxy, get -w, run -i", async () => {
    await cluster.untilPod("box", ready, k.namespace);
    const forward = k.running("port-forward", "pod/box", ":8080");
    const [, port = ""] = await forward.until(/Forwarding from 127\.0\.0\.1:(\d+) -> 8080/);
    expect(await fetchText(`http://127.0.0.1:${port}/`)).toBe("hello\n");
    // Each connection is a pair of streams of its own.
    expect(await Promise.all([1, 2, 3].map(() => fetchText(`http://127.0.0.1:${port}/`)))).toEqual(
      Array(3).fill("hello\n"),
    );
    forward.kill("SIGINT");
    await forward.exited;

    const proxy = k.running("proxy", "--port=0");
    const [, at = ""] = await proxy.until(/Starting to serve on (\S+)/);
    expect(await fetchText(`http://${at}/api/v1/namespaces/${k.namespace}/pods/box:8080/proxy/`)).toBe("hello\n");
    expect(await fetchText(`http://${at}/api/v1/namespaces/${k.namespace}/configmaps`)).toMatch(
      /"kind":"ConfigMapList"/,
    );
    proxy.kill("SIGINT");
    await proxy.exited;

    const watch = k.running("get", "cm", "-w", "--no-headers");
    await watch.until(/cm1\s+\d/);
    await k.ok("create", "cm", "late", "--from-literal=a=b");
    await watch.until(/late\s+1\s/);
    watch.kill("SIGINT");
    await watch.exited;

    const attached = await k.run(
      ["run", "-i", "--rm", "--quiet", "echo", `--image=${manifests.BUSYBOX}`, "--restart=Never", "--", "cat"],
      { input: "heard\n" },
    );
    expect([attached.stdout, attached.code]).toEqual(["heard\n", 0]);
  });

  test("debug adds an ephemeral container; drain evicts, and a budget stands in its way", async () => {
    await k.ok("debug", "box", `--image=${manifests.BUSYBOX}`, "-c", "dbg", "--attach=false", "--", "sleep", "1");
    expect(await k.ok("get", "pod", "box", "-o", "jsonpath={.spec.ephemeralContainers[*].name}")).toBe("dbg");
    await k.ok("create", "pdb", "guard", "--selector=app=box", "--min-available=1");
    await k.ok("wait", "pdb/guard", "--for=jsonpath={.spec.minAvailable}=1", "--timeout=5s");
    const held = await k.run([
      "drain",
      "node-1",
      "--pod-selector=app=box",
      "--force",
      "--delete-emptydir-data",
      "--timeout=1s",
    ]);
    expect(held.stderr).toMatch(/Cannot evict pod as it would violate the pod's disruption budget/);
    expect(held.code).toBe(1);
    await k.ok("delete", "pdb", "guard");
    const drained = await k.ok(
      "drain",
      "node-1",
      "--pod-selector=app=box",
      "--force",
      "--delete-emptydir-data",
      "--timeout=60s",
    );
    expect(drained).toMatch(/pod\/box evicted\nnode\/node-1 drained\n$/);
    await k.ok("uncordon", "node-1");
  });

  test("deletes, in every way", () => assertSteps(table.DELETE));

  test("a namespace goes with all that is in it", async () => {
    expect(await k.ok("delete", "namespace", k.namespace)).toMatch(/^namespace "\S+" deleted/);
    expect((await k.run(["get", "ns", k.namespace])).stderr).toMatch(/not found/);
    expect(await k.ok("get", "cm,secret,deploy,svc,pvc,sts", "-o", "name")).toBe("");
  });
});

/** The client that reads most of OpenAPI, old and new. */
describe.each([
  // 1.27's own template breaks on what can only be created.
  ["1.27", ["--verbs=get"]],
  ["1.36", []],
])("kubectl %s explains", (minor, verbs) => {
  test("every kind, recursively", async () => {
    const path = kubectls[minor] ?? "";
    const env = { ...cluster.env, HOME: join(cluster.home, `explain-${minor}`) };
    const explain = (...args: string[]) => runOk(path, ["--kubeconfig", cluster.kubeconfig, ...args], { env });
    const kinds = (await explain("api-resources", "--no-headers", ...verbs)).trim().split("\n");
    expect(kinds.length).toBeGreaterThan(50);
    const failed: string[] = [];
    const todo = kinds.values();
    const worker = async () => {
      for (const line of todo) {
        // NAME [SHORTNAMES] APIVERSION NAMESPACED KIND
        const [name = "", ...rest] = line.split(/\s+/);
        const version = `--api-version=${rest.at(-3) ?? ""}`;
        const text = await explain("explain", name, "--recursive", version).catch(String);
        if (!/^KIND:\s+\w+/m.test(text) || !/^FIELDS:/m.test(text)) failed.push(`${line}: ${text}`);
      }
    };
    await Promise.all([worker(), worker(), worker()]);
    expect(failed).toEqual([]);
  });
});

function fetchText(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get(url, { agent: false }, (res) => {
      let text = "";
      res
        .on("data", (d: Buffer) => (text += d.toString()))
        .on("end", () => resolve(text))
        .on("error", reject);
    }).on("error", reject);
  });
}
