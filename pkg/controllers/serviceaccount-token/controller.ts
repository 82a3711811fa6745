/**
 * Fills Secrets of the type `kubernetes.io/service-account-token` with a token that holds as long as the Secret, and
 * removes those whose account is gone. It asks the API for the token like anybody else: no key is here.
 */
import type { AuthenticationV1TokenRequest, Secret } from "../../api/generated/types.ts";
import { secrets } from "../../api/kinds/core/secret.ts";
import { serviceAccounts } from "../../api/kinds/core/serviceaccount.ts";
import { keyOf, makeKey, nameOf, namespaceOf, uidOf } from "../../api/object.ts";
import { isReason } from "../../api/status.ts";
import { encodeBase64 } from "../../api/validation/data.ts";
import { runController, type Reconcile } from "../../reconcile/controller.ts";
import { WorkQueue } from "../../reconcile/workqueue.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { ControllerParts } from "../parts.ts";

const NAME = "serviceaccount-token-controller";
const TYPE = "kubernetes.io/service-account-token";
const ACCOUNT_NAME = "kubernetes.io/service-account.name";
const ACCOUNT_UID = "kubernetes.io/service-account.uid";
/** As long as the API gives one: such a token ends with its Secret. */
const SECONDS = 2 ** 32;

type Wanted = DeepReadonly<Secret>;

const accountOf = (secret: Wanted) => secret.metadata.annotations?.[ACCOUNT_NAME] ?? "";

/** Runs until the signal aborts. Keys are those of Secrets. */
export async function runServiceAccountTokens(o: ControllerParts, signal: AbortSignal): Promise<void> {
  const [all, accounts] = [o.informers.of(secrets), o.informers.of(serviceAccounts)];
  const queue = new WorkQueue(o);
  all.onChange((key, now) => {
    if (now?.type === TYPE) queue.add(key);
  });
  accounts.onChange((_, now, old) => {
    const account = now ?? old;
    if (!account) return;
    for (const secret of all.byIndex("namespace", namespaceOf(account))) {
      if (secret.type === TYPE && accountOf(secret) === nameOf(account)) queue.add(keyOf(secret));
    }
  });

  const fill = async (secret: Wanted, uid: string, reconcileId: string) => {
    const [namespace, name] = [namespaceOf(secret), nameOf(secret)];
    const boundObjectRef = { apiVersion: "v1", kind: "Secret", name, uid: uidOf(secret) };
    const body = { spec: { expirationSeconds: SECONDS, boundObjectRef } };
    const api = o.client.resource(serviceAccounts, namespace);
    const answer = (await api.subresource(accountOf(secret), "token", body)) as AuthenticationV1TokenRequest;
    const data = {
      ...(o.caCert !== undefined && { "ca.crt": encodeBase64(o.caCert) }),
      namespace: encodeBase64(namespace),
      token: encodeBase64(answer.status?.token ?? ""),
    };
    const annotations = { ...secret.metadata.annotations, [ACCOUNT_UID]: uid };
    const next = { ...secret, metadata: { ...secret.metadata, annotations }, data: { ...secret.data, ...data } };
    const cause = { component: NAME, reconcileId, reason: "TokenMissing", object: `secrets/${keyOf(secret)}` };
    await o.client.resource(secrets, namespace).update(next, { cause });
  };

  const reconcile: Reconcile = async (key, _, { reconcileId }) => {
    const secret = all.get(key);
    if (!secret || secret.type !== TYPE || secret.metadata.deletionTimestamp) return "done";
    const account = accounts.get(makeKey(namespaceOf(secret), accountOf(secret)));
    const bound = secret.metadata.annotations?.[ACCOUNT_UID];
    try {
      if (!account || (bound !== undefined && bound !== uidOf(account))) {
        const preconditions = { uid: uidOf(secret) };
        await o.client.resource(secrets, namespaceOf(secret)).delete(nameOf(secret), { preconditions });
      } else if (!secret.data?.["token"]) await fill(secret, uidOf(account), reconcileId);
    } catch (error) {
      // It, or its account, went meanwhile: the informers will tell.
      if (!isReason(error, "NotFound", "Conflict")) throw error;
    }
    return "done";
  };

  await runController({ ...o, name: NAME, queue, reconcile, workers: 1, after: [all, accounts] }, signal);
}
