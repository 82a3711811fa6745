/**
 * From which addresses this cluster's Pods and Services have theirs. Chosen once, at the first start, and kept in the
 * store: all processes on one store have the same.
 */
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { nodePrefix, type Ranges, checkedRange, chooseRanges, parseProcRoutes } from "../../pkg/network/pod/ranges.ts";
import type { Store } from "../../pkg/store/store.ts";
import { nthAddress } from "../../pkg/util/ipv4.ts";

const KEY = "/registry/mini-kube/network";

export interface ClusterNetwork extends Ranges {
  /** That of the Service `kubernetes`. */
  readonly apiServiceIp: string;
  /** Lets others have the range; it is held as long as the process lives. */
  close(): void;
}

/** Rejects with why the ranges that were asked for cannot be had. */
export async function agreeNetwork(store: Store, wish: Partial<Ranges>): Promise<ClusterNetwork> {
  const holds: Hold[] = [];
  try {
    const ranges = (await stored(store)) ?? (await settle(store, await choose(wish, holds)));
    refuseOthers(wish, ranges);
    const service = checkedRange(ranges.serviceCidr, "--service-cidr");
    // One that a crash had left in the store alone is held again, if nobody has it.
    if (holds.length === 0) await hold(ranges.podCidr).then((h) => h && holds.push(h));
    const close = () => holds.forEach((h) => h.close());
    return { ...ranges, apiServiceIp: nthAddress(service, 1), close };
  } catch (error) {
    for (const h of holds) h.close();
    throw error;
  }
}

/** What one node's share of the Pods' range is. */
export function nodeRangesOf({ podCidr }: Ranges) {
  const cluster = checkedRange(podCidr, "--pod-cidr");
  return { cluster, prefix: nodePrefix(cluster) };
}

async function stored(store: Store): Promise<Ranges | undefined> {
  const { kv } = await store.get(KEY);
  return kv && (JSON.parse(new TextDecoder().decode(kv.value)) as Ranges);
}

/** Ours, or what somebody else wrote a moment sooner. */
async function settle(store: Store, ranges: Ranges): Promise<Ranges> {
  const value = new TextEncoder().encode(JSON.stringify(ranges));
  const result = await store.txn([{ key: KEY, modRevision: 0n }], [{ op: "put", key: KEY, value }]);
  return result.ok ? ranges : ((await stored(store)) ?? ranges);
}

function refuseOthers(wish: Partial<Ranges>, { podCidr, serviceCidr }: Ranges): void {
  const refuse = (flag: string, asked: string, has: string) => {
    throw new Error(
      `${flag} ${asked}: this cluster has ${has} since its first start; to change it, begin anew (mini-kube down --purge)`,
    );
  };
  if (wish.podCidr !== undefined && wish.podCidr !== podCidr) refuse("--pod-cidr", wish.podCidr, podCidr);
  if (wish.serviceCidr !== undefined && wish.serviceCidr !== serviceCidr)
    refuse("--service-cidr", wish.serviceCidr, serviceCidr);
}

async function choose(wish: Partial<Ranges>, holds: Hold[]): Promise<Ranges> {
  const routes = machineRoutes();
  const others = new Set<string>();
  for (;;) {
    const ranges = chooseRanges(wish, { routes, isHeld: (range) => others.has(range) });
    const held = await hold(ranges.podCidr);
    if (held) {
      holds.push(held);
      return ranges;
    }
    if (wish.podCidr !== undefined)
      throw new Error(`--pod-cidr ${wish.podCidr}: another cluster of this machine has it`);
    others.add(ranges.podCidr);
  }
}

function machineRoutes() {
  try {
    return parseProcRoutes(readFileSync("/proc/net/route", "utf8"));
  } catch {
    // No Linux: the daemon is in a machine of its own, and will refuse what overlaps there.
    return [];
  }
}

interface Hold {
  close(): void;
}

/**
 * An abstract socket: of this network namespace alone, and gone with the process, however it ends. Two clusters that
 * start at the same moment so never choose the same range. Undefined: another process has it.
 */
function hold(podCidr: string): Promise<Hold | undefined> {
  if (process.platform !== "linux") return Promise.resolve({ close: () => {} });
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy());
    server.once("error", () => resolve(undefined));
    server.listen(`\0mini-kube/${podCidr}`, () => {
      server.unref();
      resolve(server);
    });
  });
}
