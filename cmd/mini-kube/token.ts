/** Bootstrap tokens: made, shown and taken back, by whoever may write Secrets of kube-system. */
import { randomInt } from "node:crypto";
import {
  type BootstrapToken,
  bootstrapTokenSecret,
  CLUSTER_INFO,
  parseToken,
  readToken,
  TOKEN_NAMESPACE,
  TOKEN_TYPE,
  tokenSecretName,
} from "../../pkg/api/bootstrap-token.ts";
import { configMaps } from "../../pkg/api/kinds/core/configmap.ts";
import { secrets } from "../../pkg/api/kinds/core/secret.ts";
import { parseClusterInfo } from "../../pkg/apiserver/cluster-info.ts";
import type { Client } from "../../pkg/client/client.ts";
import type { Connection } from "../../pkg/client/kubeconfig.ts";
import { type Clock, rfc3339 } from "../../pkg/util/clock.ts";
import { publicKeyHash } from "../../pkg/util/pki-request.ts";

const ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789";
const random = (length: number) => Array.from({ length }, () => ALPHABET[randomInt(ALPHABET.length)]).join("");

export interface NewToken {
  /** 0: without end. */
  readonly ttlMs: number;
  readonly description?: string | undefined;
}

export interface MadeToken {
  readonly token: string;
  /** RFC 3339. */
  readonly expiration?: string;
  readonly description?: string;
}

export async function createToken(client: Client, o: NewToken, clock: Pick<Clock, "now">): Promise<MadeToken> {
  const [id, secret] = [random(6), random(16)];
  const said = {
    ...(o.ttlMs > 0 && { expiration: rfc3339(clock.now() + o.ttlMs) }),
    ...(o.description !== undefined && { description: o.description }),
  };
  await client.resource(secrets, TOKEN_NAMESPACE).create(bootstrapTokenSecret({ id, secret, ...said }));
  return { token: `${id}.${secret}`, ...said };
}

export async function listTokens(client: Client): Promise<readonly BootstrapToken[]> {
  const { items } = await client.resource(secrets, TOKEN_NAMESPACE).list({ fieldSelector: `type=${TOKEN_TYPE}` });
  return items.flatMap((s) => readToken(s) ?? []).toSorted((a, b) => a.expiresAt - b.expiresAt);
}

/** `token`: the whole or its id. Resolves with the id; undefined: it can be neither. */
export async function deleteToken(client: Client, token: string): Promise<string | undefined> {
  const id = parseToken(token)?.id ?? (/^[a-z0-9]{6}$/.test(token) ? token : undefined);
  if (id !== undefined) await client.resource(secrets, TOKEN_NAMESPACE).delete(tokenSecretName(id));
  return id;
}

const LOOPBACK = /^(127\.|localhost$|\[?::1)/;

/** Where other machines reach the API: as we do, unless we are on its own machine. */
export async function serverForOthers(client: Client, { server }: Connection): Promise<string> {
  if (!LOOPBACK.test(new URL(server).hostname)) return server;
  const { data } = await client.resource(configMaps, CLUSTER_INFO.namespace).get(CLUSTER_INFO.name);
  const info = parseClusterInfo(data?.["kubeconfig"] ?? "");
  const known = [info?.server ?? server, ...(info?.others ?? [])];
  return known.find((s) => !LOOPBACK.test(new URL(s).hostname)) ?? server;
}

export const onlyHere = (server: string) => LOOPBACK.test(new URL(server).hostname);

export function joinCommand(server: string, token: string, ca: string): string {
  return `mini-kube join ${server} --token ${token} --ca-hash ${publicKeyHash(ca)}`;
}
