/**
 * How a machine that joins finds out that it talks to the right cluster, and that the two can work together.
 *
 * The first question shows nothing of the machine's own, and believes nobody: it is there for the CA's certificate, which
 * a server sends along with its own, and for its clock. When that CA has the hash that was given, only who has a
 * certificate of it is spoken to from then on, and told the token.
 */
import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import type { TLSSocket } from "node:tls";
import { CLUSTER_INFO, type TokenParts } from "../../pkg/api/bootstrap-token.ts";
import type { ConfigMap } from "../../pkg/api/generated/types.ts";
import { type ClusterInfo, parseClusterInfo } from "../../pkg/apiserver/cluster-info.ts";
import { CliError } from "../../pkg/cli/io.ts";
import type { Clock } from "../../pkg/util/clock.ts";
import { own } from "../../pkg/util/keys.ts";
import { publicKeyHash, rootShown } from "../../pkg/util/pki-request.ts";
import { SKEW_MS } from "../../pkg/util/pki.ts";

export interface DiscoverOptions {
  /** `https://10.0.0.1:6443` */
  readonly server: string;
  readonly token: TokenParts;
  /** `sha256:HEX` */
  readonly caHash: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Whoever asks is told, or is refused by an API server: either will do. */
const ANYBODYS = "/version";
const PATH = `/api/v1/namespaces/${CLUSTER_INFO.namespace}/configmaps/${CLUSTER_INFO.name}`;
const ANSWER_MS = 10_000;
/** A token that was made a moment ago may not be known to every server. */
const KNOWN_WITHIN_MS = 3_000;
const AGAIN_MS = 500;
const UNAUTHORIZED = 401;
const NEW_COMMAND = "get a new command on the cluster with: mini-kube token create --print-join-command";

/** Rejects with CliError: what is wrong, and what to do. */
export async function discover(o: DiscoverOptions): Promise<ClusterInfo> {
  const { root, date } = await ask(o, ANYBODYS, { rejectUnauthorized: false });
  if (root === undefined) throw new CliError(`${o.server} does not show the CA of a cluster; check the address`);
  checkHash(root, o);
  checkClock(date, o.clock.now());
  const info = parseClusterInfo(await published(o, root));
  if (!info) throw new CliError(`${o.server} publishes no kubeconfig by which a machine could join`);
  checkHash(info.caCert, o);
  return info;
}

async function published(o: DiscoverOptions, ca: string): Promise<string> {
  const until = o.clock.now() + KNOWN_WITHIN_MS;
  const headers = { authorization: `Bearer ${o.token.id}.${o.token.secret}` };
  for (;;) {
    const { status, text } = await ask(o, PATH, { ca, headers });
    if (status === 200) return (parsed(text, o).data ?? {})["kubeconfig"] ?? "";
    if (status !== UNAUTHORIZED)
      throw new CliError(`what answers at ${o.server} is no mini-kube cluster (it said ${status}); check the address`);
    if (o.clock.now() >= until)
      throw new CliError(
        `the token ${o.token.id} has expired, was mistyped, or is not one of the cluster at ${o.server}; ${NEW_COMMAND}`,
      );
    await o.clock.sleep(AGAIN_MS, o.signal);
  }
}

function parsed(text: string, { server }: DiscoverOptions): ConfigMap {
  try {
    return JSON.parse(text) as ConfigMap;
  } catch {
    throw new CliError(`what answers at ${server} is no API server of a cluster; check the address`);
  }
}

function checkHash(caCert: string, { caHash, server }: DiscoverOptions): void {
  const found = publicKeyHash(caCert);
  if (found === caHash) return;
  throw new CliError(
    `the CA of the cluster at ${server} has the hash ${found}, not ${caHash}: it is another cluster, or somebody is in between; ${NEW_COMMAND}`,
  );
}

/** Certificates hold from {@link SKEW_MS} before they are issued: a clock further behind would refuse them. */
export function checkClock(theirs: number, ours: number): void {
  const aheadMs = ours - theirs;
  if (Number.isNaN(theirs) || Math.abs(aheadMs) < SKEW_MS) return;
  const minutes = Math.round(Math.abs(aheadMs) / 60_000);
  throw new CliError(
    `this machine's clock is ${minutes} min ${aheadMs > 0 ? "ahead of" : "behind"} the cluster's; set one of them right (timedatectl set-ntp true) and join again`,
  );
}

interface Answer {
  readonly status: number;
  readonly text: string;
  /** PEM: the CA that the server says it is of; undefined: it does not say. */
  readonly root: string | undefined;
  /** The server's time, in milliseconds since the epoch; NaN: it has not said. */
  readonly date: number;
}

/** `ca`: believe nobody else. */
type Trust = { readonly rejectUnauthorized: false } | { readonly ca: string; readonly headers: Record<string, string> };

function ask({ server, signal }: DiscoverOptions, path: string, trust: Trust): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const read = (response: IncomingMessage) => {
      const root = rootShown(response.socket as TLSSocket);
      const { statusCode: status = 0, headers } = response;
      let text = "";
      response.setEncoding("utf8").on("data", (d: string) => (text += d));
      response.once("error", (error) => reject(unreachable(error, server)));
      response.once("end", () => resolve({ status, text, root, date: Date.parse(headers.date ?? "") }));
    };
    const sent = request(new URL(path, server), { ...trust, agent: false, signal, timeout: ANSWER_MS }, read);
    sent.once("timeout", () => sent.destroy(Object.assign(new Error("no answer"), { code: "ETIMEDOUT" })));
    sent.once("error", (error) => reject(signal.aborted ? signal.reason : unreachable(error, server)));
    sent.end();
  });
}

