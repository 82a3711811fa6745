/** The network of a node in one process: which parts there are, and what the agent asks of them. */
import { Drain } from "../../pkg/agent/drain.ts";
import type { Pod } from "../../pkg/agent/facts.ts";
import { nodes } from "../../pkg/api/kinds/core/node.ts";
import type { Client } from "../../pkg/client/client.ts";
import { Informers } from "../../pkg/informer/informers.ts";
import { runDns } from "../../pkg/network/dns/dns.ts";
import { DNS_NAMESPACE } from "../../pkg/api/traffic.ts";
import { DNS_LABELS, DNS_PORTS } from "../../pkg/network/dns/publish.ts";
import { nftTable, removeTable, tableName } from "../../pkg/network/nft/table.ts";
import { NodeDataPath } from "../../pkg/network/node-network.ts";
import { PolicyPart } from "../../pkg/network/policy/part.ts";
import { PodNetwork, removeLinks } from "../../pkg/network/pod/pod-network.ts";
import type { Ranges } from "../../pkg/network/pod/ranges.ts";
import { ServiceProxy } from "../../pkg/network/proxy/proxy.ts";
import { together } from "../../pkg/reconcile/scope.ts";
import type { Clock, Random } from "../../pkg/util/clock.ts";
import { nthAddress, parseIpv4Cidr } from "../../pkg/util/ipv4.ts";
import type { Logger } from "../../pkg/util/log.ts";

export interface NetworkOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly nodeName: string;
  readonly clusterId: string;
  readonly network: Ranges & { readonly address: string | undefined };
  readonly node: { readonly clusterDomain?: string };
}

export interface Network {
  run(signal: AbortSignal): Promise<void>;
  readonly drained: (pod: Pod, signal: AbortSignal) => Promise<void>;
  readonly guarded: (pod: Pod, ip: string, signal: AbortSignal) => Promise<void>;
}

/** Of the node's Pods: the first address of its share. */
const GATEWAY = 1;
/** As everywhere: the tenth address of the Services. */
const DNS = 10;

/** What Pods have in their resolv.conf. */
export function dnsAddress(serviceCidr: string): string {
  const cidr = parseIpv4Cidr(serviceCidr);
  if (!cidr) throw new Error(`${serviceCidr} is no range of addresses`);
  return nthAddress(cidr, DNS);
}

export function nodeNetwork(o: NetworkOptions): Network {
  const informers = new Informers(o);
  const proxy = new ServiceProxy({ ...o, informers });
  const podNetwork = new PodNetwork({ ...o, informers });
  const drain = new Drain({ ...o, informers });
  const machines = informers.of(nodes);
  /** Where the node's DNS listens; undefined while the node has no share of the addresses. */
  const gateway = () => {
    const share = parseIpv4Cidr(machines.get(o.nodeName)?.spec?.podCIDR ?? "");
    return share && nthAddress(share, GATEWAY);
  };
  // The node's DNS is no Pod, but policies speak of it as of one.
  const standIns = () => [gateway()].flatMap((ip) => (ip === undefined ? [] : [dnsStandIn(ip)]));
  const policies = new PolicyPart({ ...o, informers, standIns });
  const dns = async (signal: AbortSignal) => {
    await machines.until(() => gateway() !== undefined, signal);
    const [address, serviceAddress] = [gateway() ?? "", dnsAddress(o.network.serviceCidr)];
    const { clusterDomain: domain } = o.node;
    await runDns({ ...o, informers, address, serviceAddress, ...(domain !== undefined && { domain }) }, signal);
  };
  const parts = [podNetwork, proxy, policies];
  const dataPath = new NodeDataPath({ ...o, table: nftTable(tableName(o.clusterId)), parts });
  return {
    drained: (pod, signal) => drain.drained(pod, signal),
    guarded: (pod, ip, signal) => policies.guard(pod, ip, signal),
    run: (signal) =>
      together(
        signal,
        (s) => informers.run(s),
        (s) => drain.run(s),
        (s) => podNetwork.run(s),
        (s) => proxy.run(s),
        (s) => dataPath.run(s),
        dns,
      ),
  };
}

const dnsStandIn = (ip: string) => ({
  namespace: DNS_NAMESPACE,
  labels: DNS_LABELS,
  ip,
  ports: DNS_PORTS,
  local: false,
});

/** What of it is in the kernel. Idempotent; where there is no nft, there is nothing to remove. */
export async function removeNetwork(clusterId: string, signal: AbortSignal): Promise<void> {
  await Promise.allSettled([removeTable(tableName(clusterId), signal), removeLinks(clusterId, signal)]);
}
