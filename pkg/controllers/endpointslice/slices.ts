/** How slices are written: all of one plan, so that no endpoint is missing in between. */
import type { EndpointSlice } from "../../api/generated/types.ts";
import { endpointSlices } from "../../api/kinds/discovery/endpointslice.ts";
import type { Client } from "../../client/client.ts";
import type { Cause } from "../../client/transport.ts";
import type { Informer } from "../../informer/informer.ts";
import { OwnedObjects } from "../workload/owned-objects.ts";
import type { SlicePlan } from "./plan.ts";

export const SERVICE_NAME = "kubernetes.io/service-name";
export const MANAGED_BY = "endpointslice.kubernetes.io/managed-by";

/** Ends when the informer shows it all: the next plan starts from there. */
export async function writeSlices(
  o: { readonly client: Client; readonly slices: Informer<EndpointSlice>; readonly namespace: string },
  plan: SlicePlan,
  cause: Cause,
  signal: AbortSignal,
): Promise<void> {
  const owned = new OwnedObjects({ client: o.client, ref: endpointSlices, informer: o.slices });
  const api = o.client.resource(endpointSlices, o.namespace);
  const update = async (slice: EndpointSlice) => o.slices.whenShows(await api.update(slice, { cause }), signal);
  await settled(plan.create.map((slice) => owned.create(slice, cause, signal)));
  await settled(plan.update.map(update));
  await settled(plan.delete.map((slice) => owned.delete(slice, cause, signal)));
}

/** Waits for all before it reports the first that failed: nothing goes on behind the caller's back. */
async function settled(writes: readonly Promise<unknown>[]): Promise<void> {
  const failed = (await Promise.allSettled(writes)).find((r) => r.status === "rejected");
  if (failed) throw failed.reason;
}
