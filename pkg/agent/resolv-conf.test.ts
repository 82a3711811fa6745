import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { PodSpec } from "../api/generated/types.ts";
import { parseResolvConf, podDns, resolvConfText } from "./resolv-conf.ts";
import { podOf } from "./testing/harness.ts";

const host = { servers: ["192.0.2.1"], searches: ["corp.example"], options: ["timeout:1"] };
const given = { clusterDns: ["10.96.0.10"], clusterDomain: "cluster.local", host };
const dnsOf = (spec: Partial<PodSpec>, more: Partial<typeof given> = {}) =>
  podDns({ pod: podOf("web", [{}], spec), ...given, ...more });
const textOf = (...of: Parameters<typeof dnsOf>) => {
  const dns = dnsOf(...of);
  return dns && resolvConfText(dns.conf);
};

const CLUSTER = `search default.svc.cluster.local svc.cluster.local cluster.local corp.example
nameserver 10.96.0.10
options ndots:5
`;
const HOST = "search corp.example\nnameserver 192.0.2.1\noptions timeout:1\n";
const none = { clusterDns: [] };
const loopback = { host: { ...host, servers: ["127.0.0.53"] } };
const config = {
  nameservers: ["192.0.2.9"],
  searches: ["x.example"],
  options: [{ name: "ndots", value: "2" }, { name: "edns0" }],
};

test.each<[what: string, spec: Partial<PodSpec>, more: Partial<typeof given>, text: string | undefined]>([
  ["nothing said", {}, {}, CLUSTER],
  ["ClusterFirst", { dnsPolicy: "ClusterFirst" }, {}, CLUSTER],
  ["ClusterFirst on the host's network is the host's", { hostNetwork: true }, {}, undefined],
  ["unless it insists", { hostNetwork: true, dnsPolicy: "ClusterFirstWithHostNet" }, {}, CLUSTER],
  ["no DNS of the cluster: what the runtime gives", {}, none, undefined],
  ["Default", { dnsPolicy: "Default" }, {}, HOST],
  ["Default, where the host's is out of reach", { dnsPolicy: "Default" }, loopback, undefined],
  ["None, and nothing else", { dnsPolicy: "None" }, {}, ""],
  [
    "None, with a configuration",
    { dnsPolicy: "None", dnsConfig: config },
    {},
    "search x.example\nnameserver 192.0.2.9\noptions ndots:2 edns0\n",
  ],
  [
    "a configuration is added, and its options win",
    { dnsConfig: config },
    {},
    CLUSTER.replace("corp.example", "corp.example x.example")
      .replace("10.96.0.10", "10.96.0.10\nnameserver 192.0.2.9")
      .replace("ndots:5", "ndots:2 edns0"),
  ],
  [
    "also to the host's",
    { dnsConfig: config },
    none,
    "search corp.example x.example\nnameserver 192.0.2.1\nnameserver 192.0.2.9\noptions timeout:1 ndots:2 edns0\n",
  ],
])("%s", (_, spec, more, text) => expect(textOf(spec, more)).toBe(text));

describe("limits", () => {
  const dnsConfig = (o: PodSpec["dnsConfig"]) => dnsOf({ dnsPolicy: "None", ...(o && { dnsConfig: o }) });

  test("of servers", () => {
    expect(dnsConfig({ nameservers: ["1.1.1.1", "2.2.2.2", "3.3.3.3", "4.4.4.4"] })?.warnings).toEqual([
      "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: 1.1.1.1 2.2.2.2 3.3.3.3",
    ]);
  });

  test("hold whatever is asked for, and what is left out is told", () => {
    const domain = fc.string({ unit: fc.constantFrom("a", "b", "."), minLength: 1, maxLength: 300 });
    fc.assert(
      fc.property(fc.uniqueArray(domain, { maxLength: 50 }), (searches) => {
        const dns = dnsConfig({ searches });
        const kept = dns?.conf.searches ?? [];
        expect(kept.length).toBeLessThanOrEqual(32);
        expect(kept.join(" ").length).toBeLessThanOrEqual(2048);
        expect(dns?.warnings.length).toBe(kept.length === searches.length ? 0 : 1);
        expect(searches.filter((s) => kept.includes(s))).toEqual(kept);
      }),
    );
  });
});

test("a file is read as the C library reads it", () => {
  const text =
    "# me\nnameserver 192.0.2.1\n nameserver  192.0.2.2 \nsearch a.example.\nsearch b.example c.\noptions ndots:1\n";
  expect(parseResolvConf(text)).toEqual({
    servers: ["192.0.2.1", "192.0.2.2"],
    searches: ["b.example", "c"],
    options: ["ndots:1"],
  });
  expect(parseResolvConf("")).toEqual({ servers: [], searches: [], options: [] });
});
