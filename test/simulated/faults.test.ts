/**
 * Whatever can break breaks, at random, for some minutes; then all heals, and the cluster must come to what was asked of
 * it: no Pod lost, none left over, no container too many. A seed that fails fails again.
 */
import { expect } from "@jest/globals";
import { ApiError, conflict } from "../../pkg/api/status.ts";
import type { Call } from "../../pkg/client/transport.ts";
import type { Verb } from "../../pkg/runtime/fake.ts";
import { RuntimeError } from "../../pkg/runtime/runtime.ts";
import { type Random, seededRandom } from "../../pkg/util/clock.ts";
import { isReady, type SimulatedNode, SimulatedCluster } from "../harness/simulated.ts";
import { Dice } from "../harness/dice.ts";
import { testSeeds } from "../harness/seeds.ts";

const VERBS: readonly Verb[] = [
  "info",
  "listPods",
  "getPod",
  "events",
  "createSandbox",
  "startSandbox",
  "removeSandbox",
  "inspectImage",
  "pullImage",
  "createContainer",
  "startContainer",
  "stopContainer",
  "removeContainer",
];
/** How long a pull may take, only the runtime can know; all else must answer. */
const LIMITED = VERBS.filter((v) => v !== "pullImage");
const NODES = 3;
const ROUNDS = 80;
/** Longer than the longest back-off, and than the time until lost events are made good. */
const HEALING_MS = 900_000;

/** Nobody replaces these Pods: they stay on a node that is lost for a while. */
const STAY = { operator: "Exists", effect: "NoExecute" };

class Chaos {
  readonly #c: SimulatedCluster;
  readonly #dice: Dice;
  readonly #wanted = new Set<string>();
  readonly #deleted = new Set<string>();
  #created = 0;

  constructor(c: SimulatedCluster, random: Random) {
    this.#c = c;
    this.#dice = new Dice(random);
  }

