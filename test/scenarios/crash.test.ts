import { afterAll, beforeAll, expect } from "@jest/globals";
import type { Container, Pod } from "../../pkg/api/generated/types.ts";
import { pods } from "../../pkg/api/kinds/core/pod.ts";
import { nameOf } from "../../pkg/api/object.ts";
import { ApiError } from "../../pkg/api/status.ts";
import { type Random, seededRandom } from "../../pkg/util/clock.ts";
import type { DeepReadonly } from "../../pkg/util/types.ts";
import { ready, TestCluster } from "../harness/cluster.ts";
import { eventually, run } from "../harness/process.ts";
import { testNewSeed } from "../harness/seeds.ts";
import { ensureTestImages } from "../images/images.ts";

/** kill -9 at random moments while Pods come and go. To see a run again: `SEED=… npm test -- scenario crash`. */
const ROUNDS = 4;
const MAX_PODS = 6;
let cluster: TestCluster;

beforeAll(async () => {
  await ensureTestImages();
  cluster = await TestCluster.start();
});
afterAll(() => cluster?.remove());

/** It heeds SIGTERM: one whose Pod was deleted while nobody looked is given the default 30 s to do so. */
const sleeper: Container = {
  name: "main",
  image: "busybox:1.36",
  command: ["sh", "-c", "trap 'exit 0' TERM; sleep 3600 & wait"],
};

/** What the API said: an acknowledged write holds; of one whose answer was lost either outcome is right. */
type Known = "there" | "deleted" | "unsure";

class Writer {
  readonly known = new Map<string, Known>();
  readonly #random: Random;
  #next = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Creates and deletes until the server is gone. */
  async run(): Promise<void> {
    const api = cluster.client.resource(pods, "default");
    for (;;) {
      const there = [...this.known].filter(([, state]) => state === "there").map(([name]) => name);
      const victim = there[Math.floor(this.#random() * there.length)];
      const remove = victim !== undefined && this.#random() < there.length / (MAX_PODS * 1.5);
      const name = remove ? victim : `pod-${this.#next++}`;
      this.known.set(name, "unsure");
      try {
        if (remove) await api.delete(name);
        else await api.create(this.#pod(name));
      } catch (error) {
        // Any answer of the server's would be a failure of its own: these requests are right.
        if (error instanceof ApiError && error.code < 500) throw error;
        return;
      }
      this.known.set(name, remove ? "deleted" : "there");
      await new Promise((resolve) => setTimeout(resolve, this.#random() * 200));
    }
  }

  #pod(name: string): Pod {
    const containers = this.#random() < 0.5 ? [sleeper] : [sleeper, { ...sleeper, name: "side" }];
    return { metadata: { name, namespace: "default" }, spec: { containers, terminationGracePeriodSeconds: 0 } };
  }
}

/** `pod uid/container`, sorted; the sandbox is the one without a name. Whether they run is in the Pod's status. */
async function containersOfDocker(): Promise<string[]> {
  const ids = await cluster.containers();
  if (ids.length === 0) return [];
  const format =
    '{{index .Config.Labels "io.mini-kube.pod.uid"}}/{{index .Config.Labels "io.mini-kube.container.name"}}';
  // One that is being removed is missing from the answer, and makes the exit code 1.
  return (await run("docker", ["inspect", "--format", format, ...ids])).stdout.trim().split("\n").toSorted();
}

function containersWanted(list: readonly DeepReadonly<Pod>[]): string[] {
  const names = (pod: DeepReadonly<Pod>) => ["", ...(pod.spec?.containers.map((c) => c.name) ?? [])];
  return list.flatMap((pod) => names(pod).map((name) => `${pod.metadata.uid}/${name}`)).toSorted();
}

testNewSeed(
  "kill -9 at random moments: acknowledged writes hold, each Pod gets its containers once, deleted ones leave none",
  async (seed) => {
    const random = seededRandom(seed);
    const writer = new Writer(random);
    for (let round = 0; round < ROUNDS; round++) {
      const writing = writer.run();
      await new Promise((resolve) => setTimeout(resolve, 200 + random() * 1500));
      await cluster.kill9();
      await writing;
      await cluster.up();
    }
    expect([...writer.known.values()].filter((state) => state !== "unsure").length).toBeGreaterThan(ROUNDS);

    const api = cluster.client.resource(pods, "default");
    const names = (await api.list()).items.map(nameOf);
    const lost = [...writer.known].filter(([name, state]) => state === "there" && !names.includes(name));
    expect(lost).toEqual([]);
    const deleted = names.filter((name) => writer.known.get(name) === "deleted");
    await Promise.all(
      deleted.map((name) => cluster.kubectlOk(["wait", "--for=delete", `pod/${name}`, "--timeout=20s"])),
    );
    const staying = (await api.list()).items.filter((pod) => !pod.metadata.deletionTimestamp);
    await Promise.all(staying.map((pod) => cluster.untilPod(nameOf(pod), ready)));
    const wanted = containersWanted(staying);
    // What Docker finished for an agent that was dead by then is found by the next one's resync, at the latest.
    const found = await eventually(containersOfDocker, (now) => now.join() === wanted.join());
    expect(found).toEqual(wanted);
    expect((await api.list()).items.map(nameOf).toSorted()).toEqual(staying.map(nameOf).toSorted());
  },
);
