/** Whole command lines against a real API server, over HTTPS, in this process; nothing runs the Pods. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "@jest/globals";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable, Writable } from "node:stream";
import { ensurePolicy } from "../apiserver/auth/ensure-policy.ts";
import { listen } from "../apiserver/http.ts";
import { ApiServer } from "../apiserver/server.ts";
import { Client } from "../client/client.ts";
import { readKubeconfig, singleKubeconfig, writeKubeconfig } from "../client/kubeconfig.ts";
import { MemoryStore } from "../store/memory.ts";
import { systemClock, systemRandom } from "../util/clock.ts";
import { silent } from "../util/log.ts";
import { createCa, issueCert } from "../util/pki.ts";
import { runCli } from "./program.ts";

const HOST = "127.0.0.1";
const home = mkdtempSync(join(tmpdir(), "mini-kube-cli-"));
const undo: (() => unknown)[] = [];

beforeAll(async () => {
  const now = systemClock.now();
  const ca = await createCa("test", now);
  const server = await issueCert(ca, { commonName: "kube-apiserver", ips: [HOST], usages: ["server"] }, now);
  const admin = await issueCert(
    ca,
    { commonName: "admin", organizations: ["system:masters"], usages: ["client"] },
    now,
  );
  const store = new MemoryStore();
  const api = await ApiServer.open({ store, clock: systemClock, random: systemRandom, log: silent });
  await ensurePolicy(new Client(api.transport(), "test"), api.view);
  const tls = { ...server, clientCa: ca.cert };
  const listener = await listen(api, { host: HOST, port: 0, tls, agentTls: { ...admin, ca: ca.cert }, log: silent });
  const connection = { server: listener.url, ca: ca.cert, ...admin };
  writeKubeconfig(join(home, "kubeconfig"), singleKubeconfig("test", connection));
  undo.push(
    () => listener.close(),
    () => api.close(),
    () => store.close(),
    () => rmSync(home, { recursive: true, force: true }),
  );
});
afterAll(async () => {
  for (const step of undo) await step();
});
afterEach(async () => {
  await cli("delete pods,cm --all --force --ignore-not-found");
});

interface Result {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

interface Options {
  readonly input?: string;
  readonly signal?: AbortSignal;
  /** Called with all output so far. */
  readonly onOutput?: (out: string) => void;
  readonly env?: Record<string, string>;
}

/** Splits the line at blanks; `args` for words that have some. */
async function cli(line: string | readonly string[], o: Options = {}): Promise<Result> {
  const seen = { out: "", err: "" };
  const sink = (key: "out" | "err") =>
    new Writable({
      write(chunk: Buffer, _encoding, done) {
        seen[key] += chunk.toString();
        if (key === "out") o.onOutput?.(seen.out);
        done();
      },
    });
  const io = {
    stdin: o.input === undefined ? new PassThrough() : Readable.from([Buffer.from(o.input)]),
    stdout: sink("out"),
    stderr: sink("err"),
    env: { MINI_KUBE_HOME: home, ...o.env },
    userHome: home,
    clock: systemClock,
    signal: o.signal ?? new AbortController().signal,
  };
  const code = await runCli(typeof line === "string" ? line.split(" ") : line, { io });
  return { code, ...seen };
}

function file(name: string, text: string): string {
  const path = join(home, name);
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, text);
  return path;
}

const pod = (name: string, more = "") =>
  `apiVersion: v1\nkind: Pod\nmetadata:\n  name: ${name}\n  labels: {app: ${name}}\nspec:\n  containers:\n  - name: c\n    image: busybox:1\n${more}`;
test.each([
  "--kubeconfig /nowhere get pods",
  "create --kubeconfig /nowhere configmap a",
  "create configmap a --kubeconfig /nowhere",
])("%s: flags of all commands stand before, between or behind", async (line) => {
  expect(await cli(line)).toMatchObject({
    code: 1,
    err: expect.stringContaining("no kubeconfig at /nowhere") as unknown,
  });
});

const configMap = (name: string, data: string) =>
  `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ${name}}\ndata: {${data}}\n`;

