/** networking.k8s.io/v1 and discovery.k8s.io/v1. */
import { describe, expect, test } from "@jest/globals";
import type { ApiObject } from "../../object.ts";
import type { ResourceDef } from "../../resource.ts";
import { endpointSlices } from "../discovery/endpointslice.ts";
import { complaints, created, headings, row, updated, writePart } from "../testing/writes.ts";
import { ingressClasses } from "./ingressclass.ts";
import { ingresses } from "./ingress.ts";
import { ipAddresses } from "./ipaddress.ts";
import { networkPolicies } from "./networkpolicy.ts";
import { serviceCidrs } from "./servicecidr.ts";

const backend = { service: { name: "web", port: { number: 80 } } };
const rule = (host?: string, path: object = {}) => ({
  ...(host && { host }),
  http: { paths: [{ path: "/", pathType: "Prefix", backend, ...path }] },
});
const named = (name: string, rest: object) => ({ metadata: { name }, ...rest });
const ingress = (spec: object) => created(ingresses, named("i", { spec }));
const policy = (spec: object) => created(networkPolicies, named("p", { spec }));
const parentRef = { resource: "services", namespace: "default", name: "web" };
const endpoint = { addresses: ["10.0.0.1"] };
const slice = (rest: object) => created(endpointSlices, named("s", { addressType: "IPv4", endpoints: [], ...rest }));

describe("what kubectl get shows", () => {
  const busy = ingress({
    ingressClassName: "nginx",
    rules: [rule("a.com"), rule("b.com"), rule("c.com"), rule("d.com"), rule()],
    tls: [{ hosts: ["a.com"] }],
  });
  busy.status = { loadBalancer: { ingress: [{ ip: "2.2.2.2" }, { hostname: "lb" }, { ip: "1.1.1.1" }] } };
  const parameters = { apiGroup: "k8s.example.com", kind: "Params", name: "p" };

  shows(ingresses, busy, "Name Class Hosts Address Ports Age", [
    "i",
    "nginx",
    "a.com,b.com,c.com + 2 more...",
    "1.1.1.1,2.2.2.2,lb",
    "80, 443",
    "60m",
  ]);
  const plain = ["i", "<none>", "*", "", "80", "60m"];
  shows(ingresses, ingress({ defaultBackend: backend }), "Name Class Hosts Address Ports Age", plain);
  shows(
    ingressClasses,
    created(ingressClasses, named("nginx", { spec: { controller: "k8s.io/nginx", parameters } })),
    "Name Controller Parameters Age",
    ["nginx", "k8s.io/nginx", "Params.k8s.example.com/p", "60m"],
  );
  const selecting = policy({ podSelector: { matchLabels: { app: "db" } } });
  shows(networkPolicies, selecting, "Name Pod-Selector Age", ["p", "app=db", "60m"]);
  shows(networkPolicies, policy({}), "Name Pod-Selector Age", ["p", "<none>", "60m"]);
  const address = created(ipAddresses, named("10.96.0.1", { spec: { parentRef } }));
  shows(ipAddresses, address, "Name ParentRef Age", ["10.96.0.1", "services/default/web", "60m"]);
  const range = created(serviceCidrs, named("kubernetes", { spec: { cidrs: ["10.96.0.0/16", "fd00::/112"] } }));
  shows(serviceCidrs, range, "Name CIDRs Age", ["kubernetes", "10.96.0.0/16,fd00::/112", "60m"]);
  const four = slice({
    ports: [{ port: 80 }, { name: "any" }],
    endpoints: [{ addresses: ["10.0.0.1", "10.0.0.2"] }, { addresses: ["10.0.0.3"] }, { addresses: ["10.0.0.4"] }],
  });
  const heads = "Name AddressType Ports Endpoints Age";
  shows(endpointSlices, four, heads, ["s", "IPv4", "80,any", "10.0.0.1,10.0.0.2,10.0.0.3 + 1 more...", "60m"]);
  shows(endpointSlices, slice({}), heads, ["s", "IPv4", "<unset>", "<unset>", "60m"]);
});

/** A good one is accepted, and looks like this. */
function shows<T extends ApiObject>(def: ResourceDef<T>, o: T, heads: string, cells: unknown[]) {
  test(`of ${def.plural}: ${cells.join(" ")}`, () => {
    expect(complaints(def, o)).toEqual([]);
    expect(headings(def)).toBe(heads);
    expect(row(def, o, true)).toEqual(cells);
  });
}

describe("defaults", () => {
  test("of network policies: ingress always, egress where there are rules", () => {
    expect(policy({}).spec).toEqual({ podSelector: {}, policyTypes: ["Ingress"] });
    expect(policy({ egress: [{ ports: [{ port: 53 }] }] }).spec).toEqual({
      podSelector: {},
      policyTypes: ["Ingress", "Egress"],
      egress: [{ ports: [{ port: 53, protocol: "TCP" }] }],
    });
  });

  test("of endpoint slices: a nameless TCP port", () => {
    expect(slice({ ports: [{ port: 80 }] }).ports).toEqual([{ port: 80, name: "", protocol: "TCP" }]);
  });
});

