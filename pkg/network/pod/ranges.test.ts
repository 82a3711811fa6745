import { expect, test } from "@jest/globals";
import { parseIpv4Cidr } from "../../util/ipv4.ts";
import { CANDIDATES, chooseRanges, parseProcRoutes, type Ranges, type Route } from "./ranges.ts";

const PROC = `Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	010200C0	0003	0	0	0	00000000	0	0	0
docker0	000011AC	00000000	0001	0	0	0	0000FFFF	0	0	0
mk-1	0000F40A	00000000	0001	0	0	0	00FFFFFF	0	0	0
`;

const route = (to: string, device = "eth1"): Route => ({ to: parseIpv4Cidr(to) ?? { base: 0, prefix: 0 }, device });
const choose = (wish: Partial<Ranges>, routes: readonly Route[], held: readonly string[] = []) => {
  const { podCidr, serviceCidr } = chooseRanges(wish, { routes, isHeld: (range) => held.includes(range) });
  return `${podCidr} ${serviceCidr}`;
};

test("the kernel's table is read; the default route is left out", () => {
  expect(parseProcRoutes(PROC)).toEqual([route("172.17.0.0/16", "docker0"), route("10.244.0.0/24", "mk-1")]);
});

test.each<[string, Partial<Ranges>, Route[], string]>([
  ["nothing else is there", {}, [route("192.168.0.0/24")], "10.244.0.0/16 10.96.0.0/16"],
  ["another cluster runs", {}, [route("10.244.0.0/24")], "10.245.0.0/16 10.97.0.0/16"],
  ["the range of Services is routed", {}, [route("10.96.3.0/24")], "10.245.0.0/16 10.97.0.0/16"],
  ["a VPN has all of 10/8", {}, [route("10.0.0.0/8")], "10.244.0.0/16 10.96.0.0/16"],
  ["Pods are asked for", { podCidr: "10.96.0.0/16" }, [], "10.96.0.0/16 10.97.0.0/16"],
  ["Services are asked for", { serviceCidr: "172.30.0.0/24" }, [], "10.244.0.0/16 172.30.0.0/24"],
  ["both are asked for", { podCidr: "10.1.0.0/16", serviceCidr: "10.2.0.0/16" }, [], "10.1.0.0/16 10.2.0.0/16"],
])("%s", (_, wish, routes, expected) => {
  expect(choose(wish, routes)).toBe(expected);
});

test("a cluster that has no route yet holds its range", () => {
  expect(choose({}, [], ["10.244.0.0/16"])).toBe("10.245.0.0/16 10.97.0.0/16");
});

test.each<[string, Partial<Ranges>, string]>([
  ["is none", { podCidr: "10.244.0.1/16" }, "--pod-cidr 10.244.0.1/16: a range of IPv4 addresses is needed"],
  ["is too narrow", { serviceCidr: "10.1.0.0/30" }, "--service-cidr 10.1.0.0/30: too narrow"],
  [
    "is routed",
    { podCidr: "172.16.0.0/12" },
    "--pod-cidr 172.16.0.0/12 overlaps with 172.17.0.0/16, which is routed to docker0",
  ],
  ["overlaps the other", { podCidr: "10.1.0.0/16", serviceCidr: "10.1.2.0/24" }, "10.1.0.0/16 and 10.1.2.0/24 overlap"],
])("a range that %s is refused", (_, wish, why) => {
  expect(() => choose(wish, [route("172.17.0.0/16", "docker0")])).toThrow(why);
});

test("where none is free the error names the way out", () => {
  const all = CANDIDATES.map((c) => c.podCidr);
  expect(new Set(all).size).toBe(all.length);
  expect(() => choose({}, [], all)).toThrow("choose some with --pod-cidr and --service-cidr");
});
