import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { Answer, ResourceRecord } from "./message.ts";
import { service, slice, zoneOf } from "./testing/zone.ts";
import { answerFrom } from "./zone.ts";

/** The Kubernetes DNS specification, question by question. */
const zone = zoneOf({
  namespaces: ["default", "empty"],
  services: [
    service("kubernetes", { clusterIP: "10.96.0.1", ports: [{ name: "https", port: 443 }] }),
    service("web", {
      clusterIP: "10.96.7.7",
      ports: [{ name: "http", port: 80, protocol: "TCP" }, { name: "dns", port: 53, protocol: "UDP" }, { port: 81 }],
    }),
    service("dual", { clusterIP: "10.96.7.8", clusterIPs: ["10.96.7.8", "fd00::8"] }),
    service("db", { clusterIP: "None", ports: [{ name: "sql", port: 1 }] }),
    service("lonely", { clusterIP: "None" }),
    service("eager", { clusterIP: "None" }),
    service("away", { type: "ExternalName", externalName: "www.Example.com." }),
  ],
  slices: [
    slice("web", [{ addresses: ["10.244.0.9"] }], [{ name: "http", port: 8080, protocol: "TCP" }]),
    slice(
      "db",
      [
        { addresses: ["10.244.0.5"], hostname: "db-0", conditions: { ready: true } },
        { addresses: ["10.244.1.6"], conditions: {} },
        { addresses: ["10.244.1.7"], hostname: "db-2", conditions: { ready: false, serving: true } },
      ],
      [{ name: "sql", port: 5432, protocol: "TCP" }],
    ),
    slice("lonely", [{ addresses: ["10.244.3.1"], conditions: { ready: false } }]),
    // With publishNotReadyAddresses the controller itself calls it ready.
    slice("eager", [{ addresses: ["10.244.3.2"], hostname: "e-0", conditions: { ready: true, serving: false } }]),
  ],
});

const data = (r: ResourceRecord) => {
  if (r.type === "SRV") return `SRV ${r.data.priority} ${r.data.weight} ${r.data.port} ${r.data.target}`;
  if (r.type === "SOA") return `SOA ${r.data.mname} ${r.data.serial} ${r.data.minimum}`;
  return `${r.type} ${typeof r.data === "string" ? r.data : JSON.stringify(r.data)}`;
};
const say = (a: Answer | undefined) => (a ? `${a.rcode} ${a.answers.map(data).join(", ")}`.trim() : "not ours");