/** By error code: what it means, and what to do. */
const MEANINGS: Readonly<Record<string, (host: string, hostname: string) => string>> = {
  ECONNREFUSED: (host) =>
    `nothing listens at ${host}; is the API server up, and told to listen there (mini-kube up --address IP)?`,
  EHOSTUNREACH: (host) => `there is no way from this machine to ${host}; check its network and firewalls`,
  ENETUNREACH: (host) => `there is no way from this machine to ${host}; check its network and routes`,
  ETIMEDOUT: (host) => `${host} does not answer; check the address, and that no firewall drops port and host`,
  ENOTFOUND: (_, hostname) => `no such host: ${hostname}; check the name, or join by the address`,
  EAI_AGAIN: (_, hostname) => `the name ${hostname} cannot be looked up now; check this machine's DNS`,
  ERR_TLS_CERT_ALTNAME_INVALID: (_, hostname) =>
    `the API server's certificate does not name ${hostname}; join by a name that it has, or add this one with --cert-san`,
  CERT_HAS_EXPIRED: (host) =>
    `the certificate of ${host} has expired, or this machine's clock is ahead; restart the API server, it renews it`,
  CERT_NOT_YET_VALID: (host) =>
    `the certificate of ${host} does not hold yet: this machine's clock is behind; set it right (timedatectl set-ntp true)`,
};
const FOREIGN = /^(UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|CERT_SIGNATURE)/;

export function unreachable(error: NodeJS.ErrnoException, server: string): CliError {
  const { host, hostname } = new URL(server);
  const first = error instanceof AggregateError ? ((error.errors as unknown[])[0] as NodeJS.ErrnoException) : error;
  const code = first.code ?? error.code ?? "";
  const meaning = own(MEANINGS, code)?.(host, hostname);
  if (meaning !== undefined) return new CliError(meaning);
  if (FOREIGN.test(code)) {
    return new CliError(
      `${host} has no certificate of the cluster it speaks of: somebody is in between; ${NEW_COMMAND}`,
    );
  }
  return new CliError(`${host} cannot be reached: ${first.message}; check the address`);
}
