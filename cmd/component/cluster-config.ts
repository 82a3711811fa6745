/**
 * What every node must know of its cluster: a ConfigMap that each API server writes at its start, and that nodes and
 * controllers read.
 */
import type { ConfigMap } from "../../pkg/api/generated/types.ts";
import { publishClusterInfo } from "../../pkg/apiserver/cluster-info.ts";
import { configMaps } from "../../pkg/api/kinds/core/configmap.ts";
import { isReason } from "../../pkg/api/status.ts";
import { deepEqual } from "../../pkg/api/equal.ts";
import type { Client } from "../../pkg/client/client.ts";
import type { Ranges } from "../../pkg/network/pod/ranges.ts";
import type { Clock } from "../../pkg/util/clock.ts";
import type { Logger } from "../../pkg/util/log.ts";

export const CONFIG_NAMESPACE = "kube-system";
export const CONFIG_NAME = "mini-kube-config";

export interface ClusterConfig extends Ranges {
  /** The names of Services end in it. */
  readonly clusterDomain: string;
}

const RETRY_MS = 1_000;

/** Says so once a while, too: a program that waits in silence looks broken. */
const SAY_EVERY = 10;

interface Waiter {
  readonly client: Client;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface PublishedConfig extends ClusterConfig {
  /** For everybody. */
  readonly info: Parameters<typeof publishClusterInfo>[1];
}

/** Tries until it stands or the signal aborts. Never rejects. */
export async function writeClusterConfig(c: PublishedConfig, o: Waiter, signal: AbortSignal): Promise<void> {
  const { podCidr, serviceCidr, clusterDomain } = c;
  await patiently(o, signal, "the cluster's settings are not written, will retry", async () => {
    await ensure(o.client, { podCidr, serviceCidr, clusterDomain });
    await publishClusterInfo(o.client, c.info);
  });
}

async function ensure(client: Client, data: Readonly<Record<string, string>>): Promise<void> {
  const api = client.resource<ConfigMap>(configMaps, CONFIG_NAMESPACE);
  const metadata = { name: CONFIG_NAME, namespace: CONFIG_NAMESPACE };
  try {
    const found = await api.get(CONFIG_NAME);
    if (!deepEqual(found.data, data)) await api.patch(CONFIG_NAME, "application/merge-patch+json", { data });
  } catch (error) {
    if (!isReason(error, "NotFound")) throw error;
    await api.create({ metadata, data }).catch((raced: unknown) => {
      // Another API server of the cluster was a moment quicker, and says the same.
      if (!isReason(raced, "AlreadyExists")) throw raced;
    });
  }
}

/** Resolves as soon as an API server answers that has written it. Rejects when the signal aborts before. */
export async function readClusterConfig(o: Waiter, signal: AbortSignal): Promise<ClusterConfig> {
  const api = o.client.resource<ConfigMap>(configMaps, CONFIG_NAMESPACE);
  let config: ClusterConfig | undefined;
  await patiently(
    o,
    signal,
    `waiting for the API server and its ConfigMap ${CONFIG_NAMESPACE}/${CONFIG_NAME}`,
    async () => {
      const { data = {} } = await api.get(CONFIG_NAME, signal);
      config = parse(data);
    },
  );
  signal.throwIfAborted();
  if (!config) throw new Error(`there is no ${CONFIG_NAME}`);
  return config;
}

function parse(data: Readonly<Record<string, string | undefined>>): ClusterConfig {
  const { podCidr, serviceCidr, clusterDomain } = data;
  if (podCidr === undefined || serviceCidr === undefined || clusterDomain === undefined) {
    throw new Error(`the ConfigMap ${CONFIG_NAMESPACE}/${CONFIG_NAME} lacks podCidr, serviceCidr or clusterDomain`);
  }
  return { podCidr, serviceCidr, clusterDomain };
}

async function patiently(
  { clock, log }: Waiter,
  signal: AbortSignal,
  message: string,
  attempt: () => Promise<void>,
): Promise<void> {
  for (let tries = 0; !signal.aborted; tries++) {
    try {
      return await attempt();
    } catch (error) {
      // Waiting does not make these right.
      if (isReason(error, "Unauthorized", "Forbidden") && tries >= SAY_EVERY) throw error;
      if (!signal.aborted && tries % SAY_EVERY === 0) log.warn({ err: error }, message);
      await clock.sleep(RETRY_MS, signal).catch(() => {}); // an abort; the loop sees it
    }
  }
}
