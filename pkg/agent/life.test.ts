/** The life of containers under a whole agent: hooks, sidecars, ephemeral containers, last words. */
import { describe, expect, test } from "@jest/globals";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import type { Container, Pod, PodSpec } from "../api/generated/types.ts";
import type { ContainerConfig } from "../runtime/runtime.ts";
import { Harness } from "./testing/harness.ts";

const HOOK = (name: string) => ({ exec: { command: [name] } });
const sidecar = (name: string, o: Partial<Container> = {}): Container => ({
  name,
  image: "app",
  restartPolicy: "Always",
  ...o,
});
const ends = { command: ["run", "--for=5s"] };

/** Tells when each container started and ended and which hook ran, in seconds from the beginning. */
class Told implements AsyncDisposable {
  readonly h: Harness;
  readonly tale: string[] = [];
  readonly failing = new Set<string>();
  #began = 0;

  constructor(agent: ConstructorParameters<typeof Harness>[0] = {}) {
    this.h = new Harness({
      ...agent,
      exec: (c, [name = ""]) => {
        this.#tell(`${c.name} ${name}`);
        return { exitCode: this.failing.has(name) ? 1 : 0, stdout: `${name}\n` };
      },
    });
    const { runtime } = this.h;
    const start = runtime.startContainer.bind(runtime);
    runtime.startContainer = async (id, signal) => {
      await start(id, signal);
      this.#tell(`${runtime.world.containers.get(id)?.config.name} starts`);
    };
    const stop = runtime.stopContainer.bind(runtime);
    runtime.stopContainer = async (id, grace, signal) => {
      this.#tell(`${runtime.world.containers.get(id)?.config.name} TERM ${grace}`);
      await stop(id, grace, signal);
    };
  }

  run(containers: readonly Partial<Container>[], spec: Partial<PodSpec> = {}): void {
    this.#began = this.h.clock.now();
    this.h.start();
    this.h.create("web", containers, spec);
  }

  get pod(): Pod | undefined {
    return this.h.pod("web");
  }

  /** What was told since the last time it was asked for. */
  news(): string[] {
    return this.tale.splice(0);
  }

  async delete(graceSeconds: number): Promise<string[]> {
    this.news();
    this.#began = this.h.clock.now();
    this.h.api.deletePod("default", "web", graceSeconds);
    await this.h.until(() => this.pod === undefined, 120_000);
    return this.news();
  }

