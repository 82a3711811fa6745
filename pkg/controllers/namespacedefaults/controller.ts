/** Keeps in every active namespace what Pods count on: the ServiceAccount `default`, and the CA by which they know the API. */
import { deepEqual } from "../../api/equal.ts";
import { configMaps } from "../../api/kinds/core/configmap.ts";
import { namespaces } from "../../api/kinds/core/namespace.ts";
import { serviceAccounts } from "../../api/kinds/core/serviceaccount.ts";
import { makeKey, splitKey } from "../../api/object.ts";
import { isReason } from "../../api/status.ts";
import type { Cause } from "../../client/transport.ts";
import { runController, type Reconcile } from "../../reconcile/controller.ts";
import { WorkQueue } from "../../reconcile/workqueue.ts";
import type { ControllerParts } from "../parts.ts";

const NAME = "namespace-defaults-controller";
const ACCOUNT = "default";
const CA = "kube-root-ca.crt";
const CA_ANNOTATIONS = {
  "kubernetes.io/description":
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints.",
};

/** Runs until the signal aborts. Keys are names of namespaces. */
export async function runNamespaceDefaults(o: ControllerParts, signal: AbortSignal): Promise<void> {
  const [all, accounts, bundles] = [
    o.informers.of(namespaces),
    o.informers.of(serviceAccounts),
    o.informers.of(configMaps),
  ];
  const queue = new WorkQueue(o);
  all.onChange((key, now) => now && queue.add(key));
  const watch = (name: string) => (key: string) => {
    if (splitKey(key).name === name) queue.add(splitKey(key).namespace);
  };
  accounts.onChange(watch(ACCOUNT));
  bundles.onChange(watch(CA));

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

  await runController({ ...o, name: NAME, queue, reconcile, workers: 4, after: [all, accounts, bundles] }, signal);
}
