/** The Endpoints object of a Service: all its addresses in one object, for those who do not read slices yet. Pure. */
import { deepEqual, semanticEqual } from "../../api/equal.ts";
import type { EndpointAddress, Endpoints, EndpointSubset, Pod } from "../../api/generated/types.ts";
import { nameOf, namespaceOf } from "../../api/object.ts";
import { isReady } from "../../api/pod.ts";
import { isHeadless } from "../../api/service.ts";
import type { DeepReadonly } from "../../util/types.ts";
import {
  addressOf,
  changedAt,
  earliest,
  HEADLESS,
  hostnameOf,
  isTarget,
  type ReadonlyService,
  targetPorts,
  targetRef,
  TRIGGER_TIME,
} from "./targets.ts";

type ReadonlyPod = DeepReadonly<Pod>;
type ReadonlyEndpoints = DeepReadonly<Endpoints>;

/** More make the object too big for those who watch it. */
export const MAX_ADDRESSES = 1000;
const OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity";
const MANAGED_BY = "endpoints.kubernetes.io/managed-by";
export const CONTROLLER = "endpoint-controller";

export const isManaged = (o: ReadonlyEndpoints) => o.metadata.labels?.[MANAGED_BY] === CONTROLLER;

/** What `old` should be; undefined: it is already. `pods`: those that the Service selects. */
export function planEndpoints(
  service: ReadonlyService,
  pods: readonly ReadonlyPod[],
  old: ReadonlyEndpoints | undefined,
): Endpoints | undefined {
  const early = service.spec?.publishNotReadyAddresses === true;
  const targets = pods.filter((p) => isTarget(service, p) && (early || p.metadata.deletionTimestamp === undefined));
  const { subsets, truncated } = truncate(subsetsOf(service, targets, early));
  const labels = {
    ...service.metadata.labels,
    ...(service.spec && isHeadless(service.spec) && { [HEADLESS]: "" }),
    [MANAGED_BY]: CONTROLLER,
  };
  const same =
    old &&
    semanticEqual(subsets, old.subsets) &&
    deepEqual(labels, old.metadata.labels) &&
    truncated === (old.metadata.annotations?.[OVER_CAPACITY] === "truncated");
  if (same) return undefined;
  const { [TRIGGER_TIME]: _, [OVER_CAPACITY]: __, ...kept } = old?.metadata.annotations ?? {};
  const since = triggeredAt(targets, subsets, old);
  const annotations = {
    ...kept,
    ...(since !== undefined && { [TRIGGER_TIME]: since }),
    ...(truncated && { [OVER_CAPACITY]: "truncated" }),
  };
  const identity = old
    ? { ...(old.metadata as Endpoints["metadata"]) }
    : { name: nameOf(service), namespace: namespaceOf(service) };
  return { metadata: { ...identity, labels, annotations }, subsets };
}

/** Pods that have the same ports stand together; addresses in the order of their text, so that equal sets are equal. */
function subsetsOf(service: ReadonlyService, pods: readonly ReadonlyPod[], early: boolean): EndpointSubset[] {
  const groups = new Map<string, Required<EndpointSubset>>();
  for (const pod of pods) {
    const ip = addressOf(pod, service.spec?.ipFamilies?.[0]);
    if (ip === undefined) continue;
    const ports = targetPorts(service, pod).toSorted((a, b) => ((a.name ?? "") < (b.name ?? "") ? -1 : 1));
    const key = JSON.stringify(ports);
    const group = groups.get(key) ?? { addresses: [], notReadyAddresses: [], ports: ports.map((p) => ({ ...p })) };
    groups.set(key, group);
    const list = early || isReady(pod) ? group.addresses : group.notReadyAddresses;
    list.push(addressEntry(service, pod, ip));
  }
  return [...groups]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([, { addresses, notReadyAddresses, ports }]) => ({
      ...(addresses.length > 0 && { addresses: addresses.toSorted(byAddress) }),
      ...(notReadyAddresses.length > 0 && { notReadyAddresses: notReadyAddresses.toSorted(byAddress) }),
      ...(ports.length > 0 && { ports }),
    }));
}

function addressEntry(service: ReadonlyService, pod: ReadonlyPod, ip: string): EndpointAddress {
  const hostname = hostnameOf(service, pod);
  const nodeName = pod.spec?.nodeName;
  return { ip, ...(hostname && { hostname }), ...(nodeName && { nodeName }), targetRef: targetRef(pod) };
}

function byAddress(a: EndpointAddress, b: EndpointAddress): number {
  if (a.ip !== b.ip) return a.ip < b.ip ? -1 : 1;
  return (a.targetRef?.uid ?? "") < (b.targetRef?.uid ?? "") ? -1 : 1;
}

/** Ready ones first: they are what the object is for. */
function truncate(all: readonly EndpointSubset[]): { subsets: EndpointSubset[]; truncated: boolean } {
  let room = MAX_ADDRESSES;
  let truncated = false;
  const take = (list: EndpointAddress[] | undefined) => {
    const taken = list?.slice(0, room) ?? [];
    room -= taken.length;
    truncated ||= taken.length < (list?.length ?? 0);
    return taken;
  };
  const ready = all.map((s) => take(s.addresses));
  const rest = all.map((s) => take(s.notReadyAddresses));
  const subsets = all.flatMap((s, i): EndpointSubset[] => {
    const [addresses = [], notReadyAddresses = []] = [ready[i], rest[i]];
    if (addresses.length + notReadyAddresses.length === 0) return [];
    return [
      {
        ...(addresses.length > 0 && { addresses }),
        ...(notReadyAddresses.length > 0 && { notReadyAddresses }),
        ...(s.ports && { ports: s.ports }),
      },
    ];
  });
  return { subsets, truncated };
}

/** The earliest of the changes that this write tells of. */
function triggeredAt(
  pods: readonly ReadonlyPod[],
  subsets: readonly EndpointSubset[],
  old: ReadonlyEndpoints | undefined,
): string | undefined {
  const states = (of: readonly DeepReadonly<EndpointSubset>[]) =>
    of.flatMap((s) => [
      ...(s.addresses ?? []).map((a) => [a.targetRef?.uid, true] as const),
      ...(s.notReadyAddresses ?? []).map((a) => [a.targetRef?.uid, false] as const),
    ]);
  const before = new Map(states(old?.subsets ?? []));
  const after = new Map(states(subsets));
  return earliest(
    pods.filter(({ metadata: { uid } }) => before.get(uid) !== after.get(uid)).map((pod) => changedAt(pod)),
  );
}
