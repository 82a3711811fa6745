#!/usr/bin/env node
/** The program `mini-kube-apiserver`: one of any number on one store. */
import { join, resolve } from "node:path";
import { UsageError } from "../../pkg/cli/io.ts";
import { systemClock } from "../../pkg/util/clock.ts";
import { ControlPlane } from "../component/control-plane.ts";
import { debugPages } from "../component/debug-pages.ts";
import { address, bool, list, port, positive, seconds } from "../component/flags.ts";
import { firstAddress } from "../component/machine.ts";
import { runProgram } from "../component/program.ts";
import { daily } from "../component/renewal.ts";
import { apiServerNames, hostNames, renewPki } from "../mini-kube/pki.ts";

interface Flags {
  readonly store: string;
  readonly storeCaFile?: string;
  readonly storeCertFile?: string;
  readonly storeKeyFile?: string;
  readonly dataDir: string;
  readonly bindAddress: string;
  readonly port: number;
  readonly advertiseAddress?: string;
  readonly certSan?: readonly string[];
  readonly pkiDir?: string;
  readonly encryptionProviderConfig?: string;
  readonly podCidr?: string;
  readonly serviceCidr?: string;
  readonly clusterDomain?: string;
  readonly auditLog?: string;
  readonly auditPolicy?: string;
  readonly tokenFile?: string;
  readonly anonymousAuth?: boolean;
  readonly maxRequestsInflight?: number;
  readonly defaultTolerationSeconds?: number;
}

const NAME = "mini-kube-apiserver";
/** Requests under way have so long to be answered when it stops, and clients so long to hear that they must go. */
const DRAIN = { drainMs: 5_000, quietMs: 1_000 };

await runProgram<Flags>({
  name: NAME,
  summary: "Serves the API. It holds no state: any number of them may serve one store.",
  observeAddress: "127.0.0.1:10256",
  examples: [
    `${NAME} --data-dir /var/lib/mini-kube                     alone, with a store of its own`,
    `${NAME} --store etcds://10.0.0.1:2379,10.0.0.2:2379 --pki-dir /etc/mini-kube/pki \\`,
    "      --store-ca-file …/etcd/ca.crt --store-cert-file …/etcd/client.crt --store-key-file …/etcd/client.key",
  ],
  define: (c) =>
    c
      .option("--store <store>", "where the objects are kept: lmdb, etcd://host:port,… or etcds://… by TLS", "lmdb")
      .option("--store-ca-file <file>", "the CA of the store's certificates")
      .option("--store-cert-file <file>", "how it shows itself to the store")
      .option("--store-key-file <file>", "the key of that")
      .option("--data-dir <dir>", "where lmdb keeps its file", "/var/lib/mini-kube")
      .option("--bind-address <ip>", "where it listens", address("--bind-address"), "0.0.0.0")
      .option("--port <port>", "and on which port", port, 6443)
      .option(
        "--advertise-address <ip>",
        "where Pods and nodes reach it (default: this machine's first address)",
        address("--advertise-address"),
      )
      .option("--cert-san <names>", "other names and addresses that clients know it by, for its certificate", list)
      .option("--pki-dir <dir>", "the cluster's CA and keys; its certificates are issued into it (default: DATA/pki)")
      .option("--encryption-provider-config <file>", "by which keys Secrets are encrypted in the store")
      .option("--pod-cidr <cidr>", "the addresses of Pods (default: 10.244.0.0/16, or the next that is free)")
      .option("--service-cidr <cidr>", "the addresses of Services (default: 10.96.0.0/16, or the next that is free)")
      .option("--cluster-domain <domain>", "the names of Services end in it (default: cluster.local)")
      .option("--audit-log <file>", "write down every request: who, what, when, with what success")
      .option("--audit-policy <file>", "which requests, and how much of them (a Policy of audit.k8s.io/v1)")
      .option("--token-file <file>", 'bearer tokens of other users: lines of token,user,uid,"group1,group2"')
      .option("--anonymous-auth <bool>", "whether anybody is told of health and version", bool, true)
      .option(
        "--max-requests-inflight <n>",
        "seats for requests that run at once; others wait (default: 100)",
        positive,
      )
      .option("--default-toleration-seconds <seconds>", "so long Pods stay on a lost node (default: 5)", seconds),
  run: async (flags, { signal, log, level, metrics, observe }) => {
    const advertised = reachable(flags.advertiseAddress ?? ownAddress(flags.bindAddress));
    const pkiDir = resolve(flags.pkiDir ?? join(flags.dataDir, "pki"));
    const { ips, dnsNames } = hostNames([...(flags.certSan ?? []), ...(await apiServerNames(pkiDir))]);
    const plane = await ControlPlane.open({
      store: flags.store,
      storeTls: { caFile: flags.storeCaFile, certFile: flags.storeCertFile, keyFile: flags.storeKeyFile },
      dataDir: resolve(flags.dataDir),
      pkiDir,
      certSuffix: `${advertised}-${flags.port}`,
      ...(flags.encryptionProviderConfig !== undefined && {
        encryption: { file: resolve(flags.encryptionProviderConfig), create: false },
      }),
      ranges: {
        ...(flags.podCidr !== undefined && { podCidr: flags.podCidr }),
        ...(flags.serviceCidr !== undefined && { serviceCidr: flags.serviceCidr }),
      },
      clusterDomain: flags.clusterDomain,
      identity: {
        auditLog: flags.auditLog,
        auditPolicy: flags.auditPolicy,
        tokenFile: flags.tokenFile,
        anonymousAuth: flags.anonymousAuth,
        seats: flags.maxRequestsInflight,
      },
      host: flags.bindAddress,
      port: flags.port,
      ips: [advertised, ...ips],
      names: dnsNames,
      tolerationSeconds: flags.defaultTolerationSeconds,
      debug: (store) => debugPages({ level, store }),
      log,
    });
    const { requestMetrics } = await import("../component/request-metrics.ts");
    plane.listener.count(requestMetrics(plane, metrics));
    await observe([{ name: "store", run: () => plane.api.reachStore(), readyOnly: true }]);
    log.info({ url: plane.listener.url, advertised }, "the API is served");
    const renew = async () => {
      const renewed = await renewPki(pkiDir, systemClock);
      if (renewed.length > 0) log.info({ renewed }, "renewed certificates");
    };
    await Promise.all([
      plane.publish(advertised, signal),
      plane.writeConfig(signal),
      plane.keepCertificates(signal),
      daily(renew, { clock: systemClock, log }, signal),
    ]);
    await plane.close(DRAIN);
  },
});

/** It means this machine, whichever that is. */
function isNowhere(address: string): boolean {
  return address.startsWith("127.") || address === "0.0.0.0";
}

/** Where others reach what listens there. Throws when nobody can say. */
function ownAddress(bound: string): string {
  if (!isNowhere(bound)) return bound;
  const found = firstAddress();
  if (found !== undefined) return found;
  throw new UsageError("--advertise-address IP is needed: this machine has no address but the loopback's");
}

/** Throws for one that means another machine, or none, to whoever is told of it. */
function reachable(address: string): string {
  if (!isNowhere(address)) return address;
  throw new UsageError(
    `--advertise-address ${address}: Pods and nodes do not reach it; give an address of this machine`,
  );
}