describe("apply", () => {
  test("creates, then finds unchanged, then changes and removes what the manifest no longer says", async () => {
    const path = file("m.yaml", `${pod("web")}---\n${configMap("conf", "a: '1', b: '2'")}`);
    expect(await cli(`apply -f ${path}`)).toEqual({
      code: 0,
      out: "pod/web created\nconfigmap/conf created\n",
      err: "",
    });
    expect((await cli(`apply -f ${path}`)).out).toBe("pod/web unchanged\nconfigmap/conf unchanged\n");
    await cli(["annotate", "cm/conf", "theirs=kept"]);
    const changed = await cli("apply -f -", { input: configMap("conf", "a: '3'") });
    expect(changed.out).toBe("configmap/conf configured\n");
    expect((await cli("get cm conf -o jsonpath={.data}{.metadata.annotations.theirs}")).out).toBe('{"a":"3"}kept');
  });

  test("one bad document does not keep the others; each mistake has its place; exit code 1", async () => {
    const path = file(
      "bad.yaml",
      [
        configMap("ok", "a: b"),
        pod("odd", "    imag: y\n"),
        "apiVersion: v1\nkind: Pdo\nmetadata: {name: x}\n",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec:\n  containers:\n  - image: busybox:1\n",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: y}\nspec:\n  containers: none\n",
      ].join("---\n"),
    );
    const { code, out, err } = await cli(`apply -f ${path}`);
    expect({ code, out }).toEqual({ code: 1, out: "configmap/ok created\n" });
    expect(err).toContain(
      `error: ${path}: document 2, line 15: Pod in version "v1" cannot be handled as a Pod: strict decoding error: unknown field "spec.containers[0].imag"\n`,
    );
    expect(err).toContain(
      `error: ${path}: document 3, line 18: no matches for kind "Pdo" in version "v1"; did you mean Pod?\n`,
    );
    expect(err).toContain(
      `error: ${path}: document 4, line 26: Pod "x" is invalid: spec.containers[0].name: Required value\n`,
    );
    expect(err).toMatch(
      /: document 5, line 32: Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal/,
    );
  });

  test("broken YAML, a huge manifest, a missing file and an empty directory each say so once", async () => {
    const broken = file("broken.yaml", "a: 1\n---\nkind: Pod\nspec: [1\n");
    expect((await cli(`apply -f ${broken}`)).err).toMatch(
      /^error: .*broken\.yaml: document 2, line 4: .*\n {2}4 \| spec: \[1\n$/,
    );
    const huge = file("huge.yaml", configMap("big", `a: ${"x".repeat(10 * 1024 * 1024)}`));
    const error = `error: ${huge}: document 1, line 1: the manifest is 10.0 MB large; the API server takes at most 3 MB\n`;
    expect(await cli(`apply -f ${huge}`)).toEqual({ code: 1, out: "", err: error });
    expect((await cli(`apply -f ${join(home, "nowhere")}`)).err).toMatch(
      /^error: the path ".*nowhere" does not exist\n$/,
    );
    file("nested/deep/cm.yaml", configMap("deep", "a: b"));
    expect((await cli(`apply -f ${join(home, "nested")}`)).err).toContain("-R looks in its subdirectories too");
    expect((await cli(`apply -R -f ${join(home, "nested")}`)).out).toBe("configmap/deep created\n");
  });

  test("dry runs change nothing", async () => {
    const input = configMap("dry", "a: b");
    expect((await cli("apply -f - --dry-run=client", { input })).out).toBe("configmap/dry created (dry run)\n");
    expect((await cli("apply -f - --dry-run=server", { input })).out).toBe("configmap/dry created (server dry run)\n");
    expect((await cli("get cm dry")).code).toBe(1);
  });
});

describe("get", () => {
  test("tables: several kinds, short names, wide, labels, all namespaces", async () => {
    await cli("apply -f -", { input: `${pod("web")}---\n${configMap("conf", "a: b")}` });
    expect((await cli("get po,cm")).out).toMatch(
      /^NAME {6}READY {3}STATUS {4}RESTARTS {3}AGE\npod\/web {3}0\/1 {5}Pending {3}0 {10}\d+s\n\nNAME {13}DATA {3}AGE\nconfigmap\/conf {3}1 {6}\d+s\n$/,
    );
    expect((await cli("get pods -o wide")).out).toMatch(/IP +NODE /);
    expect((await cli("get pods -A --no-headers -L app")).out).toMatch(/^default +web .* web\n$/);
    expect((await cli("get pods -l app=other")).err).toBe("No resources found in default namespace.\n");
    expect((await cli("-n kube-system get pods")).err).toBe("No resources found in kube-system namespace.\n");
  });

  test("the other forms", async () => {
    await cli("apply -f -", { input: `${configMap("b", "v: '2'")}---\n${configMap("a", "v: '10'")}` });
    expect((await cli("get cm/a cm/b -o name")).out).toBe("configmap/a\nconfigmap/b\n");
    expect((await cli("get cm -o jsonpath={.items[*].metadata.name} --sort-by=.data.v")).out).toBe("b a");
    expect((await cli("get cm -o custom-columns=N:.metadata.name,X:.data.x")).out).toBe(
      "N   X\na   <none>\nb   <none>\n",
    );
    const yaml = (await cli("get cm a -o yaml")).out;
    expect(yaml).toMatch(/^apiVersion: v1\nkind: ConfigMap\nmetadata:\n/);
    expect(yaml).not.toContain("managedFields");
    expect(JSON.parse((await cli("get cm -o json")).out)).toMatchObject({
      kind: "List",
      items: [{ kind: "ConfigMap" }, {}],
    });
  });

  test("-w prints what changes, until Ctrl-C", async () => {
    await cli("apply -f -", { input: configMap("one", "a: b") });
    const ctrlC = new AbortController();
    let created = false;
    const onOutput = (out: string) => {
      if (/^one/m.test(out) && !created) {
        created = true;
        void cli("create cm two --from-literal=x=y --from-literal=z=y");
      }
      if (/^two/m.test(out)) ctrlC.abort();
    };
    const { out, code } = await cli("get cm -w", { signal: ctrlC.signal, onOutput });
    expect(out).toMatch(/^NAME {3}DATA {3}AGE\none {4}1 {6}\d+s\ntwo {4}2 {6}\d+s\n$/);
    expect(code).toBe(0);
  });

  test("mistakes are told in kubectl's words, with what to do", async () => {
    expect(await cli("get pods none")).toEqual({
      code: 1,
      out: "",
      err: 'Error from server (NotFound): pods "none" not found\n',
    });
    expect((await cli("get pods none --ignore-not-found")).code).toBe(0);
    expect((await cli("get podz")).err).toBe(
      'error: the server doesn\'t have a resource type "podz"\ndid you mean "pods"? see them all with: mini-kube api-resources\n',
    );
    expect((await cli("gte pods")).err).toBe(
      'error: unknown command "gte" for "mini-kube"\ndid you mean: mini-kube get\n',
    );
    expect((await cli("get pods -o jsonpath={.x")).err).toContain("error parsing jsonpath");
    const away = await cli("get pods", { env: { MINI_KUBE_HOME: join(home, "nobody") } });
    expect(away.err).toContain("start a cluster with: mini-kube up");
  });
});

describe("one object in detail", () => {
  test("a Pod, a Secret without its values, any kind; the beginning of a name is enough", async () => {
    await cli("apply -f -", { input: pod("web-1") });
    expect((await cli("describe pod web")).out).toMatch(
      /^Name: +web-1\nNamespace: +default\n(.*\n)+Containers:\n {2}c:\n {4}Container ID: +<none>\n {4}Image: +busybox:1\n(.*\n)+Events: +<none>\n$/,
    );
    await cli("create secret generic login --from-literal=password=s3cret");
    const secret = (await cli("describe secret login")).out;
    expect(secret).toContain("password:  6 bytes");
    expect(secret).not.toContain("s3cret");
    await cli("delete secret login");
    expect((await cli("describe pod none")).code).toBe(1);
  });
});

describe("label, annotate, wait, delete, create", () => {
  test("labels are set, changed only with --overwrite, and removed", async () => {
    await cli("apply -f -", { input: pod("web") });
    expect((await cli("label pod web tier=front")).out).toBe("pod/web labeled\n");
    const refused = await cli("label pod web tier=back");
    expect(refused).toMatchObject({
      code: 1,
      err: "error: pod/web: 'tier' already has a value (front), and --overwrite is false\n",
    });
    expect((await cli("label pods --all tier=back --overwrite")).out).toBe("pod/web labeled\n");
    expect((await cli("get pods -l tier=back -o name")).out).toBe("pod/web\n");
    expect((await cli("label pod web tier-")).out).toBe("pod/web unlabeled\n");
    expect((await cli(["annotate", "pod", "web", "note=two words"])).out).toBe("pod/web annotated\n");
  });

  test("wait: met, timed out, gone", async () => {
    await cli("apply -f -", { input: pod("web") });
    expect((await cli("wait --for=jsonpath={.status.phase}=Pending pod/web")).out).toBe("pod/web condition met\n");
    const late = await cli("wait --for=condition=Ready pod/web --timeout=50ms");
    expect(late).toEqual({ code: 1, out: "", err: "error: timed out waiting for the condition on pods/web\n" });
    const gone = cli("wait --for=delete pod/web");
    await cli("delete pod web --force");
    expect((await gone).out).toBe("pod/web deleted\n");
  });

  test("delete waits until the object is gone", async () => {
    await cli("apply -f -", {
      input: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: held, finalizers: [example.org/hold]}\n",
    });
    const late = await cli("delete cm held --timeout=50ms");
    expect(late.out).toBe('configmap "held" deleted\n');
    expect(late.err).toContain("timed out waiting for configmap/held to be gone");
    await cli("apply -f -", { input: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: held}\n" });
    expect((await cli("get cm held")).err).toContain("NotFound");
    expect((await cli("delete pod")).err).toContain("no name was specified");
  });

  test("generators make manifests", async () => {
    const made = await cli(["create", "cm", "c", "--from-literal=a=1", "--dry-run=client", "-o", "yaml"]);
    expect(made.out).toBe(
      'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\n  namespace: default\ndata:\n  a: "1"\n',
    );
    const podMade = await cli("run web --image nginx --port 80 --env A=b --dry-run=client -o json -- x y".split(" "));
    expect(JSON.parse(podMade.out)).toMatchObject({
      metadata: { labels: { run: "web" } },
      spec: {
        containers: [{ image: "nginx", args: ["x", "y"], env: [{ name: "A", value: "b" }] }],
        restartPolicy: "Always",
      },
    });
  });
});

describe("the rest", () => {
  test("explain, api-resources, version", async () => {
    expect((await cli("explain pod.spec.restartPolicy")).out).toMatch(
      /^KIND: {7}Pod\nVERSION: {4}v1\n\nFIELD: restartPolicy <string>\n/,
    );
    expect((await cli("explain pod.spec.contianers")).err).toBe(
      'error: field "pod.spec.contianers" does not exist; did you mean "containers"?\n',
    );
    expect((await cli("api-resources")).out).toMatch(/^pods +po +v1 +true +Pod$/m);
    expect((await cli("version")).out).toMatch(/^Client Version: v[\d.]+\nServer Version: v1\.36\.\d\+mini-kube\n$/);
  });

  test("auth: who one is, what one may; tokens to be somebody else for a while", async () => {
    expect((await cli("auth whoami")).out).toMatch(/^ATTRIBUTE +VALUE\nUsername +admin\nGroups +\[system:masters /);
    expect(await cli("auth can-i create po")).toEqual({ code: 0, out: "yes\n", err: "" });
    expect((await cli("auth can-i --list")).out).toMatch(/^RESOURCES +NON-RESOURCE URLS +RESOURCE NAMES +VERBS$/m);
    await cli("create sa robot");
    const token = (await cli("create token robot --duration=20m")).out.trim();
    const config = readKubeconfig(join(home, "kubeconfig"));
    const robot = { ...config, users: [{ name: "test", user: { token } }] };
    const kubeconfig = file("robot", JSON.stringify(robot));
    const as = (line: string) => cli(`${line} --kubeconfig ${kubeconfig}`);
    expect((await as("auth whoami")).out).toMatch(/^Username +system:serviceaccount:default:robot$/m);
    expect(await as("auth can-i get pods/web --subresource=log")).toEqual({ code: 1, out: "no\n", err: "" });
    expect(await as("auth can-i get /metrics -q")).toEqual({ code: 1, out: "", err: "" });
    expect((await as("get pods")).err).toContain(
      'User "system:serviceaccount:default:robot" cannot list resource "pods"',
    );
    expect((await cli("create token robot --duration=soon")).err).toContain("--duration soon");
    expect((await cli("create token robot --duration=5m")).err).toContain("less than 10 minutes");
    expect((await cli("create token nobody")).err).toContain('serviceaccounts "nobody" not found');
  });

  test("config keeps secrets, and changes the namespace only to one that exists", async () => {
    const view = (await cli("config view")).out;
    expect(view).toContain("client-key-data: REDACTED");
    expect((await cli("config use-namespace nowhere")).err).toContain('namespaces "nowhere" not found');
    expect((await cli("config use-namespace kube-system")).code).toBe(0);
    expect(readKubeconfig(join(home, "kubeconfig"))?.contexts?.[0]?.context.namespace).toBe("kube-system");
    expect((await cli("config use-namespace default")).code).toBe(0);
  });

  test("completion knows commands, flags, kinds and names", async () => {
    await cli("apply -f -", { input: configMap("conf", "a: b") });
    const words = async (...typed: string[]) => {
      const { out } = await cli(["__complete", "--", ...typed]);
      return out
        .split("\n")
        .map((l) => l.split("\t")[0])
        .filter(Boolean);
    };
    expect(await words("ge")).toEqual(["get"]);
    expect(await words("get", "conf")).toEqual(["configmaps"]);
    expect(await words("get", "cm", "c")).toEqual(["conf"]);
    expect(await words("get", "cm/")).toEqual(["cm/conf"]);
    expect(await words("get", "--sort")).toEqual(["--sort-by"]);
    expect(await words("get", "-n", "kube-n")).toEqual(["kube-node-lease"]);
  });

  test("help needs no cluster", async () => {
    const nowhere = { env: { MINI_KUBE_HOME: join(home, "nobody") } };
    expect(await cli("--help", nowhere)).toMatchObject({
      code: 0,
      out: expect.stringContaining("mini-kube apply -f pod.yaml"),
    });
    expect(await cli("help get", nowhere)).toMatchObject({ code: 0, out: expect.stringContaining("Examples:") });
  });
});
