/**
 * From the endpoints there should be and the slices there are to as few writes as possible. Pure.
 *
 *  E1  After the plan every wanted endpoint is in exactly one slice, and nothing else is in any.
 *  E2  An endpoint never moves: it stays in its slice for as long as it is wanted. So a change of one costs one write.
 *  E3  No slice has more than 100 endpoints, all of one set of ports; a slice that has become empty goes or is used anew.
 *  E4  At least one slice stays, so that who reads slices can tell "no endpoints" from "not looked at yet".
 */
import { deepEqual } from "../../api/equal.ts";
import type { DiscoveryV1EndpointPort, Endpoint, EndpointSlice } from "../../api/generated/types.ts";
import { nameOf, type OwnerReference } from "../../api/object.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { earliest, TRIGGER_TIME } from "../endpoints/targets.ts";
import { type PortGroup, portsKey, type WantedEndpoint } from "./wanted.ts";

type ReadonlySlice = DeepReadonly<EndpointSlice>;

export const MAX_ENDPOINTS = 100;

/** What all slices of one owner and family have in common. */
export interface SliceTemplate {
  readonly name: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly owner: OwnerReference;
  readonly addressType: string;
}

export interface SlicePlan {
  readonly create: readonly EndpointSlice[];
  readonly update: readonly EndpointSlice[];
  readonly delete: readonly ReadonlySlice[];
}

/** A slice in the making. */
interface Draft {
  /** Undefined: a new one. */
  readonly old: ReadonlySlice | undefined;
  readonly ports: readonly DiscoveryV1EndpointPort[];
  readonly endpoints: Endpoint[];
  /** Of what is new or changed in it. */
  readonly times: (string | undefined)[];
  changed: boolean;
}

/** `existing`: the owner's slices of this family. */
export function planSlices(
  template: SliceTemplate,
  groups: readonly PortGroup[],
  existing: readonly ReadonlySlice[],
): SlicePlan {
  const wanted = groups.length > 0 ? groups : [{ ports: [], endpoints: [] }];
  const left = new Map<string, ReadonlySlice[]>();
  for (const s of existing.toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))) {
    const key = portsKey(s.ports);
    left.set(key, [...(left.get(key) ?? []), s]);
  }
  const drafts: Draft[] = [];
  for (const group of wanted) {
    const key = portsKey(group.ports);
    drafts.push(...distribute(group, left.get(key) ?? []));
    left.delete(key);
  }
  const kept = drafts.filter((d) => d.endpoints.length > 0);
  const spare = drafts.find((d) => d.endpoints.length === 0);
  const placeholder = kept.length === 0 ? (spare ?? newDraft([])) : undefined;
  const used = placeholder ? [placeholder] : kept;
  const unused = drafts.filter((d) => !used.includes(d)).flatMap((d) => d.old ?? []);
  return written(template, used, [...unused, ...[...left.values()].flat()]);
}

/** What stays, stays where it is; what is new goes where something is written anyway, then where it fits best. */
function distribute({ ports, endpoints }: PortGroup, slices: readonly ReadonlySlice[]): Draft[] {
  const pending = new Map(endpoints.map((w) => [identity(w.endpoint), w]));
  const drafts = slices.map((old) => keepWanted(old, ports, pending));
  for (const d of drafts) if (d.changed) fill(d, pending);
  while (pending.size > 0) {
    const roomy = drafts
      .filter((d) => !d.changed && MAX_ENDPOINTS - d.endpoints.length >= pending.size)
      .toSorted((a, b) => b.endpoints.length - a.endpoints.length);
    const next = roomy[0] ?? newDraft(ports);
    if (!roomy[0]) drafts.push(next);
    fill(next, pending);
  }
  return drafts;
}

function newDraft(ports: PortGroup["ports"]): Draft {
  return { old: undefined, ports, endpoints: [], times: [], changed: true };
}

/** Takes from `pending` what the slice has already. */
function keepWanted(old: ReadonlySlice, ports: PortGroup["ports"], pending: Map<string, WantedEndpoint>): Draft {
  const draft: Draft = { old, ports, endpoints: [], times: [], changed: false };
  for (const before of old.endpoints ?? []) {
    const key = identity(before);
    const now = pending.get(key);
    const full = draft.endpoints.length >= MAX_ENDPOINTS;
    if (!now || full) {
      draft.changed = true;
      continue;
    }
    pending.delete(key);
    draft.endpoints.push(now.endpoint);
    if (deepEqual(before, now.endpoint)) continue;
    draft.changed = true;
    draft.times.push(now.since);
  }
  return draft;
}

function fill(draft: Draft, pending: Map<string, WantedEndpoint>): void {
  for (const [key, { endpoint, since }] of pending) {
    if (draft.endpoints.length >= MAX_ENDPOINTS) return;
    draft.endpoints.push(endpoint);
    draft.times.push(since);
    draft.changed = true;
    pending.delete(key);
  }
}

function identity(e: DeepReadonly<Endpoint>): string {
  return `${e.addresses[0] ?? ""}/${e.targetRef?.uid ?? ""}`;
}

/** A slice no longer needed becomes one that is: one write instead of two, and one object less for all who watch. */
function written(template: SliceTemplate, used: readonly Draft[], unused: readonly ReadonlySlice[]): SlicePlan {
  const recycled = [...unused];
  const create: EndpointSlice[] = [];
  const update: EndpointSlice[] = [];
  for (const draft of used) {
    const old = draft.old ?? recycled.shift();
    const next = sliceOf(template, draft, old);
    if (!old) create.push(next);
    else if (draft.changed || !sameFrame(next, old)) update.push(next);
  }
  return { create, update, delete: recycled };
}

function sliceOf(t: SliceTemplate, draft: Draft, old: ReadonlySlice | undefined): EndpointSlice {
  const since = draft.changed ? earliest(draft.times) : old?.metadata.annotations?.[TRIGGER_TIME];
  const annotations = { ...t.annotations, ...(since !== undefined && { [TRIGGER_TIME]: since }) };
  const common = { labels: { ...t.labels }, annotations, ownerReferences: [t.owner] };
  const metadata = old
    ? { ...(old.metadata as EndpointSlice["metadata"]), ...common }
    : { generateName: `${t.name}-`, namespace: t.namespace, ...common };
  return {
    addressType: t.addressType,
    endpoints: draft.endpoints,
    ports: draft.ports.map((p) => ({ ...p })),
    metadata,
  };
}

function sameFrame(a: EndpointSlice, b: ReadonlySlice): boolean {
  const frame = ({ metadata: m }: ReadonlySlice) => [m.labels, m.annotations ?? {}, m.ownerReferences];
  return deepEqual(frame(a), frame(b));
}
