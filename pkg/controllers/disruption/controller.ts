/** Keeps the status of PodDisruptionBudgets: how many of their Pods may be evicted at this moment. */
import { deepEqual } from "../../api/equal.ts";
import type { PodDisruptionBudget } from "../../api/generated/types.ts";
import { deployments } from "../../api/kinds/apps/deployment.ts";
import { pods } from "../../api/kinds/core/pod.ts";
import { podDisruptionBudgets } from "../../api/kinds/policy/poddisruptionbudget.ts";
import {
  type ApiObject,
  controllerOf,
  makeKey,
  nameOf,
  namespaceOf,
  type OwnerReference,
  parseApiVersion,
  uidOf,
} from "../../api/object.ts";
import { fromLabelSelector, matchesLabels } from "../../api/selectors.ts";
import { isReason } from "../../api/status.ts";
import { EventRecorder, subjectOf } from "../../reconcile/events.ts";
import { type Reconcile, runController } from "../../reconcile/controller.ts";
import { WorkQueue } from "../../reconcile/workqueue.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { ControllerParts } from "../parts.ts";
import { planBudget, type Scaled } from "./plan.ts";

const NAME = "disruption-controller";

type Owner = DeepReadonly<OwnerReference>;
type Labels = Readonly<Record<string, string>> | undefined;

/** Runs until the signal aborts. Keys are those of budgets. */
export async function runDisruptionController(o: ControllerParts, signal: AbortSignal): Promise<void> {
  const budgets = o.informers.of(podDisruptionBudgets);
  const all = o.informers.of(pods);
  const queue = new WorkQueue(o);
  using recorder = new EventRecorder({ ...o, component: NAME });

  budgets.onChange((key, now) => now && queue.add(key));
  const affected = (namespace: string, labels: Labels) => {
    for (const b of budgets.byIndex("namespace", namespace)) {
      if (selects(b, labels)) queue.add(makeKey(namespace, nameOf(b)));
    }
  };
  all.onChange((_, now, old) => {
    for (const pod of [now, old]) if (pod) affected(namespaceOf(pod), pod.metadata.labels);
  });
  // What a share is a share of has changed.
  const rescaled = (_: string, now: DeepReadonly<ApiObject> | undefined, old: DeepReadonly<ApiObject> | undefined) => {
    if (replicasOf(now) === replicasOf(old)) return;
    for (const b of budgets.byIndex("namespace", namespaceOf(now ?? old ?? { metadata: {} }))) {
      queue.add(makeKey(namespaceOf(b), nameOf(b)));
    }
  };
  for (const ref of o.kinds.all()) if (isScaledKind(ref.group, ref.plural)) o.informers.of(ref).onChange(rescaled);

  const reconcile: Reconcile = async (key, _, { reconcileId }) => {
    const budget = budgets.get(key);
    if (!budget) return "done";
    const namespace = namespaceOf(budget);
    const own = all.byIndex("namespace", namespace).filter((p) => selects(budget, p.metadata.labels));
    const plan = planBudget(budget, own, (owner) => findScale(o, owner, namespace), o.clock.now());
    if (!deepEqual(budget.status ?? {}, plan.status)) {
      const cause = {
        component: NAME,
        reconcileId,
        reason: "DisruptionsCounted",
        object: `poddisruptionbudgets/${key}`,
      };
      try {
        await o.client
          .resource(podDisruptionBudgets, namespace)
          .updateStatus({ ...budget, status: plan.status }, { cause });
      } catch (error) {
        if (isReason(error, "NotFound")) return "done";
        throw error;
      }
      const subject = subjectOf(podDisruptionBudgets, budget);
      for (const e of plan.events) recorder.event(subject, e.type, e.reason, e.message);
    }
    return plan.againAfterMs === undefined ? "done" : { againAfterMs: plan.againAfterMs };
  };

  await runController({ ...o, name: NAME, queue, reconcile, workers: 2, after: [budgets, all] }, signal);
}

function selects(budget: DeepReadonly<PodDisruptionBudget>, labels: Labels): boolean {
  const selector = fromLabelSelector(budget.spec?.selector);
  return selector !== undefined && matchesLabels(selector, labels);
}

const SCALED: readonly string[] = [
  "replicationcontrollers",
  "apps/replicasets",
  "apps/deployments",
  "apps/statefulsets",
];

function isScaledKind(group: string, plural: string): boolean {
  return SCALED.includes(group ? `${group}/${plural}` : plural);
}

function replicasOf(o: DeepReadonly<ApiObject> | undefined): number | undefined {
  return (o as { spec?: { replicas?: number } } | undefined)?.spec?.replicas;
}

/** Of a Deployment's ReplicaSet the Deployment counts: between two of them its Pods are still its own. */
function findScale(o: ControllerParts, owner: Owner, namespace: string): Scaled | undefined {
  const found = lookUp(o, owner, namespace);
  if (!found) return undefined;
  const above = controllerOf(found);
  if (owner.kind === "ReplicaSet" && above?.kind === "Deployment") {
    const deployment = o.informers.of(deployments).get(makeKey(namespace, above.name));
    return deployment && uidOf(deployment) === above.uid ? scaleOf(deployment, "deployments.apps") : undefined;
  }
  return scaleOf(found, `${owner.kind.toLowerCase()}s.${parseApiVersion(owner.apiVersion).group}`);
}

function lookUp(o: ControllerParts, owner: Owner, namespace: string): DeepReadonly<ApiObject> | undefined {
  const { group } = parseApiVersion(owner.apiVersion);
  const ref = o.kinds.all().find((k) => k.group === group && k.kind === owner.kind);
  const found = ref && o.informers.of(ref).get(makeKey(namespace, owner.name));
  return found && uidOf(found) === owner.uid ? found : undefined;
}

function scaleOf(o: DeepReadonly<ApiObject>, resource: string): Scaled {
  const replicas = replicasOf(o);
  if (replicas === undefined) throw new Error(`${resource} does not implement the scale subresource`);
  return { uid: uidOf(o), replicas };
}
