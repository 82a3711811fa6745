/** Which devices a Pod's containers get. Pure. */
import { isRestartableInit } from "../../api/pod.ts";
import { bytes } from "../../api/quantity.ts";
import type { DeviceIds } from "../../runtime/resources.ts";
import { type Container, containersOf, initContainersOf, type Pod } from "../facts.ts";
import type { DeviceInventory } from "./devices.ts";

/** By container name. */
export type PodDevices = ReadonlyMap<string, DeviceIds>;

export class NoDevice extends Error {}

/**
 *  V1  No two Pods hold one device; within a Pod only containers that never run at the same time share one.
 *  V2  What a container holds already (from an earlier agent's time) it keeps.
 *
 * Throws {@link NoDevice} when there are too few. `taken`: by other Pods.
 */
export function allocateDevices(
  pod: Pod,
  inventory: DeviceInventory,
  o: { readonly taken: readonly DeviceIds[]; readonly held?: PodDevices },
): PodDevices {
  const result = new Map<string, DeviceIds>();
  for (const resource of Object.keys(inventory)) {
    const others = new Set(o.taken.flatMap((ids) => ids[resource] ?? []));
    const free = (inventory[resource] ?? []).map((d) => d.id).filter((id) => !others.has(id));
    for (const [name, ids] of allocateOne(pod, resource, free, o.held ?? new Map()))
      result.set(name, { ...result.get(name), [resource]: ids });
  }
  return result;
}

/**
 * As the kubelet's device manager: what an init container had, the next ones and the main containers use again; what a
 * sidecar has it keeps, for it goes on.
 */
function* allocateOne(
  pod: Pod,
  resource: string,
  free: readonly string[],
  held: PodDevices,
): Generator<[string, readonly string[]]> {
  const kept = [...held.values()].flatMap((ids) => ids[resource] ?? []);
  const inUse = new Set<string>();
  const reusable = new Set<string>();
  for (const c of [...initContainersOf(pod), ...containersOf(pod)]) {
    const needed = needs(c, resource);
    if (needed === 0) continue;
    const own = (held.get(c.name)?.[resource] ?? []).slice(0, needed);
    const candidates = [
      ...[...reusable].filter((id) => !inUse.has(id)),
      ...free.filter((id) => !inUse.has(id) && !reusable.has(id) && !kept.includes(id)),
    ].filter((id) => !own.includes(id));
    const more = candidates.slice(0, needed - own.length);
    if (own.length + more.length < needed) throw tooFew(resource, needed - own.length, candidates.length);
    const ids = [...own, ...more];
    const passesOn = initContainersOf(pod).includes(c) && !isRestartableInit(c);
    for (const id of ids) (passesOn ? reusable : inUse).add(id);
    yield [c.name, ids];
  }
}

function needs(c: Container, resource: string): number {
  return bytes(c.resources?.limits?.[resource] ?? c.resources?.requests?.[resource] ?? "0");
}

function tooFew(resource: string, requested: number, available: number): NoDevice {
  const numbers = `Requested: ${requested}, Available: ${available}`;
  return new NoDevice(`requested number of devices unavailable for ${resource}. ${numbers}`);
}
