/**
 * What a cluster tells to machines that join, which show a bootstrap token: its CA, and where its API servers are.
 */
import { CLUSTER_INFO } from "../api/bootstrap-token.ts";
import type { ConfigMap } from "../api/generated/types.ts";
import { configMaps } from "../api/kinds/core/configmap.ts";
import { isReason } from "../api/status.ts";
import type { Client } from "../client/client.ts";
import type { DeepReadonly } from "../util/types.ts";
import { parseYamlDocuments, toYaml } from "../util/yaml.ts";

export interface ClusterInfo {
  /** `https://10.0.0.1:6443`; the first server of a cluster is the one it is known by. */
  readonly server: string;
  /** The others. */
  readonly others: readonly string[];
  /** PEM. */
  readonly caCert: string;
}

/** Of one cluster entry: beside `server`. */
const OTHERS = "mini-kube.io/servers";
const CONFLICTS = 5;
/** Servers that are long gone cost who tries them a moment each. */
const MAX_SERVERS = 16;

/** Adds this server to those that are published, all of them under one CA. Writes nothing when it is there already. */
export async function publishClusterInfo(
  client: Client,
  { server, caCert }: Pick<ClusterInfo, "server" | "caCert">,
): Promise<void> {
  const api = client.resource(configMaps, CLUSTER_INFO.namespace);
  for (let attempt = 1; ; attempt++) {
    try {
      const found = await api.get(CLUSTER_INFO.name).catch(notFound);
      const data = nextData(found, { server, caCert });
      if (!data) return;
      await (found ? api.update({ ...found, data }) : api.create({ metadata: { ...CLUSTER_INFO }, data }));
      return;
    } catch (error) {
      // Another server starts at the same time.
      if (attempt >= CONFLICTS || !isReason(error, "Conflict", "AlreadyExists", "NotFound")) throw error;
    }
  }
}

function notFound(error: unknown): undefined {
  if (!isReason(error, "NotFound")) throw error;
}

/** Undefined: it is good as it is. */
function nextData(found: DeepReadonly<ConfigMap> | undefined, own: Pick<ClusterInfo, "server" | "caCert">) {
  const { kubeconfig, ...rest } = found?.data ?? {};
  const known = kubeconfig === undefined ? undefined : parseClusterInfo(kubeconfig);
  // One of another CA is of no use to anybody any more.
  if (known?.caCert !== own.caCert) return { ...rest, kubeconfig: clusterInfoText({ ...own, others: [] }) };
  if ([known.server, ...known.others].includes(own.server)) return undefined;
  const others = [own.server, ...known.others].slice(0, MAX_SERVERS - 1);
  return { ...rest, kubeconfig: clusterInfoText({ ...known, others }) };
}

/** A kubeconfig that names nobody. */
export function clusterInfoText({ server, others, caCert }: ClusterInfo): string {
  const cluster = {
    "certificate-authority-data": Buffer.from(caCert).toString("base64"),
    ...(others.length > 0 && { [OTHERS]: others }),
    server,
  };
  return toYaml({ apiVersion: "v1", clusters: [{ cluster, name: "" }], contexts: null, kind: "Config", users: null });
}

interface Entry {
  readonly server?: unknown;
  readonly "certificate-authority-data"?: unknown;
  readonly [OTHERS]?: unknown;
}

/** Undefined: it is no such text. */
export function parseClusterInfo(text: string): ClusterInfo | undefined {
  try {
    const value = parseYamlDocuments(text, "cluster-info")[0]?.value as
      | { clusters?: { cluster?: Entry }[] }
      | undefined;
    const entry = value?.clusters?.[0]?.cluster;
    const ca = entry?.["certificate-authority-data"];
    if (typeof entry?.server !== "string" || typeof ca !== "string") return undefined;
    const others = Array.isArray(entry[OTHERS]) ? (entry[OTHERS] as unknown[]).map(String) : [];
    return { server: entry.server, others, caCert: Buffer.from(ca, "base64").toString() };
  } catch {
    return undefined;
  }
}
