/**
 * An API server on its store: opens the store, agrees with the others on it about addresses and identity, and listens.
 * It holds no state: what several of them must share is in the store or in the PKI folder.
 */
import { hostname } from "node:os";
import { type Encryption, type EncryptionOptions, openEncryption } from "../../pkg/apiserver/encryption/open.ts";
import type { DebugPages } from "../../pkg/apiserver/debug.ts";
import type { DrainOptions } from "../../pkg/apiserver/drain.ts";
import type { HttpListener } from "../../pkg/apiserver/http.ts";
import { keepEndpoint } from "../../pkg/apiserver/kubernetes-service.ts";
import { ApiServer } from "../../pkg/apiserver/server.ts";
import { CLUSTER_DOMAIN } from "../../pkg/network/dns/zone.ts";
import type { Ranges } from "../../pkg/network/pod/ranges.ts";
import { ensureFormat } from "../../pkg/store/format.ts";
import { openStore, type TlsFiles } from "../../pkg/store/open.ts";
import type { Store } from "../../pkg/store/store.ts";
import { systemClock, systemRandom } from "../../pkg/util/clock.ts";
import type { Logger } from "../../pkg/util/log.ts";
import { type CertRequest, ensurePki, ensureSigningKey, type KeyPair, type Pki } from "../../pkg/util/pki.ts";
import { agreeIdentity, refuseOtherCluster } from "../mini-kube/shared-identity.ts";
import { writeClusterConfig } from "./cluster-config.ts";
import { agreeNetwork, type ClusterNetwork } from "./cluster-network.ts";
import { partsOf } from "./parts.ts";
import { daily } from "./renewal.ts";
import { type IdentityOptions, serveApi } from "./serve-api.ts";

export interface ControlPlaneOptions {
  /** `lmdb`, `memory` or `etcd://host:port,…` */
  readonly store: string;
  /** For `etcds://…`. */
  readonly storeTls?: TlsFiles;
  /** Where lmdb keeps its file. */
  readonly dataDir: string;
  /** How objects are encrypted in the store. Default: not at all. */
  readonly encryption?: Pick<EncryptionOptions, "file" | "create">;
  /** The CA and the key of the ServiceAccounts' tokens; its own certificates are issued into it. */
  readonly pkiDir: string;
  /** Of its own certificates' files: several API servers may share the folder. Default: none. */
  readonly certSuffix?: string;
  /** What the user wants of them; the rest is chosen. */
  readonly ranges: Partial<Ranges>;
  /** The names of Services end in it. Default: cluster.local. */
  readonly clusterDomain?: string | undefined;
  readonly identity: IdentityOptions;
  /** Where it listens, and on which port. */
  readonly host: string;
  readonly port: number;
  /** By which addresses and names clients reach it, beside `host`. */
  readonly ips: readonly string[];
  readonly names?: readonly string[];
  /** So long Pods stay on a lost node, unless they say otherwise. */
  readonly tolerationSeconds?: number | undefined;
  /** For administrators, see debug-pages.ts. */
  readonly debug?: (store: Store) => DebugPages;
  readonly log: Logger;
}

const NO_ENCRYPTION = { file: undefined, create: false };
const LOOPBACK = "127.0.0.1";
const ANYWHERE = "0.0.0.0";
export const MASTERS = "system:masters";
const API_NAMES = ["kubernetes", "kubernetes.default", "kubernetes.default.svc"];

/** Others may act on the same store. */
export const isShared = (store: string) => store.startsWith("etcd");

interface Opened {
  readonly options: ControlPlaneOptions;
  readonly log: Logger;
  readonly store: Store;
  readonly encryption: Encryption;
  readonly network: ClusterNetwork;
  readonly pki: Pki<string>;
  readonly api: ApiServer;
  readonly listener: HttpListener;
}

export class ControlPlane {
  readonly #parts: Opened;
  /** Where it listens by now, beside where its options say. */
  readonly #addresses = new Set<string>();

  private constructor(parts: Opened) {
    this.#parts = parts;
  }

  get api(): ApiServer {
    return this.#parts.api;
  }

  get listener(): HttpListener {
    return this.#parts.listener;
  }

  get store(): Store {
    return this.#parts.store;
  }

  get network(): ClusterNetwork {
    return this.#parts.network;
  }

  /** With its key: whoever has the PKI folder signs for the cluster. */
  get ca(): KeyPair {
    return this.#parts.pki.ca;
  }

  /** Rejects with what hinders it (a port in use, a broken store); nothing is left half opened. */
  static async open(o: ControlPlaneOptions): Promise<ControlPlane> {
    const undo: (() => unknown)[] = [];
    try {
      return await ControlPlane.#open(o, undo);
    } catch (error) {
      for (const step of undo.toReversed()) await step();
      throw error;
    }
  }

