import { describe, expect, test } from "@jest/globals";
import { FakeClock } from "../../util/fake-clock.ts";
import { seededRandom } from "../../util/clock.ts";
import type { Answer, ResourceRecord } from "./message.ts";
import { Resolver } from "./resolver.ts";
import { type DnsSettings, parseSettings } from "./settings.ts";
import { service, slice, zoneOf } from "./testing/zone.ts";

const POD = "10.244.0.9";
const STRANGER = "192.0.2.99";
const zone = zoneOf({
  namespaces: ["default", "prod"],
  services: [
    service("web", { clusterIP: "10.96.7.7" }),
    service("web", { clusterIP: "10.96.7.8" }, "prod"),
    service("db", { clusterIP: "None" }),
    service("away", { type: "ExternalName", externalName: "www.example.com" }),
    service("near", { type: "ExternalName", externalName: "web.prod.svc.cluster.local" }),
    service("loop", { type: "ExternalName", externalName: "pool.default.svc.cluster.local" }),
    service("pool", { type: "ExternalName", externalName: "loop.default.svc.cluster.local" }),
  ],
  slices: [slice("db", [{ addresses: ["10.244.0.1", "10.244.0.2", "10.244.0.3", "10.244.0.4"] }])],
});

const WORLD: Readonly<Record<string, string>> = {
  "example.com": "93.184.216.34",
  "www.example.com": "93.184.216.35",
  "host.corp.example": "192.0.2.80",
  "intra.lan.example": "192.0.2.81",
};

function setUp(settings: Partial<DnsSettings> = {}, o: { nameservers?: string[]; searches?: string[] } = {}) {
  const asked: string[] = [];
  const resolver = new Resolver({
    zone,
    namespaceAt: (client) => (client === POD ? "default" : undefined),
    clock: new FakeClock(),
    random: seededRandom(7),
    ownAddresses: ["10.96.0.10", "10.244.0.1"],
    exchange: async (to, { name, type }): Promise<Answer> => {
      asked.push(`${to.host}:${to.port} ${name} ${type}`);
      const data = WORLD[name];
      if (data === undefined) return { rcode: "NXDOMAIN", answers: [] };
      return { rcode: "NOERROR", answers: type === "A" ? [{ name, ttl: 60, type: "A", data }] : [] };
    },
  });
  const host = { nameservers: o.nameservers ?? ["192.0.2.53"], searches: o.searches ?? [] };
  resolver.configure({ settings: { ...parseSettings({}), ...settings }, host });
  const ask = async (name: string, o: { type?: string; client?: string } = {}) => {
    const answer = await resolver.resolve({ name, type: o.type ?? "A" }, o.client ?? POD);
    return `${answer.rcode} ${answer.answers.map(text).join(", ")}`.trim();
  };
  return { ask, asked, resolver };
}

const text = (r: ResourceRecord) => `${r.name} ${r.type} ${typeof r.data === "string" ? r.data : ""}`;
const ZONE = "default.svc.cluster.local";

describe("the cluster's names and others'", () => {
  test("its own are answered here, by nobody else", async () => {
    const { ask, asked } = setUp({ autopath: false });
    expect(await ask(`web.${ZONE}`)).toBe(`NOERROR web.${ZONE} A 10.96.7.7`);
    expect(await ask(`nothing.${ZONE}`)).toBe("NXDOMAIN");
    expect(asked).toEqual([]);
  });

  test("an ExternalName is followed, in the cluster and out of it; a circle ends", async () => {
    const { ask } = setUp();
    expect(await ask(`away.${ZONE}`)).toBe(
      `NOERROR away.${ZONE} CNAME www.example.com, www.example.com A 93.184.216.35`,
    );
    expect(await ask(`near.${ZONE}`)).toBe(
      `NOERROR near.${ZONE} CNAME web.prod.svc.cluster.local, web.prod.svc.cluster.local A 10.96.7.8`,
    );
    expect(await ask(`away.${ZONE}`, { type: "CNAME" })).toBe(`NOERROR away.${ZONE} CNAME www.example.com`);
    expect(await ask(`loop.${ZONE}`)).toBe("SERVFAIL");
  });

  test("others are asked in one spelling, and answered in the client's", async () => {
    const { ask, asked } = setUp();
    expect(await ask("Example.COM")).toBe("NOERROR Example.COM A 93.184.216.34");
    expect(asked).toEqual(["192.0.2.53:53 example.com A"]);
  });

  test("those of a headless Service come in another order each time", async () => {
    const { ask } = setUp();
    const orders = new Set<string>();
    for (let i = 0; i < 40; i++) orders.add(await ask(`db.${ZONE}`));
    expect(orders.size).toBeGreaterThan(8);
  });

  test("nobody asks itself: where the host's resolver is this server, there is none", async () => {
    const { ask, asked } = setUp({}, { nameservers: ["10.96.0.10", "10.244.0.1"] });
    expect(await ask("example.com")).toBe("REFUSED");
    expect(asked).toEqual([]);
  });
});

