import { describe, expect, test } from "@jest/globals";
import type { Service, ServiceSpec } from "../../generated/types.ts";
import { complaints, created, headings, row, updated, writePart } from "../testing/writes.ts";
import { endpoints } from "./endpoints.ts";
import { services } from "./service.ts";

const ports = [{ port: 80 }];
const service = (spec: object = {}) => created(services, { metadata: { name: "web" }, spec: { ports, ...spec } });
/** As the allocator leaves it. */
const stored = (spec: object = {}) => service({ clusterIP: "10.96.0.10", ...spec });
const put = (spec: object, old: Service) =>
  updated(services, { metadata: { name: "web" }, spec: { ports, ...spec } }, old);

describe("a Service says, where its author is silent", () => {
  test.each<[string, object, object]>([
    [
      "that it has an address in the cluster",
      {},
      {
        type: "ClusterIP",
        sessionAffinity: "None",
        internalTrafficPolicy: "Cluster",
        ipFamilies: ["IPv4"],
        ipFamilyPolicy: "SingleStack",
        ports: [{ port: 80, protocol: "TCP", targetPort: 80 }],
      },
    ],
    ["its families after its addresses", { clusterIP: "fd00::1" }, { clusterIPs: ["fd00::1"], ipFamilies: ["IPv6"] }],
    [
      "that two families are wanted where two are named",
      { ipFamilies: ["IPv4", "IPv6"] },
      { ipFamilyPolicy: "RequireDualStack" },
    ],
    [
      "how long a client stays with a Pod",
      { sessionAffinity: "ClientIP" },
      { sessionAffinityConfig: { clientIP: { timeoutSeconds: 10_800 } } },
    ],
    [
      "that a balancer uses node ports",
      { type: "LoadBalancer" },
      { allocateLoadBalancerNodePorts: true, externalTrafficPolicy: "Cluster" },
    ],
    ["where traffic from outside goes", { externalIPs: ["1.2.3.4"] }, { externalTrafficPolicy: "Cluster" }],
  ])("%s", (_, spec, expected) => {
    expect(service(spec).spec).toMatchObject(expected);
    expect(complaints(services, service(spec))).toEqual([]);
  });

  test("nothing of addresses if it is but a name", () => {
    const named = created(services, { metadata: { name: "db" }, spec: { type: "ExternalName", externalName: "a.b." } });
    expect(named.spec).toEqual({ type: "ExternalName", externalName: "a.b.", sessionAffinity: "None" });
    expect(complaints(services, named)).toEqual([]);
  });
});

describe("what kubectl get shows", () => {
  test.each<[string, object, Service["status"], string[]]>([
    [
      "of a plain one",
      { clusterIP: "10.96.0.10" },
      {},
      ["ClusterIP", "10.96.0.10", "<none>", "80/TCP", "60m", "<none>"],
    ],
    [
      "of a headless one",
      { clusterIP: "None", ports: [], selector: { b: "2", a: "1" } },
      {},
      ["ClusterIP", "None", "<none>", "<none>", "60m", "a=1,b=2"],
    ],
    [
      "of node ports",
      {
        type: "NodePort",
        clusterIP: "10.96.0.10",
        ports: [
          { name: "a", port: 80, nodePort: 30_080 },
          { name: "b", port: 53, protocol: "UDP" },
        ],
        externalIPs: ["1.2.3.4", "5.6.7.8"],
      },
      {},
      ["NodePort", "10.96.0.10", "1.2.3.4,5.6.7.8", "80:30080/TCP,53/UDP", "60m", "<none>"],
    ],
    [
      "of a balancer that waits",
      { type: "LoadBalancer" },
      {},
      ["LoadBalancer", "<none>", "<pending>", "80/TCP", "60m", "<none>"],
    ],
    [
      "of a balancer",
      { type: "LoadBalancer", externalIPs: ["9.9.9.9"] },
      { loadBalancer: { ingress: [{ ip: "2.2.2.2" }, { hostname: "lb.example.com" }, { ip: "1.1.1.1" }] } },
      ["LoadBalancer", "<none>", "1.1.1.1,2.2.2.2,lb.example.com,9.9.9.9", "80/TCP", "60m", "<none>"],
    ],
    [
      "of a name",
      { type: "ExternalName", externalName: "db.example.com", ports: [] },
      {},
      ["ExternalName", "<none>", "db.example.com", "<none>", "60m", "<none>"],
    ],
  ])("%s", (_, spec, status, cells) => {
    const o = service(spec);
    if (status) o.status = status;
    expect(row(services, o, true)).toEqual(["web", ...cells]);
    expect(headings(services)).toBe("Name Type Cluster-IP External-IP Port(s) Age (Selector)");
  });

  test("of endpoints", () => {
    const show = (subsets: object[]) => row(endpoints, created(endpoints, { metadata: { name: "e" }, subsets }))[1];
    const four = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "fd00::1"].map((ip) => ({ ip }));
    expect(show([])).toBe("<none>");
    expect(show([{ addresses: four.slice(2), ports: [{ port: 80 }] }])).toBe("10.0.0.3:80,[fd00::1]:80");
    expect(show([{ addresses: four }])).toBe("10.0.0.1,10.0.0.2,10.0.0.3 + 1 more...");
    expect(show([{ notReadyAddresses: four, ports: [{ port: 80 }] }])).toBe("");
  });
});

