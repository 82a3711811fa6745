/**
 * Eviction: a delete of a Pod that its PodDisruptionBudget must allow. What the budget allows is counted down in the
 * budget itself before the Pod is deleted, so that any number of evictions at once do not exceed it; the disruption
 * controller counts anew when it sees the Pod go.
 */
import { withDisruptionCondition, DISRUPTION_ALLOWED, SYNC_FAILED } from "../../api/disruption.ts";
import { deepClone } from "../../api/equal.ts";
import type { Eviction, Pod, PodCondition, PodDisruptionBudget } from "../../api/generated/types.ts";
import { pods } from "../../api/kinds/core/pod.ts";
import { podDisruptionBudgets } from "../../api/kinds/policy/poddisruptionbudget.ts";
import { nameOf, namespaceOf } from "../../api/object.ts";
import { condition, isReady, isTerminal } from "../../api/pod.ts";
import { fromLabelSelector, matchesLabels } from "../../api/selectors.ts";
import { ApiError, badRequest, conflict, isReason, type Status } from "../../api/status.ts";
import type { DeleteOptions } from "../../client/client.ts";
import { rfc3339 } from "../../util/clock.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { checkEvictor } from "../admission/node-restriction.ts";
import type { CallHandler, VirtualRequest } from "../virtual.ts";

type Budget = DeepReadonly<PodDisruptionBudget>;

/** Writes lost to others before an eviction is given up. */
const ATTEMPTS = 20;
/** Evictions that the controller has not confirmed; more means that it does not run. */
const MAX_DISRUPTED = 2000;
const CANNOT = "Cannot evict pod as it would violate the pod's disruption budget.";

export const evict: CallHandler = async (target, input, r) => {
  const eviction = input as Eviction;
  const name = nameOf(target);
  if (eviction.metadata.name && eviction.metadata.name !== name) {
    throw badRequest("name in URL does not match name in Eviction object");
  }
  checkEvictor(r.context.user, target as DeepReadonly<Pod>);
  const options = deleteOptionsOf(eviction, r);
  let pod = target as DeepReadonly<Pod>;
  for (let attempt = 1; ; attempt++) {
    try {
      await evictOnce(pod, options, r);
      return success();
    } catch (error) {
      const mine = options.preconditions?.resourceVersion === undefined;
      if (!isReason(error, "Conflict") || !mine || attempt === ATTEMPTS) throw error;
      pod = await r.client.resource(pods, namespaceOf(target)).get(name);
    }
  }
};