describe("the chain of searches", () => {
  test("is cut short: the first question of a Pod is answered with its end", async () => {
    const { ask, asked } = setUp();
    expect(await ask(`example.com.${ZONE}`)).toBe(
      `NOERROR example.com.${ZONE} CNAME example.com, example.com A 93.184.216.34`,
    );
    expect(asked).toEqual(["192.0.2.53:53 example.com A"]);
    expect(await ask(`web.prod.${ZONE}`)).toBe(
      `NOERROR web.prod.${ZONE} CNAME web.prod.svc.cluster.local, web.prod.svc.cluster.local A 10.96.7.8`,
    );
  });

  test("that a name is there without such a record is an end, too", async () => {
    expect(await setUp().ask(`example.com.${ZONE}`, { type: "AAAA" })).toBe(
      `NOERROR example.com.${ZONE} CNAME example.com`,
    );
  });

  test("the host's own searches come after the cluster's", async () => {
    const { ask, asked } = setUp({}, { searches: ["lan.example"] });
    expect(await ask(`a.intra.${ZONE}`)).toBe("NXDOMAIN");
    expect(asked).toEqual(["192.0.2.53:53 a.intra.lan.example A", "192.0.2.53:53 a.intra A"]);
  });

  test.each([
    ["a word: nobody outside is asked", `printer.${ZONE}`, POD],
    ["a later question of the chain", "example.com.svc.cluster.local", POD],
    ["another namespace's", "example.com.prod.svc.cluster.local", POD],
    ["who is no Pod", `example.com.${ZONE}`, STRANGER],
  ])("not for %s", async (_what, name, client) => {
    const { ask, asked } = setUp();
    expect(await ask(name, { client })).toBe("NXDOMAIN");
    expect(asked).toEqual([]);
  });

  test("it can be turned off", async () => {
    expect(await setUp({ autopath: false }).ask(`example.com.${ZONE}`)).toBe("NXDOMAIN");
  });
});

describe("what an administrator sets", () => {
  const settings = parseSettings({
    upstreamNameservers: '["192.0.2.1:5353"]',
    stubDomains: '{"corp.example": ["192.0.2.60"], "deep.corp.example": ["192.0.2.61"]}',
    hosts: "192.0.2.7 printer.corp.example Printer # upstairs\nfd00::7 printer",
    rewrites: '{"db.example.com": "web.prod.svc.cluster.local"}',
    autopath: "false",
  });

  test.each([
    ["host.corp.example", "A", "NOERROR host.corp.example A 192.0.2.80", ["192.0.2.60:53 host.corp.example A"]],
    ["x.deep.corp.example", "A", "NXDOMAIN", ["192.0.2.61:53 x.deep.corp.example A"]],
    ["notcorp.example", "A", "NXDOMAIN", ["192.0.2.1:5353 notcorp.example A"]],
    ["printer.corp.example", "A", "NOERROR printer.corp.example A 192.0.2.7", []],
    ["PRINTER", "AAAA", "NOERROR PRINTER AAAA fd00::7", []],
    ["printer", "MX", "NOERROR", []],
    [
      "7.2.0.192.in-addr.arpa",
      "PTR",
      "NOERROR 7.2.0.192.in-addr.arpa PTR printer.corp.example, 7.2.0.192.in-addr.arpa PTR printer",
      [],
    ],
    [
      "db.example.com",
      "A",
      "NOERROR db.example.com CNAME web.prod.svc.cluster.local, web.prod.svc.cluster.local A 10.96.7.8",
      [],
    ],
  ])("%s %s", async (name, type, said, asked) => {
    const s = setUp(settings);
    expect([await s.ask(name, { type }), s.asked]).toEqual([said, asked]);
  });

  test.each([
    [
      { upstreams: "[]" },
      "upstreams: there is no such setting; there are upstreamNameservers, stubDomains, hosts, rewrites, autopath",
    ],
    [{ upstreamNameservers: "8.8.8.8" }, /^"8.8.8.8" is no JSON/],
    [{ upstreamNameservers: "[]" }, "upstreamNameservers: must be a list of addresses"],
    [
      { upstreamNameservers: '["dns.example"]' },
      'upstreamNameservers: "dns.example" is no address (192.0.2.53 or 192.0.2.53:53)',
    ],
    [{ upstreamNameservers: '["192.0.2.1:99999"]' }, /is no address/],
    [{ stubDomains: '["a"]' }, "stubDomains: must be an object, by domain name"],
    [{ stubDomains: '{"a b": ["192.0.2.1"]}' }, 'stubDomains: "a b" is no domain name'],
    [{ stubDomains: '{"a.b": "192.0.2.1"}' }, "stubDomains.a.b: must be a list of addresses"],
    [{ hosts: "printer 192.0.2.7" }, 'hosts: "printer" is no IP address'],
    [{ rewrites: '{"a.b": 7}' }, "rewrites.a.b: 7 is no domain name"],
    [{ autopath: "yes" }, 'autopath: must be "true" or "false"'],
  ] as [Record<string, string>, string | RegExp][])("%j is refused", (data, why) => {
    expect(() => parseSettings(data)).toThrow(why);
  });

  test("addresses of both families, with and without ports", () => {
    const { upstreams } = parseSettings({
      upstreamNameservers: '["192.0.2.1", "192.0.2.1:54", "2001:DB8::1", "[2001:db8::1]:54"]',
    });
    expect(upstreams?.map((u) => `${u.host} ${u.port}`)).toEqual([
      "192.0.2.1 53",
      "192.0.2.1 54",
      "2001:db8::1 53",
      "2001:db8::1 54",
    ]);
  });
});
