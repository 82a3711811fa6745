/**
 * ResourceQuota: the charge is written in the transaction that writes the object, under the condition that nobody else has
 * charged the quota since it was read.
 *
 *  Q1  A quota is never exceeded by what is written after it, however many servers and clients write at once.
 *  Q2  It is charged if and only if the object is written.
 *  Q3  What is freed is found by the quota controller, whose count is never too low.
 */
import type { Pod, ResourceQuota } from "../../../api/generated/types.ts";
import { resourceQuotas } from "../../../api/kinds/core/resourcequota.ts";
import { type ApiObject, nameOf } from "../../../api/object.ts";
import { chargeOf, usedOf, type Write } from "../../../api/quota/charge.ts";
import { canonical, type Counted, countedKinds } from "../../../api/quota/usage.ts";
import { parseList, type ResourceList } from "../../../api/resource-list.ts";
import type { ResourceRef } from "../../../api/resource.ts";
import type { TxnOp, Expectation } from "../../../store/store.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import type { AdmissionPlugin, AdmissionRequest, Alongside, ClusterView } from "../../admission.ts";
import { type Entry, encodeStored } from "../../entry.ts";
import { forbidden, isResource } from "../refuse.ts";
import { Turns } from "./turns.ts";

export function resourceQuota(): AdmissionPlugin {
  const turns = new Turns();
  return {
    name: "ResourceQuota",
    validate(r, view) {
      if (!isCharged(r)) return;
      const names = [...view.list(resourceQuotas, r.namespace)].map(nameOf);
      if (names.length > 0) return charge(r, view, names, turns);
    },
  };
}

function isCharged(r: AdmissionRequest): boolean {
  if (!r.def.namespaced || !r.object || r.def.plural === "events") return false;
  if (r.operation === "CREATE") return r.subresource === "";
  if (r.operation !== "UPDATE") return false;
  if (isResource(r, "", "pods")) return r.subresource === "resize" || (r.subresource === "" && changesScope(r));
  if (isResource(r, "", "persistentvolumeclaims")) return r.subresource === "" || r.subresource === "status";
  return isResource(r, "", "services") && r.subresource === "";
}

/** A deadline makes a Pod one of those that will end by themselves. */
function changesScope(r: AdmissionRequest): boolean {
  const ends = (o: DeepReadonly<ApiObject> | undefined) =>
    (o as DeepReadonly<Pod> | undefined)?.spec?.activeDeadlineSeconds !== undefined;
  return ends(r.object) !== ends(r.old);
}

async function charge(
  r: AdmissionRequest,
  view: ClusterView,
  quotas: readonly string[],
  turns: Turns,
): Promise<Alongside | undefined> {
  const { group, plural } = r.def.view?.of ?? r.def;
  const write = { kind: { group, plural }, next: r.object ?? { metadata: {} }, old: r.old, now: r.now };
  const done = await turns.take(r.namespace);
  try {
    const expect: Expectation[] = [];
    const ops: TxnOp[] = [];
    for (const name of quotas) {
      const found = await view.fresh(resourceQuotas, r.namespace, name);
      const op = found && chargeOne(r, view, found, write);
      if (!op) continue;
      expect.push({ key: op.key, modRevision: found.entry.revision });
      ops.push(op);
    }
    if (ops.length > 0) return { expect, ops, done };
  } catch (error) {
    done();
    throw error;
  }
  done();
  return undefined;
}

function chargeOne(
  r: AdmissionRequest,
  view: ClusterView,
  { object: quota, entry }: { object: DeepReadonly<ResourceQuota>; entry: Entry },
  write: Write,
): Extract<TxnOp, { op: "put" }> | undefined {
  const used = knownUsage(quota) ?? usedOf(quota, stored(quota, r.namespace, view), r.now);
  const outcome = chargeOf(quota, used, write);
  if (outcome.verdict === "refuse") throw forbidden(r, outcome.why);
  if (outcome.verdict === "free") return undefined;
  const status = { hard: canonical(quota.spec?.hard), used: outcome.used };
  return { op: "put", key: entry.key, value: encodeStored({ ...quota, status } as DeepReadonly<ApiObject>) };
}

/** What the status says, if it speaks of all that the spec does. */
function knownUsage(quota: DeepReadonly<ResourceQuota>): ResourceList | undefined {
  const used = parseList(quota.status?.used);
  return Object.keys(quota.spec?.hard ?? {}).every((name) => used.has(name)) ? used : undefined;
}

/** A quota that nobody has counted for yet. */
function* stored(
  quota: DeepReadonly<ResourceQuota>,
  namespace: string,
  view: ClusterView,
): Generator<readonly [Counted, DeepReadonly<ApiObject>]> {
  for (const kind of countedKinds(quota.spec?.hard)) {
    const ref: ResourceRef = { ...kind, version: "", kind: "", namespaced: true };
    for (const o of view.list(ref, namespace)) yield [kind, o];
  }
}
