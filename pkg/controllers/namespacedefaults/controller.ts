/** Keeps in every active namespace what Pods count on: the ServiceAccount `default`, and the CA by which they know the API. */
import { deepEqual } from "../../api/equal.ts";
import type { ConfigMap, Namespace, ServiceAccount } from "../../api/generated/types.ts";
import { configMaps } from "../../api/kinds/core/configmap.ts";
import { namespaces } from "../../api/kinds/core/namespace.ts";
import { serviceAccounts } from "../../api/kinds/core/serviceaccount.ts";
import { makeKey, splitKey } from "../../api/object.ts";
import { isReason } from "../../api/status.ts";
import type { Client } from "../../client/client.ts";
import type { Cause } from "../../client/transport.ts";
import { Informer } from "../../informer/informer.ts";
import { runController, type Reconcile } from "../../reconcile/controller.ts";
import { together } from "../../reconcile/scope.ts";
import { WorkQueue } from "../../reconcile/workqueue.ts";
import type { Clock, Random } from "../../util/clock.ts";
import type { Logger } from "../../util/log.ts";

export interface NamespaceDefaultsOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: Random;
  /** PEM. Undefined: nothing is published. */
  readonly caCert?: string;
}

const NAME = "namespace-defaults-controller";
const ACCOUNT = "default";
const CA = "kube-root-ca.crt";
const CA_ANNOTATIONS = {
  "kubernetes.io/description":
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints.",
};

/** Runs until the signal aborts. Keys are names of namespaces. */
export async function runNamespaceDefaults(o: NamespaceDefaultsOptions, signal: AbortSignal): Promise<void> {
  const named = (name: string) => ({ listOptions: { fieldSelector: `metadata.name=${name}` } });
  const all = new Informer<Namespace>({ ...o, resource: o.client.resource(namespaces) });
  const accounts = new Informer<ServiceAccount>({
    ...o,
    ...named(ACCOUNT),
    resource: o.client.resource(serviceAccounts),
  });
  const bundles = new Informer<ConfigMap>({ ...o, ...named(CA), resource: o.client.resource(configMaps) });
  const queue = new WorkQueue(o);
  all.onChange((key, now) => now && queue.add(key));
  for (const informer of [accounts, bundles]) informer.onChange((key) => queue.add(splitKey(key).namespace));

  const keepAccount = async (namespace: string, cause: Cause) => {
    if (accounts.get(makeKey(namespace, ACCOUNT))) return;
    await o.client.resource(serviceAccounts, namespace).create({ metadata: { name: ACCOUNT, namespace } }, { cause });
  };
  const keepBundle = async (namespace: string, cause: Cause) => {
    if (o.caCert === undefined) return;
    const data = { "ca.crt": o.caCert };
    const found = bundles.get(makeKey(namespace, CA));
    if (found && deepEqual(found.data, data)) return;
    const api = o.client.resource(configMaps, namespace);
    if (found) await api.update({ ...found, data }, { cause });
    else await api.create({ metadata: { name: CA, namespace, annotations: CA_ANNOTATIONS }, data }, { cause });
  };

  const reconcile: Reconcile = async (namespace, _, { reconcileId }) => {
    const ns = all.get(namespace);
    if (!ns || ns.metadata.deletionTimestamp) return "done";
    const cause = { component: NAME, reconcileId, reason: "DefaultMissing", object: `namespaces/${namespace}` };
    for (const keep of [keepAccount, keepBundle]) {
      await keep(namespace, cause).catch((error: unknown) => {
        // Somebody was faster, or the namespace is on its way out.
        if (!isReason(error, "AlreadyExists", "NotFound", "Forbidden")) throw error;
      });
    }
    return "done";
  };

  await together(
    signal,
    (s) => all.run(s),
    (s) => accounts.run(s),
    (s) => bundles.run(s),
    (s) => runController({ ...o, name: NAME, queue, reconcile, workers: 4, after: [all, accounts, bundles] }, s),
  );
}