/** Something that is fine, what makes it bad, and what is said of it. */
function refuses<T extends ApiObject>(
  def: ResourceDef<T>,
  make: (bad: never) => T,
  cases: readonly [unknown, string][],
) {
  describe(`${def.plural} are refused`, () => {
    test.each(cases)("%j: %s", (bad, message) => {
      expect(complaints(def, make(bad as never)).join("\n")).toContain(message);
    });
  });
}

refuses(ingresses, ingress, [
  [{}, "spec: Invalid value: []: either `defaultBackend` or `rules` must be specified"],
  [{ defaultBackend: {} }, 'spec.defaultBackend: Invalid value: "": resource or service backend is required'],
  [
    { defaultBackend: { ...backend, resource: { kind: "K", name: "n" } } },
    "cannot set both resource and service backends",
  ],
  [
    { defaultBackend: { service: { name: "web" } } },
    "spec.defaultBackend: Required value: port name or number is required",
  ],
  [
    { defaultBackend: { service: { name: "web", port: { name: "a", number: 1 } } } },
    "cannot set both port name & port number",
  ],
  [
    { defaultBackend: { service: { name: "", port: { number: 1 } } } },
    "spec.defaultBackend.service.name: Required value",
  ],
  [{ rules: [rule("1.2.3.4")] }, 'spec.rules[0].host: Invalid value: "1.2.3.4": must be a DNS name, not an IP address'],
  [{ rules: [rule("a.*.com")] }, "a wildcard DNS-1123 subdomain must start with '*.'"],
  [{ rules: [rule("A.com")] }, "a lowercase RFC 1123 subdomain must consist of"],
  [{ rules: [{ http: { paths: [] } }] }, "spec.rules[0].http.paths: Required value"],
  [
    { rules: [rule("a.com", { pathType: undefined })] },
    "paths[0].pathType: Required value: pathType must be specified",
  ],
  [
    { rules: [rule("a.com", { pathType: "Regex" })] },
    'pathType: Unsupported value: "Regex": supported values: "Exact", "ImplementationSpecific", "Prefix"',
  ],
  [{ rules: [rule("a.com", { path: "x" })] }, 'path: Invalid value: "x": must be an absolute path'],
  [{ rules: [rule("a.com", { path: "/a//b" })] }, "must not contain '//'"],
  [{ rules: [rule("a.com", { path: "/a/.." })] }, "cannot end with '/..'"],
  [{ rules: [rule()], tls: [{ hosts: ["*"] }] }, "spec.tls[0].hosts[0]: Invalid value"],
  [{ rules: [rule()], tls: [{ secretName: "A" }] }, "spec.tls[0].secretName: Invalid value"],
  [{ rules: [rule()], ingressClassName: "A" }, "spec.ingressClassName: Invalid value"],
]);

refuses(ingressClasses, (spec: object) => created(ingressClasses, named("c", { spec })), [
  [{}, "spec.controller: Required value"],
  [{ controller: "nginx" }, 'must be a domain-prefixed path (such as "acme.io/foo")'],
  [
    { controller: "a.io/b", parameters: { kind: "K", name: "n", scope: "Namespace" } },
    "spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'",
  ],
  [
    { controller: "a.io/b", parameters: { kind: "K", name: "n", namespace: "x" } },
    "spec.parameters.namespace: Forbidden: `parameters.scope` is set to 'Cluster'",
  ],
]);

const from = (peer: object) => ({ ingress: [{ from: [peer] }] });
const port = (p: object) => ({ egress: [{ ports: [p] }] });
refuses(networkPolicies, policy, [
  [from({}), "spec.ingress[0].from[0]: Required value: must specify a peer"],
  [from({ podSelector: {}, ipBlock: { cidr: "10.0.0.0/8" } }), "may not specify both ipBlock and another peer"],
  [
    from({ ipBlock: { cidr: "10.0.0.0" } }),
    'from[0].ipBlock.cidr: Invalid value: "10.0.0.0": must be a valid CIDR value',
  ],
  [from({ ipBlock: {} }), "spec.ingress[0].from[0].ipBlock.cidr: Required value"],
  [
    from({ ipBlock: { cidr: "10.0.0.0/8", except: ["11.0.0.0/16"] } }),
    'ipBlock.except[0]: Invalid value: "11.0.0.0/16": must be a strict subset of `cidr`',
  ],
  [from({ ipBlock: { cidr: "10.0.0.0/8", except: ["10.0.0.0/8"] } }), "must be a strict subset of `cidr`"],
  [port({ port: 0 }), "spec.egress[0].ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive"],
  [port({ port: 80, endPort: 79 }), "endPort: Invalid value: 79: must be greater than or equal to `port`"],
  [port({ endPort: 79 }), "may not be specified when `port` is not specified"],
  [port({ port: "http", endPort: 79 }), "may not be specified when `port` is non-numeric"],
  [port({ protocol: "ICMP" }), 'protocol: Unsupported value: "ICMP": supported values: "SCTP", "TCP", "UDP"'],
  [
    { policyTypes: ["ingress"] },
    'spec.policyTypes[0]: Unsupported value: "ingress": supported values: "Ingress", "Egress"',
  ],
  [{ podSelector: { matchExpressions: [{ key: "a", operator: "In" }] } }, "must be specified when `operator` is 'In'"],
]);

