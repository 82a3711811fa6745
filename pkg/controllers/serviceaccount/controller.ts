/** Keeps a ServiceAccount `default` in every active namespace: what Pods run as that name none. */
import type { Namespace, ServiceAccount } from "../../api/generated/types.ts";
import { namespaces } from "../../api/kinds/core/namespace.ts";
import { serviceAccounts } from "../../api/kinds/core/serviceaccount.ts";
import { makeKey, splitKey } from "../../api/object.ts";
import { isReason } from "../../api/status.ts";
import type { Client } from "../../client/client.ts";
import { Informer } from "../../informer/informer.ts";
import { runController, type Reconcile } from "../../reconcile/controller.ts";
import { together } from "../../reconcile/scope.ts";
import { WorkQueue } from "../../reconcile/workqueue.ts";
import type { Clock, Random } from "../../util/clock.ts";
import type { Logger } from "../../util/log.ts";

export interface ServiceAccountControllerOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: Random;
}

const NAME = "serviceaccount-controller";
const DEFAULT = "default";

/** Runs until the signal aborts. Keys are names of namespaces. */
export async function runServiceAccountController(
  o: ServiceAccountControllerOptions,
  signal: AbortSignal,
): Promise<void> {
  const all = new Informer<Namespace>({ ...o, resource: o.client.resource(namespaces) });
  const accounts = new Informer<ServiceAccount>({
    ...o,
    resource: o.client.resource(serviceAccounts),
    listOptions: { fieldSelector: `metadata.name=${DEFAULT}` },
  });
  const queue = new WorkQueue(o);
  all.onChange((key, now) => now && queue.add(key));
  accounts.onChange((key, now) => {
    if (!now) queue.add(splitKey(key).namespace);
  });

  const reconcile: Reconcile = async (namespace, _, { reconcileId }) => {
    const ns = all.get(namespace);
    if (!ns || ns.metadata.deletionTimestamp || accounts.get(makeKey(namespace, DEFAULT))) return "done";
    const account = { metadata: { name: DEFAULT, namespace } };
    const cause = { component: NAME, reconcileId, reason: "DefaultMissing", object: `namespaces/${namespace}` };
    try {
      await o.client.resource(serviceAccounts, namespace).create(account, { cause });
    } catch (error) {
      // Somebody was faster, or the namespace is on its way out.
      if (!isReason(error, "AlreadyExists", "NotFound", "Forbidden")) throw error;
    }
    return "done";
  };

  await together(
    signal,
    (s) => all.run(s),
    (s) => accounts.run(s),
    (s) => runController({ ...o, name: NAME, queue, reconcile, workers: 4, after: [all, accounts] }, s),
  );
}
