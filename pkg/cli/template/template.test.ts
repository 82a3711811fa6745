/** `mini-kube template` against a real API server, over HTTPS, in this process. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "@jest/globals";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Writable } from "node:stream";
import { configMaps } from "../../api/kinds/core/configmap.ts";
import { listen } from "../../apiserver/http.ts";
import { ApiServer } from "../../apiserver/server.ts";
import { Client } from "../../client/client.ts";
import { singleKubeconfig, writeKubeconfig } from "../../client/kubeconfig.ts";
import { MemoryStore } from "../../store/memory.ts";
import { systemClock, systemRandom } from "../../util/clock.ts";
import { silent } from "../../util/log.ts";
import { createCa, issueCert } from "../../util/pki.ts";
import { runCli } from "../program.ts";

const HOST = "127.0.0.1";
const home = mkdtempSync(join(tmpdir(), "mini-kube-template-"));
const undo: (() => unknown)[] = [];
let client: Client;

beforeAll(async () => {
  const now = systemClock.now();
  const ca = await createCa("test", now);
  const server = await issueCert(ca, { commonName: "kube-apiserver", ips: [HOST], usages: ["server"] }, now);
  const groups = ["system:masters"];
  const admin = await issueCert(ca, { commonName: "admin", organizations: groups, usages: ["client"] }, now);
  const store = new MemoryStore();
  const api = await ApiServer.open({ store, clock: systemClock, random: systemRandom, log: silent });
  const tls = { ...server, clientCa: ca.cert };
  const listener = await listen(api, { host: HOST, port: 0, tls, agentTls: { ...admin, ca: ca.cert }, log: silent });
  writeKubeconfig(join(home, "kubeconfig"), singleKubeconfig("test", { server: listener.url, ca: ca.cert, ...admin }));
  client = new Client(api.transport(), "test");
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
afterEach(() => client.resource(configMaps, "default").deleteCollection());

class Run {
  out = "";
  err = "";
  readonly stop = new AbortController();
  readonly #waiting = new Set<() => void>();
  readonly done: Promise<number>;

  constructor(args: readonly string[]) {
    const sink = (key: "out" | "err") =>
      new Writable({
        write: (chunk: Buffer, _encoding, done) => {
          this[key] += chunk.toString();
          for (const look of this.#waiting) look();
          done();
        },
      });
    const io = {
      stdin: new PassThrough(),
      stdout: sink("out"),
      stderr: sink("err"),
      env: { MINI_KUBE_HOME: home, PATH: process.env.PATH },
      userHome: home,
      clock: systemClock,
      signal: this.stop.signal,
    };
    this.done = runCli(["template", ...args], { io });
  }

  async until(holds: () => boolean): Promise<void> {
    const late = AbortSignal.timeout(60_000);
    await new Promise<void>((resolve, reject) => {
      const look = () => {
        if (!holds()) return;
        this.#waiting.delete(look);
        resolve();
      };
      late.addEventListener("abort", () => reject(new Error(`never: ${this.out}${this.err}`)));
      this.#waiting.add(look);
      look();
    });
  }

  async end(): Promise<number> {
    this.stop.abort(new Error("interrupted"));
    return this.done;
  }
}

const path = (name: string) => join(home, name);
function file(name: string, text: string): string {
  writeFileSync(path(name), text);
  return path(name);
}
const put = (name: string, color: string) =>
  client.resource(configMaps, "default").create({ metadata: { name, namespace: "default" }, data: { color } });
const change = (name: string, color: string) =>
  client.resource(configMaps, "default").patch(name, "application/merge-patch+json", { data: { color } });

const COLORS = "{% for c in configmaps %}{{ c.metadata.name }}={{ c.data.color }}\n{% endfor %}{{ values.end }}\n";
const args = (...more: string[]) => ["-f", file("colors.tmpl", COLORS), "-w", "cm", "--values", "end=.", ...more];

test("--once prints what there is, in the order of names", async () => {
  await put("b", "blue");
  await put("a", "amber");
  const run = new Run([...args("--once")]);
  expect([await run.done, run.out, run.err]).toEqual([0, "a=amber\nb=blue\n.\n", ""]);
});

describe("mistakes are said at once", () => {
  test.each<[string, string, string[], RegExp]>([
    ["in the template", "a\n{{ values.x ", [], /bad\.tmpl:2:\d+: /],
    ["a value that is not there", "a\n{{ values.x }}", [], /bad\.tmpl:2:\d+: undefined variable: values\.x/],
    ["a kind that is not there", "", ["-w", "unicorns"], /unicorns/],
    ["a reload without a file", "", ["--reload", "true"], /need a file: -o FILE/],
    ["a list without an end", "", ["-w", "cm:"], /not of the form KIND/],
  ])("%s", async (_, text, more, wanted) => {
    const run = new Run(["-f", file("bad.tmpl", text), "--once", ...more]);
    expect(await run.done).toBe(1);
    expect(run.err).toMatch(wanted);
  });
});

test("a file follows the cluster: whole, with its mode, and its reader is told of each change", async () => {
  await put("a", "amber");
  const out = file("followed.conf", "old\n");
  chmodSync(out, 0o640);
  const run = new Run(args("-o", out, "--reload", `cat ${out} >> ${path("seen")}`, "--debounce", "1ms"));
  const changes = () => run.err.split("changed\n").length - 1;
  await run.until(() => changes() === 1);
  await change("a", "azure");
  await run.until(() => changes() === 2);
  // What changes nothing in the file is no change.
  await client.resource(configMaps, "default").patch("a", "application/merge-patch+json", { data: { other: "x" } });
  await put("b", "blue");
  await run.until(() => changes() === 3);
  expect(readFileSync(out, "utf8")).toBe("a=azure\nb=blue\n.\n");
  expect(readFileSync(path("seen"), "utf8")).toBe("a=amber\n.\na=azure\n.\na=azure\nb=blue\n.\n");
  expect(statSync(out).mode & 0o777).toBe(0o640);
  await run.end();
  expect(readdirSync(home).filter((f) => f.startsWith(".followed"))).toEqual([]);
});

describe.each([
  ["that looks at the new file", "! grep -q red {}"],
  ["that looks at the file in its place", `! grep -q red ${path("checked.conf")}`],
])("a check %s", (_, check) => {
  test("keeps what it refuses out of force, and says so; the next good one goes in", async () => {
    await put("a", "amber");
    const out = path("checked.conf");
    rmSync(out, { force: true });
    rmSync(path("reloads"), { force: true });
    const run = new Run(args("-o", out, "--check", check, "--reload", `cat ${out} >> ${path("reloads")}`));
    await run.until(() => run.err.includes("changed"));
    await change("a", "red");
    await run.until(() => run.err.includes("the check"));
    expect(readFileSync(out, "utf8")).toBe("a=amber\n.\n");
    await change("a", "azure");
    await run.until(() => run.err.split("changed\n").length === 3);
    expect(readFileSync(path("reloads"), "utf8")).toBe("a=amber\n.\na=azure\n.\n");
    await run.end();
  });
});

test("a reload that fails is said, and done again with the next change", async () => {
  await put("a", "amber");
  const run = new Run(args("-o", path("r.conf"), "--reload", `test -e ${path("up")} || { echo not yet >&2; false; }`));
  await run.until(() => run.err.includes("not yet"));
  expect(run.err).toMatch(/error: the reload command ".*" failed with exit code 1:\nnot yet/);
  file("up", "");
  await change("a", "azure");
  await run.until(() => run.err.includes("changed"));
  await run.end();
});
