import { describe, expect, it, test } from "@jest/globals";
import type { Node, Pod, PodSpec, Service, ServiceSpec } from "../../api/generated/types.ts";
import { fromEndpoints, fromPods } from "../endpointslice/wanted.ts";
import { MAX_ADDRESSES, planEndpoints } from "./plan.ts";

const AT = "2026-01-01T00:00:05Z";

function service(spec: Partial<ServiceSpec> = {}): Service {
  return {
    metadata: { name: "web", namespace: "default", uid: "s", labels: { team: "a" } },
    spec: {
      selector: { app: "web" },
      clusterIPs: ["10.96.0.9"],
      ipFamilies: ["IPv4"],
      ports: [{ name: "http", port: 80, targetPort: 8080, protocol: "TCP" }],
      ...spec,
    },
  };
}

interface Shape {
  readonly ready?: boolean;
  readonly deleted?: boolean;
  readonly phase?: string;
  readonly ip?: string;
  readonly spec?: Partial<PodSpec>;
}

function pod(n: number, { ready = true, deleted, phase = "Running", ip = `10.0.0.${n}`, spec }: Shape = {}): Pod {
  return {
    metadata: {
      name: `p${n}`,
      namespace: "default",
      uid: `uid-${n}`,
      creationTimestamp: "2026-01-01T00:00:00Z",
      ...(deleted && { deletionTimestamp: AT }),
    },
    spec: { containers: [{ name: "c", ports: [{ name: "web", containerPort: 9000 + n }] }], nodeName: "n1", ...spec },
    status: {
      phase,
      ...(ip && { podIP: ip, podIPs: [{ ip }] }),
      conditions: [{ type: "Ready", status: ready ? "True" : "False", lastTransitionTime: AT }],
    },
  };
}

const nodes: Readonly<Record<string, Node>> = {
  n1: { metadata: { name: "n1", labels: { "topology.kubernetes.io/zone": "east" } } },
};
const slices = (s: Service, ...pods: Pod[]) => fromPods(s, pods, "IPv4", (name) => nodes[name]);
const old = (s: Service, ...pods: Pod[]) => planEndpoints(s, pods, undefined);
const ref = (n: number) => ({ kind: "Pod", namespace: "default", name: `p${n}`, uid: `uid-${n}` });

describe("the same Pod as Kubernetes shows it in slices and in Endpoints", () => {
  type Seen = { ready: boolean; serving: boolean; terminating: boolean } | undefined;
  const waits = { publishNotReadyAddresses: true };
  test.each<[what: string, s: Service, p: Pod, slice: Seen, list: string | undefined]>([
    ["ready", service(), pod(1), { ready: true, serving: true, terminating: false }, "addresses"],
    [
      "not ready",
      service(),
      pod(1, { ready: false }),
      { ready: false, serving: false, terminating: false },
      "notReadyAddresses",
    ],
    [
      "ready, but on its way out",
      service(),
      pod(1, { deleted: true }),
      { ready: false, serving: true, terminating: true },
      undefined,
    ],
    [
      "not ready, but wanted early",
      service(waits),
      pod(1, { ready: false }),
      { ready: true, serving: false, terminating: false },
      "addresses",
    ],
    [
      "on its way out, but wanted early",
      service(waits),
      pod(1, { deleted: true }),
      { ready: true, serving: true, terminating: true },
      "addresses",
    ],
    ["ended", service(), pod(1, { phase: "Succeeded" }), undefined, undefined],
    ["without address", service(), pod(1, { ip: "" }), undefined, undefined],
    ["of another family", service(), pod(1, { ip: "fd00::1" }), undefined, undefined],
    [
      "a named port that it has not",
      service({ ports: [{ port: 80, targetPort: "no" }] }),
      pod(1),
      undefined,
      undefined,
    ],
    [
      "without ports, headless",
      service({ ports: [], clusterIPs: ["None"] }),
      pod(1),
      { ready: true, serving: true, terminating: false },
      "addresses",
    ],
  ])("%s", (_, s, p, slice, list) => {
    expect(slices(s, p)[0]?.endpoints[0]?.endpoint.conditions).toEqual(slice);
    const [subset] = old(s, p)?.subsets ?? [];
    expect(subset ? Object.keys(subset).find((k) => k !== "ports") : undefined).toBe(list);
  });
});

