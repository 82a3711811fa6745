/** The network of a node in one process: which parts there are, and what the agent asks of them. */
import { Drain } from "../../pkg/agent/drain.ts";
import type { Pod } from "../../pkg/agent/facts.ts";
import type { Client } from "../../pkg/client/client.ts";
import { Informers } from "../../pkg/informer/informers.ts";
import { nftTable, removeTable, tableName } from "../../pkg/network/nft/table.ts";
import { NodeDataPath } from "../../pkg/network/node-network.ts";
import { ServiceProxy } from "../../pkg/network/proxy/proxy.ts";
import { together } from "../../pkg/reconcile/scope.ts";
import type { Clock, Random } from "../../pkg/util/clock.ts";
import type { Logger } from "../../pkg/util/log.ts";

export interface NetworkOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly nodeName: string;
  readonly clusterId: string;
}

export interface Network {
  run(signal: AbortSignal): Promise<void>;
  drained(pod: Pod, signal: AbortSignal): Promise<void>;
}

export function nodeNetwork(o: NetworkOptions): Network {
  const informers = new Informers(o);
  const proxy = new ServiceProxy({ ...o, informers });
  const drain = new Drain({ ...o, informers });
  const parts = [proxy];
  const dataPath = new NodeDataPath({ ...o, table: nftTable(tableName(o.clusterId)), parts });
  return {
    drained: (pod, signal) => drain.drained(pod, signal),
    run: (signal) =>
      together(
        signal,
        (s) => informers.run(s),
        (s) => drain.run(s),
        (s) => proxy.run(s),
        (s) => dataPath.run(s),
      ),
  };
}

/** What of it is in the kernel. Idempotent; where there is no nft, there is nothing to remove. */
export async function removeNetwork(clusterId: string, signal: AbortSignal): Promise<void> {
  await removeTable(tableName(clusterId), signal);
}