describe("a Service is refused", () => {
  test.each<[object, string]>([
    [{ ports: [] }, "spec.ports: Required value"],
    [{ ports: [{ port: 0 }] }, "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive"],
    [{ ports: [{ port: 80 }, { port: 81 }] }, "spec.ports[0].name: Required value"],
    [
      {
        ports: [
          { name: "a", port: 80 },
          { name: "a", port: 81 },
        ],
      },
      'spec.ports[1].name: Duplicate value: "a"',
    ],
    [
      {
        ports: [
          { name: "a", port: 80 },
          { name: "b", port: 80 },
        ],
      },
      'spec.ports[1]: Duplicate value: {"protocol":"TCP","port":80}',
    ],
    [
      { ports: [{ port: 80, protocol: "tcp" }] },
      'spec.ports[0].protocol: Unsupported value: "tcp": supported values: "SCTP", "TCP", "UDP"',
    ],
    [{ ports: [{ port: 80, targetPort: "a_b" }] }, 'spec.ports[0].targetPort: Invalid value: "a_b": must contain only'],
    [
      { ports: [{ port: 80, nodePort: 30_000 }] },
      "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
    ],
    [
      { type: "NodePort", ports: [{ port: 80, nodePort: 80 }] },
      "spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767",
    ],
    [{ type: "Nodeport" }, 'spec.type: Unsupported value: "Nodeport": supported values: "ClusterIP", "ExternalName"'],
    [{ type: "NodePort", clusterIP: "None" }, "may not be set to 'None' for NodePort services"],
    [{ clusterIP: "10.0.0.300" }, 'spec.clusterIPs[0]: Invalid value: "10.0.0.300": must be a valid IP address'],
    [{ clusterIP: "1.1.1.1", clusterIPs: ["2.2.2.2"] }, "first value must match `clusterIP`"],
    [{ clusterIPs: ["2.2.2.2"] }, "must be empty when `clusterIP` is not specified"],
    [{ clusterIP: "None", clusterIPs: ["None", "1.1.1.1"] }, "'None' must be the first and only value"],
    [
      { clusterIP: "1.1.1.1", clusterIPs: ["1.1.1.1", "2.2.2.2"] },
      "may specify no more than one IP for each IP family",
    ],
    [{ clusterIP: "1.1.1.1", ipFamilies: ["IPv6"] }, "expected an IPv6 value as indicated by `ipFamilies[0]`"],
    [{ ipFamilies: ["IPv4", "IPv4"] }, 'spec.ipFamilies[1]: Duplicate value: "IPv4"'],
    [{ type: "ExternalName", ports: [] }, "spec.externalName: Required value"],
    [
      { type: "ExternalName", externalName: "a.b", clusterIP: "1.1.1.1" },
      "spec.clusterIPs: Forbidden: may not be set for ExternalName services",
    ],
    [{ sessionAffinity: "Cookie" }, 'spec.sessionAffinity: Unsupported value: "Cookie"'],
    [
      { sessionAffinity: "ClientIP", sessionAffinityConfig: { clientIP: { timeoutSeconds: 0 } } },
      "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 0: must be greater than 0 and less than 86400",
    ],
    [{ externalIPs: ["127.0.0.1"] }, "may not be in the loopback range (127.0.0.0/8, ::1/128)"],
    [{ externalIPs: ["0.0.0.0"] }, "may not be unspecified (0.0.0.0)"],
    [
      { externalTrafficPolicy: "Local" },
      'spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services',
    ],
    [{ loadBalancerSourceRanges: ["10.0.0.0/8"] }, "may only be used when `type` is 'LoadBalancer'"],
    [
      { type: "LoadBalancer", loadBalancerSourceRanges: ["10.0.0.1"] },
      'spec.LoadBalancerSourceRanges[0]: Invalid value: "10.0.0.1": must be a valid CIDR value',
    ],
    [{ selector: { "a b": "c" } }, 'spec.selector: Invalid value: "a b"'],
  ])("%j: %s", (spec, message) => {
    expect(complaints(services, service(spec)).join("\n")).toContain(message);
  });

  test("for a name that no DNS label can be", () => {
    const o = created(services, { metadata: { name: "1web" }, spec: { ports } });
    expect(complaints(services, o)[0]).toContain('metadata.name: Invalid value: "1web": a DNS-1035 label');
  });

  test.each<[string, ServiceSpec, string]>([
    [
      "another address",
      { clusterIP: "10.96.0.11" },
      'spec.clusterIPs[0]: Invalid value: ["10.96.0.11"]: may not change',
    ],
    ["becoming headless", { clusterIP: "None" }, "may not change once set"],
  ])("on update: %s", (_, spec, message) => {
    const old = stored();
    expect(complaints(services, put(spec, old), old).join("\n")).toContain(message);
  });
});