describe("names of the cluster", () => {
  test.each([
    ["kubernetes.default.svc.cluster.local", "A", "NOERROR A 10.96.0.1"],
    ["WEB.Default.SVC.cluster.LOCAL", "A", "NOERROR A 10.96.7.7"],
    ["web.default.svc.cluster.local", "AAAA", "NOERROR"],
    ["web.default.svc.cluster.local", "MX", "NOERROR"],
    ["dual.default.svc.cluster.local", "A", "NOERROR A 10.96.7.8"],
    ["dual.default.svc.cluster.local", "AAAA", "NOERROR AAAA fd00::8"],
    ["_http._tcp.web.default.svc.cluster.local", "SRV", "NOERROR SRV 0 100 80 web.default.svc.cluster.local"],
    ["_dns._udp.web.default.svc.cluster.local", "SRV", "NOERROR SRV 0 100 53 web.default.svc.cluster.local"],
    ["_http._udp.web.default.svc.cluster.local", "SRV", "NXDOMAIN"],
    [
      "_https._tcp.kubernetes.default.svc.cluster.local",
      "SRV",
      "NOERROR SRV 0 100 443 kubernetes.default.svc.cluster.local",
    ],
    ["_http._tcp.web.default.svc.cluster.local", "A", "NOERROR"],
    ["_tcp.web.default.svc.cluster.local", "A", "NOERROR"],
    ["_sctp.web.default.svc.cluster.local", "A", "NXDOMAIN"],
    ["10-244-0-9.web.default.svc.cluster.local", "A", "NOERROR A 10.244.0.9"],
    ["10-244-0-8.web.default.svc.cluster.local", "A", "NXDOMAIN"],
    ["db.default.svc.cluster.local", "A", "NOERROR A 10.244.0.5, A 10.244.1.6"],
    ["db-0.db.default.svc.cluster.local", "A", "NOERROR A 10.244.0.5"],
    ["db-0.db.default.svc.cluster.local", "AAAA", "NOERROR"],
    ["10-244-1-6.db.default.svc.cluster.local", "A", "NOERROR A 10.244.1.6"],
    ["db-2.db.default.svc.cluster.local", "A", "NXDOMAIN"],
    [
      "_sql._tcp.db.default.svc.cluster.local",
      "SRV",
      "NOERROR SRV 0 100 5432 db-0.db.default.svc.cluster.local, SRV 0 100 5432 10-244-1-6.db.default.svc.cluster.local",
    ],
    ["lonely.default.svc.cluster.local", "A", "NXDOMAIN"],
    ["e-0.eager.default.svc.cluster.local", "A", "NOERROR A 10.244.3.2"],
    ["away.default.svc.cluster.local", "A", "NOERROR CNAME www.example.com"],
    ["away.default.svc.cluster.local", "CNAME", "NOERROR CNAME www.example.com"],
    ["x.away.default.svc.cluster.local", "A", "NXDOMAIN"],
    ["10-244-9-9.default.pod.cluster.local", "A", "NOERROR A 10.244.9.9"],
    ["fd00--7.default.pod.cluster.local", "AAAA", "NOERROR AAAA fd00::7"],
    ["10-244-9-9.nowhere.pod.cluster.local", "A", "NXDOMAIN"],
    ["10-244-9-999.default.pod.cluster.local", "A", "NXDOMAIN"],
    ["x.10-244-9-9.default.pod.cluster.local", "A", "NXDOMAIN"],
    ["nothing.default.svc.cluster.local", "A", "NXDOMAIN"],
    ["web.nowhere.svc.cluster.local", "A", "NXDOMAIN"],
    ["a.b.c.web.default.svc.cluster.local", "A", "NXDOMAIN"],
    ["empty.svc.cluster.local", "A", "NOERROR"],
    ["nowhere.svc.cluster.local", "A", "NXDOMAIN"],
    ["svc.cluster.local", "A", "NOERROR"],
    ["empty.pod.cluster.local", "A", "NOERROR"],
    ["example.com.default.svc.cluster.local", "A", "NXDOMAIN"],
    ["other.cluster.local", "A", "NXDOMAIN"],
    ["cluster.local", "SOA", "NOERROR SOA ns.dns.cluster.local 42 5"],
    ["cluster.local", "NS", "NOERROR NS ns.dns.cluster.local"],
    ["cluster.local", "A", "NOERROR"],
    ["ns.dns.cluster.local", "A", "NOERROR A 10.96.0.10"],
    ["dns.cluster.local", "A", "NOERROR"],
    ["dns-version.cluster.local", "TXT", "NOERROR TXT 1.1.0"],
    ["1.0.96.10.in-addr.arpa", "PTR", "NOERROR PTR kubernetes.default.svc.cluster.local"],
    ["5.0.244.10.in-addr.arpa", "PTR", "NOERROR PTR db-0.db.default.svc.cluster.local"],
    ["6.1.244.10.in-addr.arpa", "PTR", "NOERROR PTR 10-244-1-6.db.default.svc.cluster.local"],
    [
      "8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa",
      "PTR",
      "NOERROR PTR dual.default.svc.cluster.local",
    ],
    // An address that is not the cluster's, or that only a Service with an address of its own leads to.
    ["9.0.244.10.in-addr.arpa", "PTR", "not ours"],
    ["7.1.244.10.in-addr.arpa", "PTR", "not ours"],
    ["8.8.8.8.in-addr.arpa", "PTR", "not ours"],
    ["1.0.96.10.in-addr.arpa.", "A", "NOERROR"],
    ["in-addr.arpa", "PTR", "not ours"],
    ["example.com", "A", "not ours"],
    ["notcluster.local", "A", "not ours"],
    ["", "NS", "not ours"],
  ])("%s %s: %s", (name, type, said) => {
    expect(say(answerFrom(zone, { name, type }))).toBe(said);
  });

  test("records bear the name as it was asked for, and live for 30 s", () => {
    const name = "wEb.default.svc.cluster.local";
    expect(answerFrom(zone, { name, type: "A" })?.answers).toEqual([{ name, ttl: 30, type: "A", data: "10.96.7.7" }]);
  });

  test("that there is none is said with the zone's SOA, for 5 s", () => {
    for (const name of ["nothing.default.svc.cluster.local", "default.svc.cluster.local"]) {
      const [soa, ...more] = answerFrom(zone, { name, type: "A" })?.authorities ?? [];
      expect(more).toEqual([]);
      expect(soa).toMatchObject({ type: "SOA", name: "cluster.local", ttl: 5, data: { minimum: 5 } });
    }
  });

  test("where a port is comes with the addresses", () => {
    const { additionals } = answerFrom(zone, { name: "_sql._tcp.db.default.svc.cluster.local", type: "SRV" }) ?? {};
    expect(additionals?.map((r) => `${r.name} ${data(r)}`)).toEqual([
      "db-0.db.default.svc.cluster.local A 10.244.0.5",
      "10-244-1-6.db.default.svc.cluster.local A 10.244.1.6",
    ]);
  });

  test("whatever is asked below the domain is answered here, and nothing throws", () => {
    const label = fc.constantFrom(
      "svc",
      "pod",
      "default",
      "web",
      "db",
      "_tcp",
      "_sql",
      "db-0",
      "10-244-0-5",
      "dns",
      "x",
      "",
    );
    fc.assert(
      fc.property(fc.array(label, { maxLength: 7 }), fc.constantFrom("A", "SRV", "PTR", "ANY"), (labels, type) => {
        const answer = answerFrom(zone, { name: [...labels, "cluster.local"].join("."), type });
        expect(answer?.authoritative).toBe(true);
        expect(answer?.answers.length === 0).toBe((answer?.authorities ?? []).length > 0);
      }),
    );
  });
});
