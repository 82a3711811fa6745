import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { Node } from "../../api/generated/types.ts";
import { networkOf, parseIpv4, parseIpv4Cidr } from "../../util/ipv4.ts";
import { clusterNames, linkCommands, type Links, macOf, NO_LINKS, planLinks, type Vxlan } from "./links.ts";
import { ADDRESS_ANNOTATION, type Member, memberOf, type Way, wayTo } from "./peers.ts";

const cidr = (text: string) => parseIpv4Cidr(text) ?? { base: 0, prefix: 32 };
const cluster = { ...clusterNames("2fa95ecc"), podCidr: cidr("10.244.0.0/16") };
const member = (n: number, ip: string, prefix = 24): Member => ({
  name: `node-${n}`,
  ip,
  podCidr: cidr(`10.244.${n}.0/24`),
  link: networkOf(parseIpv4(ip) ?? 0, prefix),
});
const self = member(1, "192.168.1.11");

describe("wayTo", () => {
  const local: Member = { ...member(2, "10.244.2.1"), link: undefined };
  test.each<[string, Member, Way]>([
    ["of the same link", member(2, "192.168.1.12"), "route"],
    ["behind a router", member(2, "192.168.2.12"), "vxlan"],
    ["whose link has another size", member(2, "192.168.1.12", 16), "vxlan"],
    ["of this machine", { ...self, name: "node-2", podCidr: cidr("10.244.2.0/24") }, "host"],
    ["that nobody else reaches", local, "none"],
  ])("to a node %s", (_, peer, way) => {
    expect(wayTo(self, peer, (ip) => ip === self.ip)).toBe(way);
    expect(wayTo(peer, self, (ip) => ip === peer.ip)).toBe(way);
  });
});

describe("memberOf", () => {
  const node = (ip: string, annotation?: string, podCIDR = "10.244.1.0/24"): Node => ({
    metadata: { name: "n", ...(annotation !== undefined && { annotations: { [ADDRESS_ANNOTATION]: annotation } }) },
    spec: { podCIDR },
    status: { addresses: [{ type: "InternalIP", address: ip }] },
  });
  test.each<[string, Node, string | undefined]>([
    ["says all", node("192.168.1.11", "192.168.1.11/24"), "192.168.1.0"],
    ["is reached on its machine only", node("10.244.1.1"), "none"],
    ["had another address", node("192.168.1.11", "192.168.7.7/24"), "none"],
    ["says nonsense", node("192.168.1.11", "192.168.1.11/x"), "none"],
    ["has no share yet", node("192.168.1.11", "192.168.1.11/24", ""), undefined],
  ])("of a Node that %s", (_, n, expected) => {
    const found = memberOf(n);
    const link = found?.link && cidrText(found.link.base);
    expect(found ? (link ?? "none") : undefined).toBe(expected);
  });
});

const cidrText = (base: number) => [24, 16, 8, 0].map((s) => (base >>> s) & 255).join(".");

test("a route to one on the link, a tunnel to one behind a router, nothing to the rest", () => {
  const peers = [
    { ...member(2, "192.168.1.12"), way: "route" as const },
    { ...member(3, "192.168.2.13"), way: "vxlan" as const },
    { ...member(4, "10.244.4.1"), way: "none" as const },
    { ...member(5, "10.244.5.1"), way: "host" as const },
  ];
  const links = planLinks({ cluster, self, peers, uplinkMtu: 1500 });
  const accept = (match: string) => `${match} -m comment --comment mini-kube-2fa95ecc -j ACCEPT`;
  expect(links).toEqual({
    vxlan: { id: 0x0af400, local: "192.168.1.11", mac: "0a:58:0a:f4:01:00", mtu: 1450, address: "10.244.1.0" },
    routes: new Set(["10.244.2.0/24 via 192.168.1.12", "10.244.3.0/24 via 10.244.3.0 dev mkv-2fa95ecc onlink"]),
    neighbours: new Set(["10.244.3.0 lladdr 0a:58:0a:f4:03:00"]),
    forwarding: new Set(["0a:58:0a:f4:03:00 dst 192.168.2.13"]),
    accepts: new Set([
      accept("-s 10.244.0.0/16 -d 10.244.0.0/16"),
      accept("-o mk-2fa95ecc -m conntrack --ctstate DNAT"),
      accept("-s 192.168.1.12/32 -d 10.244.1.0/24"),
      accept("-s 192.168.2.13/32 -d 10.244.1.0/24"),
    ]),
  });
});

