import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { readFileSync } from "node:fs";
import type { Deployment, Pod, Secret } from "../../pkg/api/generated/types.ts";
import { deployments } from "../../pkg/api/kinds/apps/deployment.ts";
import { pods } from "../../pkg/api/kinds/core/pod.ts";
import { secrets } from "../../pkg/api/kinds/core/secret.ts";
import { nameOf } from "../../pkg/api/object.ts";
import type { DeepReadonly } from "../../pkg/util/types.ts";
import { ready } from "../harness/cluster.ts";
import { PATIENCE_MS, run } from "../harness/process.ts";
import { type Instance, programFile, type ProgramName, Programs } from "../harness/programs.ts";
import { ensureTestImages } from "../images/images.ts";

/** Each component a program of its own; what becomes of the work when one of them ends, one way or another. */
let cluster: Programs;

beforeAll(async () => {
  await ensureTestImages();
  cluster = await Programs.start();
});
afterAll(() => cluster?.remove());

const deploymentClient = () => cluster.client.resource<Deployment>(deployments, "default");
const podClient = () => cluster.client.resource<Pod>(pods, "default");

/** Resolves when so many Pods are Ready; rejects with what there is instead. */
async function untilReady(count: number): Promise<readonly DeepReadonly<Pod>[]> {
  const seen = new Map<string, DeepReadonly<Pod>>();
  const end = AbortSignal.timeout(PATIENCE_MS);
  while (!end.aborted) {
    // A watch ends with its server; the next one begins anew, as after a list.
    seen.clear();
    try {
      for await (const { type, object } of podClient().watch({ labelSelector: "app=web" }, end)) {
        if (type === "BOOKMARK") continue;
        if (type === "DELETED") seen.delete(nameOf(object));
        else seen.set(nameOf(object), object);
        const all = [...seen.values()].filter((p) => ready(p) && p.metadata.deletionTimestamp === undefined);
        if (all.length === count) return all;
      }
    } catch {
      // No server answered for a moment.
    }
  }
  const phases = [...seen.values()].map((p) => `${nameOf(p)} ${p.status?.phase ?? ""}`);
  throw new Error(`not ${count} ready within ${PATIENCE_MS} ms: ${phases.join(", ")}\n${cluster.logs()}`);
}

/** Retried by the client's own rules only: an error is an error. */
const scale = (replicas: number) =>
  deploymentClient().patch("web", "application/merge-patch+json", { spec: { replicas } });

/** So many Pods, whatever was before. */
async function atScale(replicas: number): Promise<readonly DeepReadonly<Pod>[]> {
  await scale(replicas);
  return untilReady(replicas);
}

const containerIds = (all: readonly DeepReadonly<Pod>[]) =>
  new Map(all.map((p) => [nameOf(p), p.status?.containerStatuses?.map((c) => [c.containerID, c.restartCount])]));

/** What became of the containers that ran before. */
function now(before: readonly DeepReadonly<Pod>[], after: readonly DeepReadonly<Pod>[]) {
  const all = containerIds(after);
  return new Map(before.map((p) => [nameOf(p), all.get(nameOf(p))]));
}

