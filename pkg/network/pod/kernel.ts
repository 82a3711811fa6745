/** Reads and changes this machine's routes, devices and firewall by its own programs. */
import { spawn } from "node:child_process";
import { formatIpv4 } from "../../util/ipv4.ts";
import { type Cluster, type LinkCommands, type Links, ROUTE_PROTOCOL, type Vxlan } from "./links.ts";

type Names = Omit<Cluster, "podCidr">;

/** A program that hangs must not hold the loop for ever. */
const LIMIT_MS = 20_000;
/** Docker asks this chain before its own rules, and leaves what is in it alone. */
const CHAIN = "DOCKER-USER";
const SYSTEM_PATH = "/usr/sbin:/sbin:/usr/bin:/bin";

interface IpRoute {
  readonly dst: string;
  readonly gateway?: string;
  readonly dev: string;
  readonly metric?: number;
  readonly flags?: readonly string[];
}

interface IpLink {
  readonly address?: string;
  readonly mtu?: number;
  readonly linkinfo?: { readonly info_data?: { readonly id?: number; readonly local?: string } };
}

/** What of it is ours, whoever made it: an earlier process, too. */
export async function readLinks(c: Names, signal: AbortSignal): Promise<Links> {
  const [routes, links, accepts] = await Promise.all([
    json<IpRoute>("ip", ["-j", "-4", "route", "show", "proto", String(ROUTE_PROTOCOL)], signal),
    json<IpLink>("ip", ["-j", "-d", "link", "show", "dev", c.vxlanDevice], signal, true),
    readAccepts(c, signal),
  ]);
  const vxlan = links[0] && toVxlan(links[0]);
  return {
    vxlan,
    routes: new Set(routes.filter((r) => r.metric === c.metric).map((r) => routeLine(r, c))),
    neighbours: new Set(vxlan ? await readNeighbours(c, signal) : []),
    forwarding: new Set(vxlan ? await readForwarding(c, signal) : []),
    accepts: new Set(accepts),
  };
}

function routeLine({ dst, gateway = "", dev }: IpRoute, c: Names): string {
  const to = dst.includes("/") ? dst : `${dst}/32`;
  return dev === c.vxlanDevice ? `${to} via ${gateway} dev ${dev} onlink` : `${to} via ${gateway}`;
}

/** Its address follows from its MAC (links.ts, macOf). */
function toVxlan({ address = "", mtu = 0, linkinfo }: IpLink): Vxlan {
  const bits = address
    .split(":")
    .slice(2)
    .reduce((sum, byte) => sum * 256 + Number.parseInt(byte, 16), 0);
  const { id = 0, local = "" } = linkinfo?.info_data ?? {};
  return { id, local, mac: address, mtu, address: formatIpv4(bits) };
}

async function readNeighbours(c: Names, signal: AbortSignal): Promise<string[]> {
  const args = ["-j", "-4", "neigh", "show", "dev", c.vxlanDevice, "nud", "permanent"];
  const all = await json<{ dst: string; lladdr?: string }>("ip", args, signal);
  return all.flatMap((n) => (n.lladdr === undefined ? [] : [`${n.dst} lladdr ${n.lladdr}`]));
}

async function readForwarding(c: Names, signal: AbortSignal): Promise<string[]> {
  const all = await json<{ mac: string; dst?: string }>("bridge", ["-j", "fdb", "show", "dev", c.vxlanDevice], signal);
  return all.flatMap((f) => (f.dst === undefined ? [] : [`${f.mac} dst ${f.dst}`]));
}

/** None where Docker does without iptables. */
async function readAccepts(c: Names, signal: AbortSignal): Promise<string[]> {
  const { code, out } = await run("iptables", ["-w", "-S", CHAIN], signal);
  if (code !== 0) return [];
  const prefix = `-A ${CHAIN} `;
  const ours = out.split("\n").filter((line) => line.startsWith(prefix) && line.includes(`--comment ${c.mark} `));
  return ours.map((line) => line.slice(prefix.length).trim());
}

/** Rejects with the first that fails; the rest is tried at the next look. */
export async function applyLinks(c: LinkCommands, signal: AbortSignal): Promise<void> {
  if (c.ip.length > 0) await must("ip", ["-batch", "-"], signal, `${c.ip.join("\n")}\n`);
  if (c.bridge.length > 0) await must("bridge", ["-batch", "-"], signal, `${c.bridge.join("\n")}\n`);
  if (c.iptables.length === 0) return;
  const { code } = await run("iptables", ["-w", "-S", CHAIN], signal);
  if (code !== 0) return;
  for (const [verb, rule] of c.iptables) await must("iptables", ["-w", verb, CHAIN, ...rule.split(" ")], signal);
}

async function json<T>(
  program: string,
  args: readonly string[],
  signal: AbortSignal,
  mayFail = false,
): Promise<readonly T[]> {
  const { code, out, err } = await run(program, args, signal);
  if (code !== 0 && !mayFail) throw new Error(`${program} ${args.join(" ")}: ${err.trim()}`);
  return code === 0 && out.trim() !== "" ? (JSON.parse(out) as T[]) : [];
}

async function must(program: string, args: readonly string[], signal: AbortSignal, input = ""): Promise<void> {
  const { code, err } = await run(program, args, signal, input);
  if (code !== 0) throw new Error(`${program} ${args.join(" ")}: ${err.trim()}`);
}

interface Answer {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function run(program: string, args: readonly string[], signal: AbortSignal, input = ""): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const within = AbortSignal.any([signal, AbortSignal.timeout(LIMIT_MS)]);
    const child = spawn(program, args, { stdio: "pipe", signal: within, env: { PATH: SYSTEM_PATH, LC_ALL: "C" } });
    let [out, err] = ["", ""];
    child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (err += text));
    child.stdin.on("error", () => {}); // it ended before it had read all: its code tells
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, out, err }));
    child.stdin.end(input);
  });
}