function success(): Status {
  return { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", code: 201 };
}

type Options = DeleteOptions & { readonly dryRun: boolean };

function deleteOptionsOf({ deleteOptions }: Eviction, r: VirtualRequest): Options {
  const { gracePeriodSeconds, preconditions, propagationPolicy } = deleteOptions ?? {};
  return {
    dryRun: r.context.dryRun || (deleteOptions?.dryRun?.includes("All") ?? false),
    ...(gracePeriodSeconds !== undefined && { gracePeriodSeconds }),
    ...(preconditions && { preconditions }),
    ...(propagationPolicy && { propagationPolicy: propagationPolicy as "Background" | "Foreground" | "Orphan" }),
  };
}

async function evictOnce(pod: DeepReadonly<Pod>, options: Options, r: VirtualRequest): Promise<void> {
  const gone = isTerminal(pod) || pod.metadata.deletionTimestamp !== undefined;
  // Nobody counts on a Pod that does not run.
  if (gone) return remove(pod, options, r);
  if (pod.status?.phase === "Pending") return remove(pod, asSeen(pod, options), r);
  const budget = budgetOf(pod, r);
  if (!budget) return remove(pod, options, r);
  if (!mayGoUnready(pod, budget)) {
    await countDown(pod, budget, options, r);
    return remove(pod, options, r);
  }
  // Only as long as it is unready: that is checked by its revision.
  await remove(pod, asSeen(pod, options), r).catch((error: unknown) => {
    const lost = isReason(error, "Conflict") && options.preconditions?.resourceVersion === undefined;
    throw lost ? stillProcessing(budget) : error;
  });
}

function asSeen(pod: DeepReadonly<Pod>, options: Options): Options {
  const { resourceVersion } = pod.metadata;
  return { ...options, preconditions: { ...(resourceVersion && { resourceVersion }), ...options.preconditions } };
}

function budgetOf(pod: DeepReadonly<Pod>, r: VirtualRequest): Budget | undefined {
  const budgets = [...r.view.list(podDisruptionBudgets, namespaceOf(pod))].filter((b) => {
    const selector = fromLabelSelector(b.spec?.selector);
    return selector !== undefined && matchesLabels(selector, pod.metadata.labels);
  });
  if (budgets.length > 1) {
    const why = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
    throw new ApiError("Unknown", why);
  }
  return budgets[0];
}

/** A Pod that serves nobody is no loss, if the policy says so or enough others serve. */
function mayGoUnready(pod: DeepReadonly<Pod>, { spec, status }: Budget): boolean {
  if (isReady(pod)) return false;
  const { currentHealthy = 0, desiredHealthy = 0 } = status ?? {};
  return spec?.unhealthyPodEvictionPolicy === "AlwaysAllow" || (currentHealthy >= desiredHealthy && desiredHealthy > 0);
}

/** Takes one from what the budget allows; decided anew as long as others change it at the same time. */
async function countDown(pod: DeepReadonly<Pod>, first: Budget, options: Options, r: VirtualRequest): Promise<void> {
  const api = r.client.resource(podDisruptionBudgets, namespaceOf(pod));
  let budget = first;
  for (let attempt = 1; ; attempt++) {
    try {
      const status = disrupted(budget, nameOf(pod), r.context.now);
      if (!options.dryRun) await api.updateStatus({ ...budget, status });
      return;
    } catch (error) {
      // What the cache showed may be old: refused is only who is refused by the newest state.
      const again = isReason(error, "Conflict") || (attempt === 1 && isReason(error, "TooManyRequests"));
      if (!again) throw error;
      if (attempt === ATTEMPTS) throw busy(nameOf(budget));
      budget = await api.get(nameOf(budget));
    }
  }
}

/** The status after one more disruption. Throws when none is allowed. */
export function disrupted(budget: Budget, pod: string, now: number): NonNullable<PodDisruptionBudget["status"]> {
  const status = deepClone(budget.status ?? {});
  if ((status.observedGeneration ?? 0) < (budget.metadata.generation ?? 0)) throw stillProcessing(budget);
  const allowed = status.disruptionsAllowed ?? 0;
  const refuse = (why: string) => {
    const name = nameOf(budget);
    return new ApiError("Forbidden", `poddisruptionbudgets.policy "${name}" is forbidden: ${why}`, {
      name,
      group: "policy",
      kind: "poddisruptionbudgets",
    });
  };
  if (allowed < 0) throw refuse("pdb disruptions allowed is negative");
  if (Object.keys(status.disruptedPods ?? {}).length > MAX_DISRUPTED) {
    throw refuse("DisruptedPods map too big - too many evictions not confirmed by PDB controller");
  }
  if (allowed === 0) throw tooMany(reasonFor(budget));
  const next = {
    ...status,
    disruptionsAllowed: allowed - 1,
    disruptedPods: { ...status.disruptedPods, [pod]: rfc3339(now) },
  };
  return allowed === 1 ? withDisruptionCondition(budget, next, now) : next;
}

function reasonFor(budget: Budget): string {
  const name = nameOf(budget);
  const { currentHealthy = 0, desiredHealthy = 0, conditions } = budget.status ?? {};
  const said = condition(conditions, DISRUPTION_ALLOWED);
  const silent = `The disruption budget ${name} does not allow evicting pods currently`;
  const refusal = said?.status === "False" && said.message ? said : undefined;
  if (refusal?.reason === SYNC_FAILED) return `${silent} because it failed sync: ${refusal.message}`;
  if (currentHealthy <= desiredHealthy) {
    return `The disruption budget ${name} needs ${desiredHealthy} healthy pods and has ${currentHealthy} currently`;
  }
  return refusal ? `${silent} (${refusal.reason}): ${refusal.message}` : silent;
}

function stillProcessing(budget: Budget): ApiError {
  return tooMany(`The disruption budget ${nameOf(budget)} is still being processed by the server.`, 10);
}

function tooMany(message: string, retryAfterSeconds?: number): ApiError {
  const causes = [{ reason: "DisruptionBudget", message }];
  return new ApiError("TooManyRequests", CANNOT, { causes, ...(retryAfterSeconds && { retryAfterSeconds }) });
}

function busy(budget: string): ApiError {
  const why = `couldn't update PodDisruptionBudget "${budget}" due to conflicts`;
  return new ApiError("Timeout", `Timeout: ${why}`, { retryAfterSeconds: 10 });
}

/** Says in the Pod why it goes, then deletes it. */
async function remove(pod: DeepReadonly<Pod>, options: Options, r: VirtualRequest): Promise<void> {
  const api = r.client.resource(pods, namespaceOf(pod));
  const { uid } = options.preconditions ?? {};
  if (uid && uid !== pod.metadata.uid) {
    const why = `the UID in the precondition (${uid}) does not match the UID in record (${pod.metadata.uid ?? ""}). The object might have been deleted and then recreated`;
    throw conflict({ group: "", resource: "Pod" }, nameOf(pod), why);
  }
  if (options.dryRun) return api.delete(nameOf(pod), options);
  const { resourceVersion: _, ...meta } = pod.metadata;
  const wanted = options.preconditions?.resourceVersion;
  const metadata = wanted ? { ...meta, resourceVersion: wanted } : meta;
  const conditions = withTarget(pod.status?.conditions ?? [], r.context.now);
  const marked = await api.updateStatus({ ...pod, metadata, status: { ...pod.status, conditions } });
  const seen = wanted ? { resourceVersion: marked.metadata.resourceVersion ?? "" } : {};
  await api.delete(nameOf(pod), { ...options, preconditions: { ...options.preconditions, ...seen } });
}

function withTarget(
  conditions: readonly DeepReadonly<PodCondition>[],
  now: number,
): readonly DeepReadonly<PodCondition>[] {
  const old = condition(conditions, "DisruptionTarget");
  const entry: PodCondition = {
    type: "DisruptionTarget",
    status: "True",
    reason: "EvictionByEvictionAPI",
    message: "Eviction API: evicting",
    lastTransitionTime: old?.status === "True" && old.lastTransitionTime ? old.lastTransitionTime : rfc3339(now),
  };
  return [...conditions.filter((c) => c.type !== entry.type), entry];
}