describe("programs of their own", () => {
  test("a Deployment by kubectl: its Pods run, and are reached through either API server", async () => {
    const image = ["--image=busybox:1.36", "--replicas=2", "--", "sleep", "3600"];
    await cluster.kubectl(0, ["create", "deployment", "web", ...image]);
    await cluster.kubectl(1, ["rollout", "status", "deployment/web", "--timeout=60s"]);
    for (const server of [0, 1]) {
      expect(await cluster.kubectl(server, ["exec", "deployment/web", "--", "echo", "hello"])).toBe("hello\n");
    }
  });

  test("the keys of Secrets are changed while both API servers write: each is read with the new key alone", async () => {
    const names: string[] = [];
    const writing = new AbortController();
    const write = async (server: number) => {
      const client = cluster.clientOf(server).resource<Secret>(secrets, "default");
      while (!writing.signal.aborted) {
        const name = `s${server}-${names.length}`;
        names.push(name);
        await client.create({ metadata: { name }, stringData: { value: name } });
      }
    };
    const writers = Promise.all([0, 1].map(write));
    writers.catch(() => writing.abort()); // it is awaited below
    const rotate = ["encryption", "rotate", "--file", cluster.keysFile];
    const said = await cluster.cli(rotate).finally(() => writing.abort());
    await writers;
    expect(said.split("\n").map((line) => line.split(":")[0])).toEqual(["add", "promote", "rewrite", "drop", ""]);
    expect(readFileSync(cluster.keysFile, "utf8").match(/name: key\d/g)).toEqual(["name: key2"]);
    for (const server of [0, 1]) {
      const { items } = await cluster.clientOf(server).resource<Secret>(secrets, "default").list();
      const read = items.map((s) => [nameOf(s), Buffer.from(s.data?.["value"] ?? "", "base64").toString()] as const);
      expect(new Map(read)).toEqual(new Map(names.map((name) => [name, name])));
    }
  });

  test("kill -9 of an API server, and another that freezes: the work goes on at the one that is left", async () => {
    const before = await atScale(2);
    await cluster.kill("apiserver-0");
    await scale(3);
    await untilReady(3);
    await cluster.spawn("apiserver-0").until(/the API is served/);
    cluster.signal("apiserver-1", "SIGSTOP");
    try {
      await cluster.kubectl(0, ["scale", "deployment/web", "--replicas=4"]);
      expect(now(before, await untilReady(4))).toEqual(containerIds(before));
    } finally {
      cluster.signal("apiserver-1", "SIGCONT");
    }
  });

  test("kill -9 of the scheduler and of the controller-manager that lead: the others take over", async () => {
    const before = await atScale(4);
    for (const [program, replicas] of [["scheduler", 5] as const, ["controller-manager", 6] as const]) {
      const leader = await cluster.leader(program);
      await cluster.kill(leader);
      await scale(replicas);
      await untilReady(replicas);
      cluster.spawn(leader);
    }
    expect(now(before, await untilReady(6))).toEqual(containerIds(before));
  });

  test("kill -9 of the agent: containers run on, and it finds them when it is back", async () => {
    const before = await atScale(6);
    await cluster.kill("agent-0");
    await cluster.startAgent();
    await scale(7);
    expect(now(before, await untilReady(7))).toEqual(containerIds(before));
  });

  test("asked to stop, each ends with 0 within ten seconds; the containers run on", async () => {
    const before = await atScale(7);
    const programs: readonly ProgramName[] = ["agent", "scheduler", "controller-manager", "apiserver"];
    const all = programs.flatMap((p): Instance[] => (p === "agent" ? ["agent-0"] : [`${p}-0`, `${p}-1`]));
    for (const name of all) {
      const started = Date.now();
      expect([name, await cluster.stop(name)]).toEqual([name, 0]);
      expect([name, Date.now() - started < 10_000]).toEqual([name, true]);
    }
    for (const i of [0, 1]) await cluster.spawn(`apiserver-${i}`).until(/the API is served/);
    for (const i of [0, 1]) {
      cluster.spawn(`scheduler-${i}`);
      cluster.spawn(`controller-manager-${i}`);
    }
    await cluster.startAgent();
    expect(now(before, await untilReady(7))).toEqual(containerIds(before));
  });
});

describe("what a program cannot begin with, it says in a line", () => {
  test.each<[ProgramName, readonly string[], RegExp]>([
    ["scheduler", [], /^error: --kubeconfig FILE is needed/],
    ["scheduler", ["--kubeconfig", "/nowhere/at/all"], /^error: there is no kubeconfig at \/nowhere\/at\/all/],
    ["controller-manager", ["--observe-address", "nonsense"], /^error: --kubeconfig FILE is needed/],
    ["agent", ["--data-dir", "/tmp/mk-no-agent", "--port", "x"], /^error: .*a port is a number/],
    ["agent", ["--node-labels", "a b=c"], /^error: .*--node-labels a b=c: key=value is needed/],
    ["apiserver", ["--store", "redis://x", "--data-dir", "/tmp/mk-no-api"], /^error: unknown store "redis:\/\/x"/],
    [
      "apiserver",
      ["--advertise-address", "127.0.0.1"],
      /^error: --advertise-address 127\.0\.0\.1: Pods and nodes do not/,
    ],
    ["apiserver", ["--advertise-address", "here"], /^error: .*--advertise-address here: an IPv4 address/],
  ])("%s %j", async (program, args, message) => {
    const done = await run(process.execPath, [programFile(program), ...args]);
    const said = done.stderr.split("\n").filter((line) => !line.startsWith("{"));
    expect([done.code, said[0]]).toEqual([1, expect.stringMatching(message)]);
  });
});
