/**
 * Takes a machine out of the cluster for good: cordon, drain, and then its Node and its right to speak as one.
 *
 * The right goes before the Node: an agent that still runs would make its Node again.
 */
import type { CertificateSigningRequest, Eviction, Node, Pod } from "../../pkg/api/generated/types.ts";
import { certificateSigningRequests } from "../../pkg/api/kinds/certificates/certificatesigningrequest.ts";
import { configMaps } from "../../pkg/api/kinds/core/configmap.ts";
import { nodes } from "../../pkg/api/kinds/core/node.ts";
import { pods } from "../../pkg/api/kinds/core/pod.ts";
import { nameOf, namespaceOf, uidOf } from "../../pkg/api/object.ts";
import { condition } from "../../pkg/api/pod.ts";
import { REMOVED_NODES, withRemoved } from "../../pkg/api/removed-nodes.ts";
import { isReason } from "../../pkg/api/status.ts";
import { decodeBase64 } from "../../pkg/api/validation/data.ts";
import { CliError } from "../../pkg/cli/io.ts";
import type { Client } from "../../pkg/client/client.ts";
import { type Clock, rfc3339 } from "../../pkg/util/clock.ts";
import { certificateFacts } from "../../pkg/util/pki-request.ts";
import { SKEW_MS } from "../../pkg/util/pki.ts";
import type { DeepReadonly } from "../../pkg/util/types.ts";
import { type DrainFlags, planDrain } from "./drain-plan.ts";

export interface RemoveOptions extends DrainFlags {
  readonly client: Client;
  readonly clock: Clock;
  /** The servers' time, in milliseconds since the epoch: theirs counts. */
  readonly serverTime: () => Promise<number>;
  readonly timeoutMs: number;
  readonly say: (line: string) => unknown;
  readonly signal: AbortSignal;
}

const RETRY_MS = 1_000;
const CONFLICTS = 5;

/** Rejects with what hinders it; the node is cordoned then, and everything else as far as was said. */
export async function removeNode(name: string, o: RemoveOptions): Promise<void> {
  const api = o.client.resource<Node>(nodes);
  const node = await api.get(name, o.signal);
  const plan = planDrain(await podsOf(name, o), o);
  if (plan.refused !== undefined) throw new CliError(plan.refused);
  await api.patch(name, "application/merge-patch+json", { spec: { unschedulable: true } });
  o.say(`node/${name} cordoned`);
  const stay = plan.stay.map((p) => `${namespaceOf(p)}/${nameOf(p)}`);
  if (stay.length > 0) o.say(`these go with the node: ${stay.join(", ")}`);
  await drain(plan.evict, { ...o, dead: o.force && !isReady(node) });
  await shutOut(name, o);
  await api.delete(name, { preconditions: { uid: uidOf(node) } }).catch((error: unknown) => {
    if (!isReason(error, "NotFound")) throw error;
  });
  o.say(`node/${name} removed; on the machine itself: mini-kube leave`);
}

async function podsOf(name: string, { client, signal }: RemoveOptions): Promise<readonly DeepReadonly<Pod>[]> {
  return (await client.resource<Pod>(pods).list({ fieldSelector: `spec.nodeName=${name}` }, signal)).items;
}

const isReady = (node: DeepReadonly<Node>) => condition(node.status?.conditions, "Ready")?.status === "True";

/** `dead`: nobody ends the Pods there any more. */
async function drain(todo: readonly DeepReadonly<Pod>[], o: RemoveOptions & { dead: boolean }): Promise<void> {
  const deadline = o.clock.now() + o.timeoutMs;
  const told = new Set<string>();
  for (let left = todo; left.length > 0; await o.clock.sleep(RETRY_MS, o.signal)) {
    const after = await Promise.all(left.map((pod) => step(pod, o, told)));
    left = left.filter((_, i) => !after[i]);
    if (left.length === 0) return;
    const names = left.map((p) => `${namespaceOf(p)}/${nameOf(p)}`).join(", ");
    if (o.clock.now() >= deadline)
      throw new CliError(`these Pods are still there after ${o.timeoutMs / 1000} s: ${names}`);
  }
}

