/** `kubectl get componentstatuses`: the store, asked now, and the components that hold a Lease while they work. */
import type { ComponentStatus } from "../../api/generated/types.ts";
import { componentStatuses } from "../../api/kinds/core/componentstatus.ts";
import { leases } from "../../api/kinds/coordination/lease.ts";
import { notFound } from "../../api/status.ts";
import type { Clock } from "../../util/clock.ts";
import { own } from "../../util/keys.ts";
import type { ClusterView } from "../admission.ts";
import { resourceKey } from "../keys.ts";
import type { VirtualHandler } from "../virtual.ts";

export interface ComponentsOptions {
  readonly clock: Clock;
  /** Rejects when the store does not answer. */
  readonly reachStore: () => Promise<void>;
}

/** Rejects with what is wrong. */
type Look = (view: ClusterView) => void | Promise<void>;

export function componentHandlers(o: ComponentsOptions): ReadonlyMap<string, VirtualHandler> {
  const looks: Readonly<Record<string, Look>> = {
    "controller-manager": (view) => holdsLease("kube-controller-manager", view, o.clock.now()),
    scheduler: (view) => holdsLease("kube-scheduler", view, o.clock.now()),
    "etcd-0": () => o.reachStore(),
  };
  const one = async (name: string, view: ClusterView) => {
    const look = own(looks, name);
    if (!look) throw notFound({ group: "", resource: componentStatuses.plural }, name);
    return component(name, await outcome(look, view));
  };
  return new Map<string, VirtualHandler>([
    [
      resourceKey(componentStatuses),
      {
        get: (r) => one(r.name, r.view),
        list: (r) => Promise.all(Object.keys(looks).map((name) => one(name, r.view))),
      },
    ],
  ]);
}

/** A component that needs no Lease, for it is the only one of its kind, runs in the process that answers here. */
function holdsLease(name: string, view: ClusterView, now: number): void {
  const lease = view.get(leases, "kube-system", name);
  if (!lease) return;
  const { renewTime = "", leaseDurationSeconds = 0, holderIdentity = "" } = lease.spec ?? {};
  const due = Date.parse(renewTime) + leaseDurationSeconds * 1000;
  if (due < now) throw new Error(`${holderIdentity || "nobody"} has not renewed the Lease ${name} since ${renewTime}`);
}

async function outcome(look: Look, view: ClusterView): Promise<string | undefined> {
  try {
    await look(view);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function component(name: string, error: string | undefined): ComponentStatus {
  const said = error === undefined ? { status: "True", message: "ok" } : { status: "False", error };
  return {
    apiVersion: "v1",
    kind: "ComponentStatus",
    metadata: { name },
    conditions: [{ type: "Healthy", ...said }],
  };
}