  async run(): Promise<void> {
    for (let n = 0; n < 8; n++) await this.#create();
    const faults: readonly (() => void | Promise<void>)[] = [
      () =>
        this.#node().runtime.failNext(
          this.#dice.pick(VERBS),
          new RuntimeError("RuntimeUnavailable", "away"),
          1 + this.#dice.upTo(3),
        ),
      () =>
        this.#node().runtime.failNext(
          this.#dice.pick(VERBS),
          new RuntimeError("RuntimeError", "no"),
          1 + this.#dice.upTo(2),
        ),
      () => this.#node().runtime.delay(this.#dice.pick(VERBS), this.#dice.upTo(500)),
      () => this.#node().runtime.delay(this.#dice.pick(LIMITED), this.#dice.chance(0.1) ? Infinity : 0),
      () => this.#node().runtime.loseEvents(this.#dice.chance(0.5)),
      () => this.#breakSomething(this.#node()),
      () => this.#wireFails(this.#dice.pick([0, 0, 0.05, 0.3])),
      () => this.#restartAgent(this.#node()),
      () => this.#restartApiServer(),
      () => this.#create(),
      () => this.#delete(),
    ];
    for (let n = 0; n < ROUNDS; n++) {
      await this.#dice.pick(faults)();
      await this.#c.clock.advance(this.#dice.upTo(3_000));
    }
  }

  heal(): void {
    this.#c.wire.fault = () => {};
    for (const { runtime } of this.#c.nodes.values()) {
      runtime.loseEvents(false);
      for (const verb of VERBS) runtime.delay(verb, 0);
    }
  }

  /** Each wanted Pod runs, all else is gone; dead containers may stay for their logs, one for each that runs. */
  async converged(): Promise<boolean> {
    const pods = await this.#c.pods();
    const worlds = [...this.#c.nodes.values()].map((n) => n.runtime.world);
    const sandboxes = worlds.reduce((sum, w) => sum + w.sandboxes.size, 0);
    const containers = worlds.reduce((sum, w) => sum + w.containers.size, 0);
    return (
      pods.length === this.#wanted.size &&
      pods.every((p) => this.#wanted.has(p.metadata.name ?? "") && isReady(p)) &&
      sandboxes === pods.length &&
      containers <= this.containers().length * 2 &&
      this.#c.running().join() === this.containers().join()
    );
  }

  /** What is not as it should be, for whoever has to find out why. */
  async report(): Promise<string> {
    const pods = await this.#c.pods();
    const odd = pods.filter((p) => !this.#wanted.has(p.metadata.name ?? "") || !isReady(p));
    const lost = [...this.#wanted].filter((name) => !pods.some((p) => p.metadata.name === name));
    const count = (of: "containers" | "sandboxes") =>
      [...this.#c.nodes.values()].reduce((sum, n) => sum + n.runtime.world[of].size, 0);
    const facts = { wanted: [...this.#wanted], lost, sandboxes: count("sandboxes"), containers: count("containers") };
    return JSON.stringify(
      {
        ...facts,
        running: this.#c.running(),
        odd: odd.map(({ metadata: m, spec, status }) => ({ m, node: spec?.nodeName, status })),
      },
      null,
      1,
    );
  }

  containers(): string[] {
    return [...this.#wanted].flatMap((name) => [`${name}/c0`, `${name}/c1`]).toSorted();
  }

  async #create(): Promise<void> {
    const name = `p${this.#created++}`;
    const images = ["app", "pulled", "slow:2s"];
    const init = { name: "init", image: "app", imagePullPolicy: "IfNotPresent", command: ["sleep", "1"] };
    const containers = [
      { image: this.#dice.pick(images) },
      { image: this.#dice.pick(images), resources: { requests: { cpu: "100m" } } },
    ];
    if (!this.#c.wire.server) return;
    const inits = this.#dice.chance(0.4) ? { initContainers: [init] } : {};
    await this.#c.create(name, containers, { ...inits, tolerations: [STAY] });
    this.#wanted.add(name);
  }

  async #delete(): Promise<void> {
    if (this.#wanted.size <= 3 || !this.#c.wire.server) return;
    const name = this.#dice.pick([...this.#wanted]);
    await this.#c.delete(name, this.#dice.pick([undefined, 0, 1, 30]));
    this.#wanted.delete(name);
    this.#deleted.add(name);
  }

  /** By hand: the process ends, the network dies, somebody cleans up what is not theirs. */
  #breakSomething({ runtime }: SimulatedNode): void {
    const sandboxes = [...runtime.world.sandboxes.values()].map((s) => s.config.uid);
    if (sandboxes.length === 0) return;
    const uid = this.#dice.pick(sandboxes);
    const running = [...runtime.world.containers.values()].filter(
      (c) => c.config.podUid === uid && c.state === "running",
    );
    const [first] = running;
    this.#dice.pick([
      () => first?.exit(1),
      () => runtime.killSandbox(uid),
      () => runtime.removeBehindBack(uid, this.#dice.pick(["c0", "c1", "init"])),
      () => runtime.removeBehindBack(uid),
    ])();
  }

  /** Refused before it is done, or done and the answer lost, or (of a write) too late; watches break as often. */
  #wireFails(share: number): void {
    this.#c.wire.fault = (call) => {
      if (!this.#dice.chance(call.verb === "watch" ? share / 5 : share)) return;
      return this.#dice.pick([unavailable, lateConflict, () => unavailable])(call);
    };
  }

  async #restartAgent(node: SimulatedNode): Promise<void> {
    await node.kill();
    await this.#c.clock.advance(this.#dice.upTo(5_000));
    node.start();
  }

  async #restartApiServer(): Promise<void> {
    await this.#c.stopApiServer();
    await this.#c.clock.advance(this.#dice.upTo(5_000));
    await this.#c.startApiServer();
  }

  #node(): SimulatedNode {
    return this.#dice.pick([...this.#c.nodes.values()]);
  }
}

function unavailable(): never {
  throw new ApiError("ServiceUnavailable", "away");
}

function lateConflict(call: Call): void {
  if (call.verb === "update" || call.subresource === "binding")
    throw conflict({ group: call.group, resource: call.resource }, call.name ?? "");
}

testSeeds("once faults stop, the cluster is as it was asked to be", 10, async (seed) => {
  await using c = await SimulatedCluster.start({ nodes: NODES, seed });
  const chaos = new Chaos(c, seededRandom(seed));
  await chaos.run();
  chaos.heal();
  await c
    .until(() => chaos.converged(), HEALING_MS, 1_000)
    .catch(async (e: Error) => Promise.reject(new Error(`${e.message}: ${await chaos.report()}`)));
  expect(c.running()).toEqual(chaos.containers());
});