/** Whether the Pod is gone. */
async function step(pod: DeepReadonly<Pod>, o: RemoveOptions & { dead: boolean }, told: Set<string>): Promise<boolean> {
  const [name, namespace] = [nameOf(pod), namespaceOf(pod)];
  const api = o.client.resource<Pod>(pods, namespace);
  const tell = (line: string) => {
    if (!told.has(line)) o.say(line);
    told.add(line);
  };
  try {
    const now = await api.get(name, o.signal);
    if (uidOf(now) !== uidOf(pod)) return true;
    if (o.dead) await api.delete(name, { gracePeriodSeconds: 0, preconditions: { uid: uidOf(pod) } });
    else if (!now.metadata.deletionTimestamp) {
      const eviction: Eviction = {
        metadata: { name, namespace },
        deleteOptions: { preconditions: { uid: uidOf(pod) } },
      };
      await api.subresource(name, "eviction", { apiVersion: "policy/v1", kind: "Eviction", ...eviction });
    }
    tell(`evicting pod ${namespace}/${name}`);
    return false;
  } catch (error) {
    if (isReason(error, "NotFound")) return true;
    if (!isReason(error, "TooManyRequests")) throw error;
    tell(`pod ${namespace}/${name} waits: ${(error as Error).message}`);
    return false;
  }
}

/**
 * From now on no certificate that it has is good, and what it asked for is not signed. Said again after that: what it had
 * asked for may be signed until its request is gone, and it can ask for nothing more from the first time on.
 */
async function shutOut(name: string, o: RemoveOptions): Promise<void> {
  const requests = o.client.resource<CertificateSigningRequest>(certificateSigningRequests);
  for (let newest = 0; ;) {
    const { items } = await requests.list();
    newest = Math.max(newest, ...items.map((r) => issuedAt(r, name)));
    await refuseUntil(name, newest, o);
    const own = items.filter((r) => r.spec.username === `system:node:${name}`);
    if (own.length === 0) return;
    await Promise.all(
      own.map(async (r) => {
        // Only as it was seen: one that is signed meanwhile is looked at again.
        const { resourceVersion = "" } = r.metadata;
        await requests.delete(nameOf(r), { preconditions: { resourceVersion } }).catch((error: unknown) => {
          if (!isReason(error, "NotFound", "Conflict")) throw error;
        });
      }),
    );
  }
}

/** When a certificate was issued by which that node is known to the API, by the clock of who signed it; else 0. */
function issuedAt({ spec, status }: DeepReadonly<CertificateSigningRequest>, name: string): number {
  if (!status?.certificate || !spec.signerName.startsWith("kubernetes.io/kube-apiserver-client")) return 0;
  const { commonName, notBefore } = certificateFacts({ cert: decodeBase64(status.certificate) });
  return commonName === `system:node:${name}` ? notBefore + SKEW_MS : 0;
}

/** What was issued to it until now, or until `newest`: the clock of who signs may be ahead of the servers'. */
async function refuseUntil(name: string, newest: number, o: RemoveOptions): Promise<void> {
  const maps = o.client.resource(configMaps, REMOVED_NODES.namespace);
  for (let attempt = 1; ; attempt++) {
    try {
      const found = await maps.get(REMOVED_NODES.name).catch(notFound);
      const data = withRemoved(found?.data, name, rfc3339(Math.max(await o.serverTime(), newest)));
      await (found ? maps.update({ ...found, data }) : maps.create({ metadata: { ...REMOVED_NODES }, data }));
      return;
    } catch (error) {
      if (attempt >= CONFLICTS || !isReason(error, "Conflict", "AlreadyExists")) throw error;
    }
  }
}

function notFound(error: unknown): undefined {
  if (!isReason(error, "NotFound")) throw error;
}