  static async #open(o: ControlPlaneOptions, undo: (() => unknown)[]): Promise<ControlPlane> {
    const log = o.log.child({ component: "apiserver" });
    const plain = await openStore(o.store, { dataDir: o.dataDir, clock: systemClock, log: o.log, tls: o.storeTls });
    undo.push(() => plain.close());
    await refuseOtherCluster(plain, o.pkiDir);
    const keys = { ...NO_ENCRYPTION, ...o.encryption };
    const encryption = await openEncryption(plain, { ...keys, machine: hostname(), clock: systemClock, log });
    undo.push(() => encryption.close());
    const { store } = encryption;
    await ensureFormat(store, { onStep: ({ to, says }) => log.info({ to, says }, "upgrading the store's format") });
    const network = await agreeNetwork(store, o.ranges);
    undo.push(() => network.close());
    // Whoever shares the store answers for the same cluster.
    await agreeIdentity(store, o.pkiDir, { shared: isShared(o.store) });
    const { serviceCidr, apiServiceIp } = network;
    const [pki, key, api] = await Promise.all([
      ensurePki(o.pkiDir, certRequests(o, apiServiceIp), systemClock),
      ensureSigningKey(o.pkiDir, "service-account"),
      ApiServer.open({
        store,
        clock: systemClock,
        random: systemRandom,
        log,
        mountTokens: true,
        serviceCidr,
        tolerationSeconds: o.tolerationSeconds,
      }),
    ]);
    undo.push(() => api.close());
    encryption.onReload(() => api.keysChanged());
    const { caCert } = pki;
    const listener = await serveApi(api, {
      ...o.identity,
      host: o.host,
      port: o.port,
      key,
      tls: { ...pairOf(pki, servingName(o)), clientCa: caCert },
      agentTls: { ...pairOf(pki, clientName(o)), ca: caCert },
      ...(o.debug && { debug: o.debug(plain) }),
      alsoCount: (m) => encryption.metrics(m),
      log,
    });
    undo.push(() => listener.close());
    return new ControlPlane({ options: o, log, store, encryption, network, pki, api, listener });
  }

  /** By which it is reached, beside the host's. */
  get addresses(): readonly string[] {
    return [...new Set([...this.#parts.options.ips, ...this.#addresses])];
  }

  /** Listens at another address of this machine, too, with a certificate that says so. */
  async listenAlso(address: string): Promise<void> {
    this.#addresses.add(address);
    const { options: o, listener } = this.#parts;
    await listener.listenAlso(address, pairOf(await this.#ensureCertificates(), servingName(o)));
  }

  /** What is near its end is issued anew, and served from now on. */
  async renewCertificates(): Promise<void> {
    const { options: o, listener } = this.#parts;
    const pki = await this.#ensureCertificates();
    listener.renew({ serving: pairOf(pki, servingName(o)), client: pairOf(pki, clientName(o)) });
  }

  /** Day by day, until the signal aborts. Never rejects. */
  keepCertificates(signal: AbortSignal): Promise<void> {
    return daily(() => this.renewCertificates(), { clock: systemClock, log: this.#parts.log }, signal);
  }

  #ensureCertificates(): Promise<Pki<string>> {
    const { options: o, network } = this.#parts;
    return ensurePki(o.pkiDir, certRequests({ ...o, ips: this.addresses }, network.apiServiceIp), systemClock);
  }

  /** Tells Pods that the API is at this address, until the signal aborts. Never rejects. */
  publish(address: string, signal: AbortSignal): Promise<void> {
    const { api, listener, log } = this.#parts;
    return keepEndpoint({ ...partsOf("apiserver", api.transport(), log), address, port: listener.port }, signal);
  }

  /** Tells nodes what they must know, and those that are none yet how to find the cluster. Never rejects. */
  writeConfig(signal: AbortSignal): Promise<void> {
    const { api, log, network, listener, options, pki } = this.#parts;
    const { host, ips } = options;
    const own = ips[0] ?? (host === ANYWHERE ? LOOPBACK : host);
    const config = {
      ...network,
      clusterDomain: options.clusterDomain ?? CLUSTER_DOMAIN,
      info: { server: `https://${own}:${listener.port}`, caCert: pki.caCert },
    };
    return writeClusterConfig(config, partsOf("apiserver", api.transport(), log), signal);
  }

  /** What is under way may end, within the bounds of `drain`. */
  async close(drain?: DrainOptions): Promise<void> {
    const { listener, api, store, encryption, network } = this.#parts;
    await listener.close(drain);
    await api.close();
    encryption.close();
    await store.close();
    network.close();
  }
}

const suffixed = (name: string, { certSuffix }: ControlPlaneOptions) =>
  certSuffix === undefined ? name : `${name}-${certSuffix}`;
const servingName = (o: ControlPlaneOptions) => suffixed("apiserver", o);
const clientName = (o: ControlPlaneOptions) => suffixed("apiserver-agent-client", o);

function certRequests(o: ControlPlaneOptions, apiServiceIp: string): Record<string, CertRequest> {
  const domain = o.clusterDomain ?? CLUSTER_DOMAIN;
  const anywhere = o.host === ANYWHERE;
  return {
    [servingName(o)]: {
      commonName: "kube-apiserver",
      dnsNames: ["localhost", ...API_NAMES, `${API_NAMES.at(-1)}.${domain}`, ...(o.names ?? [])],
      ips: [...new Set([LOOPBACK, ...(anywhere ? [] : [o.host]), apiServiceIp, ...o.ips])],
      usages: ["server"],
    },
    [clientName(o)]: { commonName: "kube-apiserver-kubelet-client", organizations: [MASTERS], usages: ["client"] },
  };
}

function pairOf(pki: Pki<string>, name: string): KeyPair {
  const pair = pki.certs[name];
  if (!pair) throw new Error(`no certificate ${name} was issued`);
  return pair;
}
