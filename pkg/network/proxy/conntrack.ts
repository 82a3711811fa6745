/**
 * The kernel remembers where a client's UDP packets went and sends the next ones there, too, whether somebody is there or
 * not. So what it remembers of endpoints that are gone is deleted. (TCP clients notice by themselves.) The part that
 * decides is pure.
 */
import { spawn } from "node:child_process";
import type { Logger } from "../../util/log.ts";
import type { ServiceRules } from "./service-rules.ts";
import type { MapName } from "./tables.ts";

/** Flows of a front: to one endpoint, or (undefined) that went nowhere because there was none. */
export interface StaleFlows {
  /** Undefined: any address of the node. */
  readonly address: string | undefined;
  readonly port: string;
  readonly endpoint: { readonly address: string; readonly port: string } | undefined;
}

const WITH_ADDRESS: readonly MapName[] = ["cluster-udp", "external-udp"];
const OF_NODE: readonly MapName[] = ["node-cluster-udp", "node-external-udp", "loopback-udp"];

export function staleFlows(before: ServiceRules, after: ServiceRules): readonly StaleFlows[] {
  return [...WITH_ADDRESS, ...OF_NODE].flatMap((map) => {
    const [was, is] = [byFront(before, map), byFront(after, map)];
    const gone = [...was].flatMap(([front, endpoints]) =>
      [...endpoints].filter((e) => !is.get(front)?.has(e)).map((e) => flows(map, front, e)),
    );
    const unserved = (OF_NODE.includes(map) ? before.maps["unserved-node-ports"] : before.maps.unserved) ?? [];
    const lost = new Set(unserved.map(([key]) => key.replace(/(^| \. )udp \. /, (_, join: string) => join)));
    const served = [...is.keys()].filter((front) => lost.has(front)).map((front) => flows(map, front, undefined));
    return [...gone, ...served];
  });
}

/** `10.96.0.10 . 53` → its endpoints, `10.244.0.2 . 5353`. */
function byFront(rules: ServiceRules, map: MapName): ReadonlyMap<string, ReadonlySet<string>> {
  const fronts = new Map<string, Set<string>>();
  for (const [key, endpoint] of rules.maps[map] ?? []) {
    const front = key.slice(0, key.lastIndexOf(" . "));
    const known = fronts.get(front) ?? new Set();
    fronts.set(front, known.add(endpoint));
  }
  return fronts;
}

function flows(map: MapName, front: string, to: string | undefined): StaleFlows {
  const parts = front.split(" . ");
  const [target = "", targetPort = ""] = to?.split(" . ") ?? [];
  const endpoint = to === undefined ? undefined : { address: target, port: targetPort };
  return OF_NODE.includes(map)
    ? { address: undefined, port: parts[0] ?? "", endpoint }
    : { address: parts[0], port: parts[1] ?? "", endpoint };
}

export function conntrackArguments(f: StaleFlows): readonly string[] {
  const address = f.address === undefined ? [] : ["--orig-dst", f.address];
  const endpoint =
    f.endpoint === undefined ? [] : ["--dst-nat", f.endpoint.address, "--reply-port-src", f.endpoint.port];
  return ["-D", "-p", "udp", "--orig-port-dst", f.port, ...address, ...endpoint];
}

/** Never rejects: at worst a client of a Pod that is gone waits until the kernel forgets, two minutes. */
export async function deleteFlows(stale: readonly StaleFlows[], log: Logger): Promise<void> {
  for (const command of new Set(stale.map((flow) => conntrackArguments(flow).join(" ")))) {
    const args = command.split(" ");
    const failure = await run(args);
    if (failure !== undefined)
      log.warn({ args, why: failure }, "UDP flows of endpoints that are gone stay for a while");
  }
}

/** Undefined: done. That there was nothing to delete is no failure. */
function run(args: readonly string[]): Promise<string | undefined> {
  return new Promise((resolve) => {
    const child = spawn("conntrack", args, { stdio: ["ignore", "ignore", "pipe"] });
    let err = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => (err += text));
    child.once("error", (error: NodeJS.ErrnoException) =>
      resolve(error.code === "ENOENT" ? "the program conntrack is missing: apt-get install conntrack" : error.message),
    );
    child.once("close", (code) => resolve(code === 0 || /0 flow entries/.test(err) ? undefined : err.trim()));
  });
}