test("a whole endpoint", () => {
  const p = pod(1, { spec: { hostname: "web-0", subdomain: "web" } });
  expect(slices(service({ trafficDistribution: "PreferClose" }), p)).toEqual([
    {
      ports: [{ name: "http", port: 8080, protocol: "TCP" }],
      endpoints: [
        {
          endpoint: {
            addresses: ["10.0.0.1"],
            conditions: { ready: true, serving: true, terminating: false },
            hostname: "web-0",
            nodeName: "n1",
            zone: "east",
            targetRef: ref(1),
            hints: { forZones: [{ name: "east" }] },
          },
          since: AT,
        },
      ],
    },
  ]);
});

test("a Pod whose node is gone is no endpoint, unless all are wanted", () => {
  const lost = pod(1, { spec: { nodeName: "away" } });
  expect(slices(service(), lost)).toEqual([]);
  expect(slices(service({ publishNotReadyAddresses: true }), lost)).toHaveLength(1);
});

test("named target ports are looked up in each Pod, so Pods part by what they have", () => {
  const named = service({ ports: [{ port: 80, targetPort: "web", protocol: "TCP" }] });
  expect(slices(named, pod(1), pod(2)).map((g) => g.ports[0]?.port)).toEqual([9001, 9002]);
  expect(old(named, pod(1), pod(2))?.subsets?.map((s) => s.ports?.[0]?.port)).toEqual([9001, 9002]);
});

describe("planEndpoints", () => {
  it("says it all in one object", () => {
    expect(old(service(), pod(2), pod(1), pod(3, { ready: false }))).toEqual({
      metadata: {
        name: "web",
        namespace: "default",
        labels: { team: "a", "endpoints.kubernetes.io/managed-by": "endpoint-controller" },
        annotations: { "endpoints.kubernetes.io/last-change-trigger-time": AT },
      },
      subsets: [
        {
          addresses: [
            { ip: "10.0.0.1", nodeName: "n1", targetRef: ref(1) },
            { ip: "10.0.0.2", nodeName: "n1", targetRef: ref(2) },
          ],
          notReadyAddresses: [{ ip: "10.0.0.3", nodeName: "n1", targetRef: ref(3) }],
          ports: [{ name: "http", port: 8080, protocol: "TCP" }],
        },
      ],
    });
  });

  it("writes nothing where nothing changed, whatever the order of the Pods", () => {
    const written = old(service(), pod(1), pod(2));
    expect(planEndpoints(service(), [pod(2), pod(1)], written)).toBeUndefined();
    expect(planEndpoints(service(), [pod(1)], written)?.subsets?.[0]?.addresses).toHaveLength(1);
  });

  it("stops at a thousand, ready ones first, and says so", () => {
    const many = Array.from({ length: 700 }, (_, n) => pod(n, { ip: `10.1.${n >> 8}.${n & 255}` }));
    const sick = Array.from({ length: 700 }, (_, n) => pod(n, { ip: `10.2.${n >> 8}.${n & 255}`, ready: false }));
    const next = old(service(), ...sick, ...many);
    expect(next?.subsets?.map((s) => [s.addresses?.length, s.notReadyAddresses?.length])).toEqual([
      [700, MAX_ADDRESSES - 700],
    ]);
    expect(next?.metadata.annotations?.["endpoints.kubernetes.io/over-capacity"]).toBe("truncated");
  });
});

test("Endpoints written by hand become endpoints of each family", () => {
  const source = {
    metadata: { name: "db", namespace: "default" },
    subsets: [
      {
        addresses: [{ ip: "192.0.2.1" }, { ip: "2001:db8::1" }],
        notReadyAddresses: [{ ip: "192.0.2.2", nodeName: "n1" }],
        ports: [{ port: 5432 }],
      },
    ],
  };
  const ports = [{ name: "", port: 5432, protocol: "TCP" }];
  expect(fromEndpoints(source, "IPv4")).toEqual([
    {
      ports,
      endpoints: [
        { endpoint: { addresses: ["192.0.2.1"], conditions: { ready: true } } },
        { endpoint: { addresses: ["192.0.2.2"], conditions: { ready: false }, nodeName: "n1" } },
      ],
    },
  ]);
  expect(fromEndpoints(source, "IPv6")[0]?.endpoints).toHaveLength(1);
});