  #tell(what: string): void {
    this.tale.push(`${Math.round((this.h.clock.now() - this.#began) / 1000)} ${what}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.h[Symbol.asyncDispose]();
  }
}

describe("sidecars", () => {
  test("start in order, each when the one before has; at the end they go last, and in reverse", async () => {
    await using t = new Told();
    const startupProbe = { ...HOOK("up"), periodSeconds: 1, initialDelaySeconds: 2 };
    const initContainers = [sidecar("s1", { startupProbe }), { name: "init", image: "app", ...ends }, sidecar("s2")];
    t.run([{}], { initContainers });
    await t.h.untilRunning("web");
    expect(t.news()).toEqual(["0 s1 starts", "2 s1 up", "2 init starts", "7 s2 starts", "7 c0 starts"]);
    expect(t.pod?.status?.initContainerStatuses?.map((s) => [s.started, s.ready])).toEqual([
      [true, true],
      [false, true],
      [true, true],
    ]);
    expect(await t.delete(30)).toEqual(["0 c0 TERM 30", "0 s2 TERM 30", "0 s1 TERM 30"]);
  });

  test("that do not end share the Pod's grace with the rest", async () => {
    await using t = new Told();
    const stubborn = { command: ["run", "--ignore-term"] };
    t.run([stubborn], { initContainers: [sidecar("s1"), sidecar("s2", stubborn)] });
    await t.h.untilRunning("web");
    expect(await t.delete(10)).toEqual(["0 c0 TERM 10", "10 s1 TERM 2", "10 s2 TERM 2"]);
  });

  test("do not keep a Pod from completing, however they end", async () => {
    await using t = new Told();
    const initContainers = [sidecar("s1", { command: ["run", "--ignore-term"] })];
    t.run([ends], { initContainers, restartPolicy: "Never", terminationGracePeriodSeconds: 3 });
    await t.h.until(() => t.pod?.status?.phase === "Succeeded");
    expect(t.news()).toEqual(["0 s1 starts", "0 c0 starts", "5 s1 TERM 3"]);
    const { initContainerStatuses, containerStatuses } = t.pod?.status ?? {};
    expect(containerStatuses?.[0]?.state?.terminated?.reason).toBe("Completed");
    expect(initContainerStatuses?.[0]?.state?.terminated?.exitCode).toBe(137);
  });
});

describe("hooks", () => {
  test("postStart comes before the container counts as running", async () => {
    await using t = new Told();
    t.run([{ lifecycle: { postStart: { sleep: { seconds: 4 } } } }]);
    await t.h.clock.advance(3_500);
    expect(t.pod?.status).toMatchObject({
      phase: "Pending",
      containerStatuses: [{ ready: false, state: { waiting: { reason: "ContainerCreating" } } }],
    });
    await t.h.untilRunning("web");
    expect(t.h.events("FailedPostStartHook")).toEqual([]);
  });

  test("a postStart that fails ends the container, which then comes back with a pause", async () => {
    await using t = new Told();
    t.failing.add("hello");
    t.run([{ lifecycle: { postStart: HOOK("hello") } }]);
    await t.h.until(() => t.pod?.status?.containerStatuses?.[0]?.restartCount === 1);
    expect(t.h.events("FailedPostStartHook")).toContain("PostStartHook failed");
    expect(t.h.events("Killing")).toContain("FailedPostStartHook");
    t.failing.clear();
    await t.h.untilRunning("web");
    expect(t.pod?.status?.containerStatuses?.[0]).toMatchObject({ restartCount: 2, ready: true });
  });

  test("preStop takes its time from the grace, of which two seconds are left in any case", async () => {
    await using t = new Told();
    t.run([
      { lifecycle: { preStop: { sleep: { seconds: 7 } } } },
      { lifecycle: { preStop: { sleep: { seconds: 99 } } } },
    ]);
    await t.h.untilRunning("web");
    expect(await t.delete(10)).toEqual(["7 c0 TERM 3", "10 c1 TERM 2"]);
    expect(t.h.events("Killing").toSorted()).toEqual(["Stopping container c0", "Stopping container c1"]);
  });

  test("a preStop that fails is told, and the container ends all the same", async () => {
    await using t = new Told();
    t.failing.add("bye");
    t.run([{ lifecycle: { preStop: HOOK("bye") } }]);
    await t.h.untilRunning("web");
    expect(await t.delete(10)).toEqual(["0 c0 bye", "0 c0 TERM 10"]);
    expect(t.h.events("FailedPreStopHook")).toEqual(["PreStopHook failed"]);
  });

  test("nobody waits for the hook of a container that has ended", async () => {
    await using t = new Told();
    t.run([{ lifecycle: { preStop: { sleep: { seconds: 20 } } }, command: ["run", "--for=25s"] }], {
      restartPolicy: "Never",
    });
    await t.h.untilRunning("web");
    await t.h.clock.advance(20_000);
    expect(await t.delete(30)).toEqual([]);
    expect(t.h.events("FailedPreStopHook")).toEqual([]);
  });
});

describe("a Pod that is deleted", () => {
  test("runs until no traffic comes any more; its hooks need not wait", async () => {
    let clear: () => void = () => {};
    const drained = () => new Promise<void>((resolve) => (clear = resolve));
    await using t = new Told({ agent: { drained } });
    t.run([{ lifecycle: { preStop: HOOK("bye") } }]);
    await t.h.untilRunning("web");
    setTimeoutOn(t.h, 4_000, () => clear());
    expect(await t.delete(30)).toEqual(["0 c0 bye", "4 c0 TERM 26"]);
  });

  test("does not wait for ever", async () => {
    const drained = (_: unknown, signal: AbortSignal) =>
      new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    await using t = new Told({ agent: { drained } });
    t.run([{}]);
    await t.h.untilRunning("web");
    expect(await t.delete(5)).toEqual(["5 c0 TERM 2"]);
  });
});

function setTimeoutOn(h: Harness, ms: number, fn: () => void): void {
  h.clock.after(ms, fn);
}

describe("ephemeral containers", () => {
  test("run once beside the others, and are told of apart", async () => {
    await using t = new Told();
    t.run([{}]);
    await t.h.untilRunning("web");
    const debug = { name: "debug", image: "tools", targetContainerName: "c0", ...ends };
    t.h.api.put("pods", { ...t.pod, spec: { ...t.pod?.spec, ephemeralContainers: [debug] } } as Pod);
    const status = () => t.pod?.status?.ephemeralContainerStatuses?.[0];
    await t.h.until(() => status()?.state?.running !== undefined);
    const config = t.h.runtime.running("web-uid", "debug").config as ContainerConfig;
    expect(config.targetId).toBe(t.h.runtime.running("web-uid", "c0").id);
    await t.h.until(() => status()?.state?.terminated !== undefined);
    await t.h.clock.advance(60_000);
    expect(status()).toMatchObject({ restartCount: 0, ready: false, state: { terminated: { reason: "Completed" } } });
    expect(t.pod?.status).toMatchObject({ phase: "Running", containerStatuses: [{ restartCount: 0, ready: true }] });
  });
});

describe("last words", () => {
  const file = (c: ContainerConfig) => c.mounts.find((m) => m.containerPath === "/dev/termination-log")?.hostPath ?? "";

  test("are what the container wrote, cut to its share", async () => {
    await using t = new Told();
    t.run([{}, {}], { restartPolicy: "Never" });
    await t.h.untilRunning("web");
    writeFileSync(file(t.h.runtime.running("web-uid", "c0").config), "disk full");
    writeFileSync(file(t.h.runtime.running("web-uid", "c1").config), "x".repeat(10_000));
    t.h.runtime.kill("web-uid", "c0", 1);
    t.h.runtime.kill("web-uid", "c1", 0);
    await t.h.until(() => t.pod?.status?.phase === "Failed");
    const messages = t.pod?.status?.containerStatuses?.map((s) => s.state?.terminated?.message);
    expect(messages).toEqual(["disk full", "x".repeat(4096)]);
  });

  test.each([
    [1, "line 3\n"],
    [0, undefined],
  ])("come from the end of the log where that is wanted and the exit code is %i: %j", async (code, message) => {
    await using t = new Told();
    const command = ["run", ...[1, 2, 3].map((n) => `--log=line ${n}`)];
    t.run([{ command, terminationMessagePolicy: "FallbackToLogsOnError" }], { restartPolicy: "Never" });
    await t.h.untilRunning("web");
    t.h.runtime.kill("web-uid", "c0", code);
    await t.h.until(() => ["Failed", "Succeeded"].includes(t.pod?.status?.phase ?? ""));
    const said = t.pod?.status?.containerStatuses?.[0]?.state?.terminated?.message;
    expect(said?.slice(-7)).toBe(message);
  });

  test("leave nothing behind", async () => {
    await using t = new Told();
    t.run([{}]);
    await t.h.untilRunning("web");
    const path = file(t.h.runtime.running("web-uid", "c0").config);
    expect(readFileSync(path, "utf8")).toBe("");
    await t.delete(1);
    expect(() => readdirSync(path.slice(0, path.indexOf("/containers/")))).toThrow("ENOENT");
  });
});

test("a Pod past its deadline has failed once nothing of it runs, and says why", async () => {
  await using t = new Told();
  t.run([{ command: ["run", "--ignore-term"] }], { activeDeadlineSeconds: 20, terminationGracePeriodSeconds: 6 });
  await t.h.untilRunning("web");
  await t.h.clock.advance(22_000);
  expect(t.pod?.status?.phase).toBe("Running");
  await t.h.until(() => t.pod?.status?.phase === "Failed");
  expect(t.pod?.status).toMatchObject({ reason: "DeadlineExceeded", containerStatuses: [{ restartCount: 0 }] });
  expect(t.news()).toEqual(["0 c0 starts", "20 c0 TERM 6"]);
});

test("an agent that adopts a container does not ask it to start again, and the Pod stays ready", async () => {
  await using t = new Told();
  const probes = { startupProbe: HOOK("up"), readinessProbe: { ...HOOK("ready"), periodSeconds: 5 } };
  t.run([{ ...probes, lifecycle: { postStart: HOOK("hello") } }]);
  await t.h.untilRunning("web");
  await t.h.stop();
  t.news();
  t.failing.add("ready");
  t.h.start();
  await t.h.clock.advance(9_000);
  expect(t.pod?.status?.containerStatuses?.[0]).toMatchObject({ ready: true, started: true });
  await t.h.until(() => t.pod?.status?.containerStatuses?.[0]?.ready === false);
  expect(t.tale.filter((x) => !x.endsWith("ready"))).toEqual([]);
});