refuses(endpointSlices, slice, [
  [{ addressType: "IP" }, 'addressType: Unsupported value: "IP": supported values: "FQDN", "IPv4", "IPv6"'],
  [{ endpoints: [{ addresses: [] }] }, "endpoints[0].addresses: Required value: must contain at least 1 address"],
  [
    { endpoints: [{ addresses: ["::1"] }] },
    'endpoints[0].addresses[0]: Invalid value: "::1": must be a valid IPv4 address',
  ],
  [{ addressType: "FQDN", endpoints: [{ addresses: ["a"] }] }, "should be a domain with at least two segments"],
  [{ endpoints: [{ addresses: ["127.0.0.1"] }] }, "may not be in the loopback range"],
  [
    { endpoints: Array.from({ length: 1001 }, () => endpoint) },
    "endpoints: Too many: 1001: must have at most 1000 items",
  ],
  [{ ports: [{ port: 1 }, { port: 2 }] }, 'ports[1].name: Duplicate value: ""'],
  [{ ports: [{ name: "A" }] }, "ports[0].name: Invalid value"],
]);

refuses(ipAddresses, (name: string) => created(ipAddresses, named(name, { spec: { parentRef } })), [
  ["web", 'metadata.name: Invalid value: "web": must be a valid IP address'],
]);
refuses(ipAddresses, (spec: object) => created(ipAddresses, named("10.0.0.1", { spec })), [
  [{}, "spec.parentRef: Required value"],
  [
    { parentRef: { resource: "a/b", name: "n" } },
    "spec.parentRef.resource: Invalid value: \"a/b\": may not contain '/'",
  ],
]);

refuses(serviceCidrs, (cidrs: string[]) => created(serviceCidrs, named("c", { spec: { cidrs } })), [
  [[], "spec.cidrs: Required value: at least one CIDR required"],
  [["10.0.0.1/16"], "must not have bits set beyond the prefix length"],
  [["10.0.0.0/16", "10.1.0.0/16"], "may specify no more than one IP for each IP family"],
]);

describe("what may not change", () => {
  fixed(ingressClasses, { spec: { controller: "a.io/b" } }, { spec: { controller: "a.io/c" } }, "spec.controller");
  fixed(endpointSlices, { addressType: "IPv4", endpoints: [] }, { addressType: "IPv6", endpoints: [] }, "addressType");
  fixed(serviceCidrs, { spec: { cidrs: ["10.0.0.0/16"] } }, { spec: { cidrs: ["10.1.0.0/16"] } }, "spec.cidrs[0]");

  function fixed<T extends ApiObject>(def: ResourceDef<T>, before: object, after: object, field: string) {
    test(`${field} of ${def.plural}`, () => {
      const old = created(def, named("x", before));
      const said = complaints(def, updated(def, named("x", after), old), old);
      expect(said).toEqual([expect.stringMatching(/: Invalid value: .*: field is immutable$/)]);
      expect(said[0]?.startsWith(`${field}: `)).toBe(true);
    });
  }

  test("a range of the other family may join", () => {
    const old = created(serviceCidrs, named("c", { spec: { cidrs: ["10.0.0.0/16"] } }));
    const next = updated(serviceCidrs, named("c", { spec: { cidrs: ["10.0.0.0/16", "fd00::/112"] } }), old);
    expect(complaints(serviceCidrs, next, old)).toEqual([]);
  });
});

test("an Ingress's status names addresses and hosts", () => {
  const old = ingress({ defaultBackend: backend });
  const { next, errors } = writePart(ingresses, "status", old, (o) => {
    o.spec = {};
    o.status = { loadBalancer: { ingress: [{ ip: "a", hostname: "1.2.3.4" }] } };
  });
  expect(next.spec).toEqual(old.spec);
  expect(errors).toEqual([
    expect.stringContaining('status.loadBalancer.ingress[0].ip: Invalid value: "a": must be a valid IP address'),
    'status.loadBalancer.ingress[0].hostname: Invalid value: "1.2.3.4": must be a DNS name, not an IP address',
  ]);
});
