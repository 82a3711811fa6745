/** Starts a roll-out where a ConfigMap or Secret has changed that the Pods of a workload were started with. */
import { daemonSets } from "../../api/kinds/apps/daemonset.ts";
import { deployments } from "../../api/kinds/apps/deployment.ts";
import { statefulSets } from "../../api/kinds/apps/statefulset.ts";
import { configMaps } from "../../api/kinds/core/configmap.ts";
import { secrets } from "../../api/kinds/core/secret.ts";
import { type ApiObject, keyOf, makeKey, nameOf, namespaceOf } from "../../api/object.ts";
import type { ResourceRef } from "../../api/resource.ts";
import { isReason } from "../../api/status.ts";
import type { Informer } from "../../informer/informer.ts";
import { type Outcome, type Reconcile, runController } from "../../reconcile/controller.ts";
import { EventRecorder, subjectOf } from "../../reconcile/events.ts";
import { together } from "../../reconcile/scope.ts";
import { WorkQueue } from "../../reconcile/workqueue.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { ControllerParts } from "../parts.ts";
import {
  type Config,
  CONFIG_HASH,
  type ConfigKind,
  planConfigRollout,
  referencesOf,
  ROLLOUT_ON_CONFIG_CHANGE,
  SEEN,
  type Workload,
} from "./plan.ts";

const NAME = "config-rollout-controller";
/** So long nothing may change any more: an apply of several files is one roll-out. */
const QUIET_MS = 2_000;

const KINDS: readonly ResourceRef[] = [deployments, statefulSets, daemonSets].map(
  (ref) => ref as unknown as ResourceRef,
);

/** Runs until the signal aborts. */
export async function runConfigRollouts(o: ControllerParts, signal: AbortSignal): Promise<void> {
  using recorder = new EventRecorder({ ...o, component: NAME });
  await together(signal, ...KINDS.map((ref) => (s: AbortSignal) => run(ref as ResourceRef<Workload>, o, recorder, s)));
}

function run(ref: ResourceRef<Workload>, o: ControllerParts, recorder: EventRecorder, signal: AbortSignal) {
  const queue = new WorkQueue(o);
  const workloads = o.informers.of(ref);
  const configs: Readonly<Record<ConfigKind, Informer<ApiObject>>> = {
    ConfigMap: o.informers.of(configMaps as unknown as ResourceRef),
    Secret: o.informers.of(secrets as unknown as ResourceRef),
  };
  workloads.onChange((key, now) => {
    if (now && isAskedFor(now)) queue.add(key);
  });
  for (const kind of ["ConfigMap", "Secret"] as const) {
    configs[kind].onChange((_, now, old) => {
      const changed = now ?? old;
      for (const w of changed ? workloads.byIndex("namespace", namespaceOf(changed)) : []) {
        if (changed && isAskedFor(w) && refersTo(w, kind, nameOf(changed))) queue.add(keyOf(w));
      }
    });
  }
  const find = (namespace: string) => (r: { kind: ConfigKind; name: string }) =>
    configs[r.kind].get(makeKey(namespace, r.name)) as Config | undefined;
  const pending = new Pending();

  const reconcile: Reconcile = async (key, sig, { reconcileId }): Promise<Outcome> => {
    const workload = workloads.get(key);
    const plan = workload && planConfigRollout(workload, find(namespaceOf(workload)));
    const wait = pending.wait(key, plan?.rollout?.hash, o.clock.now());
    if (!workload || !plan) return "done";
    if (wait > 0) return { againAfterMs: wait };
    const { rollout, seen } = plan;
    const { uid, resourceVersion } = workload.metadata;
    const patch = {
      metadata: { uid, resourceVersion, annotations: { [SEEN]: seen } },
      ...(rollout && { spec: { template: { metadata: { annotations: { [CONFIG_HASH]: rollout.hash } } } } }),
    };
    const reason = rollout ? "ConfigurationChanged" : "ConfigurationNoted";
    const cause = { component: NAME, reconcileId, reason, object: `${ref.plural}/${key}` };
    try {
      const api = o.client.resource(ref, namespaceOf(workload));
      const patched = await api.patch(nameOf(workload), "application/merge-patch+json", patch, { cause });
      if (rollout) {
        const message = `Rolling out: changed ${rollout.changed.join(", ")}`;
        recorder.event(subjectOf(ref as ResourceRef, workload), "Normal", reason, message);
      }
      await workloads.whenShows(patched, sig);
    } catch (error) {
      if (!isReason(error, "NotFound")) throw error;
    }
    return "done";
  };
  return runController({ ...o, name: NAME, queue, after: [workloads, ...Object.values(configs)], reconcile }, signal);
}

/** Since when a workload's configuration has been as it is now. Forgotten in a restart: then it waits anew. */
class Pending {
  readonly #since = new Map<string, { readonly hash: string; readonly at: number }>();

  /** For how long still, in milliseconds. `hash` undefined: nothing is wanted. */
  wait(key: string, hash: string | undefined, now: number): number {
    if (hash === undefined) this.#since.delete(key);
    else if (this.#since.get(key)?.hash !== hash) this.#since.set(key, { hash, at: now });
    const since = this.#since.get(key);
    return since ? since.at + QUIET_MS - now : 0;
  }
}

const isAskedFor = (w: DeepReadonly<Workload>) => w.metadata.annotations?.[ROLLOUT_ON_CONFIG_CHANGE] === "true";

const refersTo = (w: DeepReadonly<Workload>, kind: ConfigKind, name: string) =>
  referencesOf(w.spec?.template).some((r) => r.kind === kind && r.name === name);