describe("an update", () => {
  test("keeps what was allocated and it does not mention", () => {
    const old = stored({ type: "NodePort", ports: [{ name: "http", port: 80, nodePort: 30_080 }] });
    const next = put(
      {
        type: "NodePort",
        ports: [
          { name: "http", port: 8080 },
          { name: "new", port: 9 },
        ],
      },
      old,
    );
    expect(next.spec).toMatchObject({ clusterIP: "10.96.0.10", clusterIPs: ["10.96.0.10"] });
    expect(next.spec?.ports?.map((p) => p.nodePort)).toEqual([30_080, undefined]);
    expect(complaints(services, next, old)).toEqual([]);
  });

  test("to a type that needs less lets go of what only the old type needed", () => {
    const old = stored({ type: "LoadBalancer", ports: [{ port: 80, nodePort: 30_080 }] });
    const { spec = {} } = old;
    const next = put({ ...spec, type: "ClusterIP" }, old);
    expect(next.spec?.ports).toEqual([{ port: 80, targetPort: 80, protocol: "TCP" }]);
    expect(next.spec).not.toHaveProperty("allocateLoadBalancerNodePorts");
    expect(next.spec).not.toHaveProperty("externalTrafficPolicy");
    const named = put({ ...spec, type: "ExternalName", externalName: "a.b" }, old);
    expect(named.spec).not.toHaveProperty("clusterIP");
    expect(complaints(services, next, old).concat(complaints(services, named, old))).toEqual([]);
  });

  test("leaves the status alone, and a status the spec", () => {
    const old = stored({ type: "LoadBalancer" });
    const ingress = [{ ip: "1.2.3.4" }];
    const report = (o: Service) => {
      o.status = { loadBalancer: { ingress } };
      o.spec = {};
    };
    const { next, errors } = writePart(services, "status", old, report);
    expect([next.spec, next.status, errors]).toEqual([old.spec, { loadBalancer: { ingress } }, []]);
    expect(put({ type: "LoadBalancer" }, next).status).toEqual(next.status);
    const plain = writePart(services, "status", stored(), report);
    expect(plain.errors).toEqual([
      "status.loadBalancer.ingress: Forbidden: may only be used when `spec.type` is 'LoadBalancer'",
    ]);
  });
});

test.each<[object, string]>([
  [{}, "subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`"],
  [{ addresses: [{ ip: "a" }] }, 'subsets[0].addresses[0].ip: Invalid value: "a": must be a valid IP address'],
  [{ addresses: [{ ip: "169.254.1.1" }] }, "may not be in the link-local range"],
  [{ addresses: [{ ip: "1.1.1.1" }], ports: [{ port: 1 }, { port: 2 }] }, "subsets[0].ports[0].name: Required value"],
])("endpoints with %j are refused: %s", (subset, message) => {
  const o = created(endpoints, { metadata: { name: "e" }, subsets: [subset] });
  expect(complaints(endpoints, o).join("\n")).toContain(message);
});
