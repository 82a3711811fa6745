/**
 * The agent is killed at every single call that it makes of the runtime in the life of a Pod, once before the call does
 * anything and once when it is done; the next agent goes on. Nothing is started twice, left over or lost.
 */
import { expect, test } from "@jest/globals";
import type { Container, PodSpec } from "../../pkg/api/generated/types.ts";
import { isReady, SimulatedCluster } from "../harness/simulated.ts";

const app = { image: "app", imagePullPolicy: "IfNotPresent" };
const mount = { volumeMounts: [{ name: "data", mountPath: "/data" }] };
const sleep = (seconds: number) => ({ exec: { command: ["sleep", String(seconds)] } });

const MAIN: readonly Partial<Container>[] = [
  { ...mount, lifecycle: { postStart: sleep(1), preStop: sleep(1) } },
  { image: "pulled" },
];
const REST: Partial<PodSpec> = {
  terminationGracePeriodSeconds: 5,
  volumes: [{ name: "data", emptyDir: {} }],
  initContainers: [
    { name: "first", ...app, ...mount, command: ["sleep", "1"] },
    { name: "proxy", ...app, restartPolicy: "Always" },
  ],
};

/** Kills the agent at the nth call from now on, if it comes to that, and has the next one go on. */
class Fate {
  readonly #c: SimulatedCluster;
  #killed: Promise<void> | undefined;
  #replaced = false;

  constructor(c: SimulatedCluster, n: number, when: "before" | "after") {
    this.#c = c;
    let calls = 0;
    const kill = () => void (this.#killed = c.node().kill());
    c.node().runtime.onCall = () => {
      if (++calls !== n) return;
      if (when === "before") kill();
      else setImmediate(kill);
    };
  }

  get came(): boolean {
    return this.#killed !== undefined;
  }

  async until(reached: () => Promise<boolean>): Promise<void> {
    await this.#c.until(async () => {
      await this.#goOn();
      return reached();
    });
  }

  async #goOn(): Promise<void> {
    if (!this.#killed || this.#replaced) return;
    this.#replaced = true;
    await this.#killed;
    await this.#c.clock.advance(500);
    this.#c.node().start();
  }
}

test.each(["before", "after"] as const)("killed at every call, %s it is done", async (when) => {
  await using c = await SimulatedCluster.start();
  const ends: (string | number | undefined)[][] = [];
  let killed = 0;
  for (let n = 1; ; n++) {
    const name = `pod-${n}`;
    const fate = new Fate(c, n, when);
    await c.create(name, MAIN, REST);
    await fate.until(async () => isReady(await c.pod(name)));
    const pod = await c.pod(name);
    const all = [...(pod?.status?.initContainerStatuses ?? []), ...(pod?.status?.containerStatuses ?? [])];
    ends.push([n, ...all.map((s) => s.restartCount), c.running().length]);
    await c.delete(name);
    await fate.until(async () => (await c.pod(name)) === undefined && c.leftovers === 0);
    c.node().runtime.onCall = () => {};
    if (!fate.came) break;
    killed++;
  }
  expect(ends).toEqual(ends.map((_, i) => [i + 1, 0, 0, 0, 0, 3]));
  // Sandbox, four containers, hooks and their ends: a life has at least so many calls.
  expect(killed).toBeGreaterThan(20);
});
