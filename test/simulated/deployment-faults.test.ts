/**
 * A Deployment under faults of its own writes, its template changed again and again, some Pods never ready. A seed that
 * fails fails again.
 */
import { expect } from "@jest/globals";
import type { Pod, ReplicaSet } from "../../pkg/api/generated/types.ts";
import { replicaSets } from "../../pkg/api/kinds/apps/replicaset.ts";
import { pods } from "../../pkg/api/kinds/core/pod.ts";
import { type ApiObject, nameOf, type WatchEvent } from "../../pkg/api/object.ts";
import type { ResourceRef } from "../../pkg/api/resource.ts";
import { ApiError, conflict } from "../../pkg/api/status.ts";
import { type Random, seededRandom } from "../../pkg/util/clock.ts";
import type { DeepReadonly } from "../../pkg/util/types.ts";
import { isReady, SimulatedCluster } from "../harness/simulated.ts";
import { deployment, template, Web } from "../harness/web-deployment.ts";
import { testSeeds } from "../harness/seeds.ts";

/** Every write of ReplicaSets and what they make may fail, before or after it is done. */
function failWrites(c: SimulatedCluster, random: Random, share: number): void {
  c.wire.fault = ({ verb, group, resource, subresource, name }) => {
    // A node that cannot report would lose its Pods, and that is another story.
    const ours = group === "apps" || (resource === "pods" && subresource === undefined);
    if (!ours || random() >= share || verb === "get" || verb === "list") return;
    const away = () => {
      throw new ApiError("ServiceUnavailable", "away");
    };
    if (verb === "watch" || random() < 0.3) return away();
    // Of a delete a conflict means that it is another one by now: nobody retries that.
    if (random() < 0.5 || (verb !== "update" && verb !== "patch")) return away;
    throw conflict({ group, resource }, name ?? "");
  };
}

testSeeds(
  "whatever fails: never more than maxSurge above, never fewer than maxUnavailable allows",
  5,
  async (seed) => {
    const random = seededRandom(seed);
    const upTo = (n: number) => Math.floor(random() * n);
    await using c = await SimulatedCluster.start({ nodes: 3, seed });
    const web = new Web(c);
    const strategy = { rollingUpdate: { maxSurge: 2, maxUnavailable: 1 } };
    await web.create(deployment(6, { strategy, minReadySeconds: 2, progressDeadlineSeconds: 30 }));
    const broken: string[] = [];
    const stop = new AbortController();
    const watching = watchInvariants(c, stop.signal, broken, { most: 8, fewest: 5 });
    failWrites(c, random, 0.2);
    for (let n = 0; n < 30; n++) {
      const version = String(1 + upTo(6));
      const change = [
        { template: template(version) },
        { template: template(version, "slow:3s") },
        { template: template("bad", "missing:1") },
        { paused: true },
        { paused: null },
      ][upTo(5)];
      await web.change(change ?? {});
      await c.clock.advance(upTo(12_000));
    }
    c.wire.fault = () => {};
    await web.change({ paused: null, template: template("last") });
    await c.until(async () => (await web.progressing())?.reason === "NewReplicaSetAvailable", 600_000, 1_000);
    await web.untilDone(600_000);
    stop.abort();
    await watching;
    expect(broken).toEqual([]);
    await c.until(async () => (await c.pods()).length === 6, 600_000, 1_000);
    expect((await c.pods()).map((p) => p.metadata.annotations?.["version"])).toEqual(Array(6).fill("last"));
  },
  60_000,
);

/** Looks at every single state that ReplicaSets and Pods go through. */
async function watchInvariants(
  c: SimulatedCluster,
  signal: AbortSignal,
  broken: string[],
  bounds: { readonly most: number; readonly fewest: number },
): Promise<void> {
  const wanted = new Map<string, number>();
  const ready = new Set<string>();
  const onSet = ({ type, object }: DeepReadonly<WatchEvent<ReplicaSet>>) => {
    wanted.set(nameOf(object), type === "DELETED" ? 0 : (object.spec?.replicas ?? 0));
    const total = [...wanted.values()].reduce((n, replicas) => n + replicas, 0);
    if (total > bounds.most) broken.push(`${total} wanted`);
  };
  let settled = false;
  const onPod = ({ type, object }: DeepReadonly<WatchEvent<Pod>>) => {
    const serves = type !== "DELETED" && object.metadata.deletionTimestamp === undefined && isReady(object);
    if (serves) ready.add(nameOf(object));
    else ready.delete(nameOf(object));
    settled ||= ready.size >= bounds.fewest;
    if (settled && ready.size < bounds.fewest) broken.push(`${ready.size} ready`);
  };
  const follow = async <T extends ApiObject>(ref: ResourceRef<T>, see: (e: DeepReadonly<WatchEvent<T>>) => void) => {
    for await (const event of c.client.resource(ref).watch({ resourceVersion: "0" }, signal)) {
      if (event.type !== "BOOKMARK") see(event);
    }
  };
  await Promise.allSettled([follow<ReplicaSet>(replicaSets, onSet), follow<Pod>(pods, onPod)]);
}
