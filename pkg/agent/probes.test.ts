import { describe, expect, test } from "@jest/globals";
import type { Container, Probe } from "../api/generated/types.ts";
import { condition } from "../api/pod.ts";
import { Harness } from "./testing/harness.ts";

/** A Pod whose probes succeed as long as their name is not in `failing`. */
class Probed {
  readonly failing = new Set<string>();
  readonly asked: string[] = [];
  readonly h: Harness;

  constructor() {
    this.h = new Harness({
      exec: (_, [name = ""]) => {
        this.asked.push(name);
        return { exitCode: this.failing.has(name) ? 1 : 0, stdout: `${name} says no\n` };
      },
    });
  }

  async start(c: Partial<Container>): Promise<void> {
    this.h.start();
    this.h.create("web", [c]);
    await this.h.until(() => this.status?.state?.running !== undefined);
  }

  get status() {
    return this.h.pod("web")?.status?.containerStatuses?.[0];
  }

  get ready(): boolean {
    return condition(this.h.pod("web")?.status?.conditions, "Ready")?.status === "True";
  }

  /** Seconds of fake time until it holds. */
  async secondsUntil(done: () => boolean): Promise<number> {
    const began = this.h.clock.now();
    await this.h.until(done, 120_000);
    return Math.round((this.h.clock.now() - began) / 1000);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.h[Symbol.asyncDispose]();
  }
}

const probe = (name: string, o: Partial<Probe> = {}): Probe => ({ exec: { command: [name] }, periodSeconds: 5, ...o });

describe("readiness", () => {
  test("comes after the delay, goes after three failures, and comes back with the first success", async () => {
    await using p = new Probed();
    await p.start({ readinessProbe: probe("ready", { initialDelaySeconds: 3 }) });
    expect(p.ready).toBe(false);
    expect(condition(p.h.pod("web")?.status?.conditions, "Ready")?.message).toBe(
      "containers with unready status: [c0]",
    );
    expect(await p.secondsUntil(() => p.ready)).toBe(3);

    p.failing.add("ready");
    expect(await p.secondsUntil(() => !p.ready)).toBe(15);
    expect(p.status).toMatchObject({ ready: false, started: true, restartCount: 0 });
    expect(p.h.events("Unhealthy")).toContain("Readiness probe failed: ready says no");

    p.failing.clear();
    expect(await p.secondsUntil(() => p.ready)).toBe(5);
  });

  test("needs as many successes in a row as it says", async () => {
    await using p = new Probed();
    await p.start({ readinessProbe: probe("ready", { successThreshold: 3, failureThreshold: 1 }) });
    expect(await p.secondsUntil(() => p.ready)).toBe(10);
    p.failing.add("ready");
    expect(await p.secondsUntil(() => !p.ready)).toBe(5);
  });

  test("one failure among successes does no harm", async () => {
    await using p = new Probed();
    await p.start({ readinessProbe: probe("ready", { failureThreshold: 2 }) });
    await p.secondsUntil(() => p.ready);
    for (let n = 0; n < 4; n++) {
      if (n % 2 === 0) p.failing.add("ready");
      else p.failing.clear();
      await p.h.clock.advance(5_000);
      expect(p.ready).toBe(true);
    }
  });
});

describe("liveness", () => {
  test("that fails restarts the container, and the next one is asked anew", async () => {
    await using p = new Probed();
    await p.start({ livenessProbe: probe("alive") });
    await p.h.clock.advance(20_000);
    p.failing.add("alive");
    expect(await p.secondsUntil(() => p.status?.restartCount === 1)).toBe(15);
    expect(p.h.events("Killing")).toEqual(["Container c0 failed liveness probe, will be restarted"]);
    expect(p.status?.lastState?.terminated?.exitCode).toBe(143);
    p.failing.clear();
    await p.h.clock.advance(60_000);
    expect(p.status).toMatchObject({ restartCount: 1, ready: true });
  });

  test("gives the container the probe's own grace, when it has one", async () => {
    await using p = new Probed();
    const livenessProbe = probe("alive", {
      terminationGracePeriodSeconds: 2,
      failureThreshold: 1,
      initialDelaySeconds: 5,
    });
    await p.start({ command: ["run", "--ignore-term"], livenessProbe });
    p.failing.add("alive");
    expect(await p.secondsUntil(() => p.status?.restartCount === 1)).toBe(7);
  });

  test("that gets no answer in time has failed", async () => {
    await using p = new Probed();
    await p.start({
      livenessProbe: probe("alive", { timeoutSeconds: 2, failureThreshold: 1, initialDelaySeconds: 5 }),
    });
    p.h.runtime.delay("exec", 60_000);
    expect(await p.secondsUntil(() => p.status?.restartCount === 1)).toBe(7);
    expect(p.h.events("Unhealthy")[0]).toBe('Liveness probe failed: command timed out: "alive" timed out after 2s');
    p.h.runtime.delay("exec", 0);
  });
});

describe("startup", () => {
  test("comes first: nothing else is asked, and the container is not ready", async () => {
    await using p = new Probed();
    p.failing.add("up");
    const startupProbe = probe("up", { failureThreshold: 10 });
    await p.start({ startupProbe, livenessProbe: probe("alive"), readinessProbe: probe("ready") });
    await p.h.clock.advance(30_000);
    expect(new Set(p.asked)).toEqual(new Set(["up"]));
    expect(p.status).toMatchObject({ started: false, ready: false, restartCount: 0 });
    p.failing.clear();
    expect(await p.secondsUntil(() => p.ready)).toBe(5);
    expect(p.status).toMatchObject({ started: true, restartCount: 0 });
    const asked = p.asked.length;
    await p.h.clock.advance(30_000);
    expect(p.asked.slice(asked)).not.toContain("up");
  });

  test("that never succeeds restarts the container", async () => {
    await using p = new Probed();
    p.failing.add("up");
    await p.start({ startupProbe: probe("up", { failureThreshold: 3 }) });
    expect(await p.secondsUntil(() => p.status?.restartCount === 1)).toBe(10);
    expect(p.h.events("Unhealthy")).toContain("Startup probe failed: up says no");
  });
});

test("a Pod that is being deleted is asked nothing any more", async () => {
  await using p = new Probed();
  await p.start({ command: ["run", "--ignore-term"], livenessProbe: probe("alive") });
  await p.h.clock.advance(7_000);
  p.h.api.deletePod("default", "web", 30);
  await p.h.clock.advance(100);
  const asked = p.asked.length;
  await p.h.clock.advance(20_000);
  expect(p.asked).toHaveLength(asked);
});