/** The kernel, as far as the commands go: it refuses what a real one refuses. */
class Kernel {
  vxlan: Vxlan | undefined;
  readonly routes = new Set<string>();
  readonly neighbours = new Set<string>();
  readonly forwarding = new Set<string>();
  readonly accepts = new Set<string>();

  constructor(links: Links) {
    this.vxlan = links.vxlan;
    for (const key of ["routes", "neighbours", "forwarding", "accepts"] as const)
      for (const line of links[key]) this[key].add(line);
  }

  apply(before: Links, after: Links): void {
    const { ip, bridge, iptables } = linkCommands(before, after, cluster);
    for (const line of ip) this.#ip(line, after);
    for (const line of bridge) this.#bridge(line);
    for (const [verb, rule] of iptables)
      if (verb === "-I") this.accepts.add(rule);
      else this.#remove(this.accepts, rule);
  }

  #ip(line: string, after: Links): void {
    const [object, verb] = line.split(" ");
    const rest = line.split(" ").slice(2).join(" ");
    const entry = rest.replace(/ (proto|dev mkv-2fa95ecc nud) .*$/, "");
    if (object === "link" && verb === "add") {
      if (this.vxlan) throw new Error(`exists: ${line}`);
      this.vxlan = after.vxlan;
    } else if (object === "link" && verb === "del") {
      if (!this.vxlan) throw new Error(`no device: ${line}`);
      this.vxlan = undefined;
      this.neighbours.clear();
      this.forwarding.clear();
      for (const r of this.routes) if (r.includes(" dev ")) this.routes.delete(r);
    } else if (object === "route" && verb === "del") this.#remove(this.routes, entry);
    else if (object === "route") {
      if (entry.includes(" dev ") && !this.vxlan) throw new Error(`no device: ${line}`);
      for (const r of this.routes) if (r.split(" ")[0] === entry.split(" ")[0]) this.routes.delete(r);
      this.routes.add(entry);
    } else if (object === "neigh" && verb === "del")
      this.#remove(this.neighbours, [...this.neighbours].find((n) => n.startsWith(`${rest.split(" ")[0]} `)) ?? rest);
    else if (object === "neigh") this.neighbours.add(entry);
  }

  #bridge(line: string): void {
    const [, verb, ...rest] = line.split(" ");
    const entry = rest.slice(0, 3).join(" ");
    if (verb === "del") return this.#remove(this.forwarding, entry);
    for (const f of this.forwarding) if (f.split(" ")[0] === rest[0]) this.forwarding.delete(f);
    this.forwarding.add(entry);
  }

  #remove(from: Set<string>, line: string): void {
    if (!from.delete(line)) throw new Error(`not there: ${line}`);
  }

  get links(): Links {
    const { vxlan, routes, neighbours, forwarding, accepts } = this;
    return { vxlan, routes, neighbours, forwarding, accepts };
  }
}

describe("linkCommands", () => {
  const peer = fc.record({
    n: fc.integer({ min: 2, max: 9 }),
    link: fc.integer({ min: 1, max: 2 }),
    host: fc.integer({ min: 20, max: 23 }),
  });
  const world = fc
    .record({
      peers: fc.uniqueArray(peer, { selector: (p) => p.n, maxLength: 6 }),
      own: fc.integer({ min: 10, max: 11 }),
      mtu: fc.constantFrom(1500, 9000),
    })
    .map(({ peers, own, mtu }) => {
      const me = member(1, `192.168.1.${own}`);
      const all = peers.map(({ n, link, host }) => {
        const m = member(n, `192.168.${link}.${host}`);
        return { ...m, way: wayTo(me, m, () => false) };
      });
      return planLinks({ cluster, self: me, peers: all, uplinkMtu: mtu });
    });

  test("what was there and the commands make what should be, from anything to anything, and to nothing", () => {
    fc.assert(
      fc.property(world, world, (before, after) => {
        const kernel = new Kernel(before);
        kernel.apply(before, after);
        expect(kernel.links).toEqual(after);
        kernel.apply(after, NO_LINKS);
        expect(kernel.links).toEqual(NO_LINKS);
      }),
    );
  });

  test("what is as it should be costs nothing", () => {
    fc.assert(
      fc.property(world, (links) => {
        expect(linkCommands(links, links, cluster)).toEqual({ ip: [], bridge: [], iptables: [] });
      }),
    );
  });
});

test("a MAC address follows from the address, and is nobody's who made hardware", () => {
  expect(macOf("10.244.3.0")).toBe("0a:58:0a:f4:03:00");
});
