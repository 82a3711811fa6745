/** What each of the smaller kinds promises, and what all rows of the table have in common. */
import { describe, expect, test } from "@jest/globals";
import { deepClone } from "../equal.ts";
import type { ConfigMap, CoreV1Event, Lease, Namespace, Node, Secret } from "../generated/types.ts";
import { apiVersionOf, type ApiObject } from "../object.ts";
import type { RequestContext, ResourceDef } from "../resource.ts";
import { invalid } from "../status.ts";
import { findByKind, findByPlural, resources } from "../table.ts";
import { configMaps } from "./core/configmap.ts";
import { events } from "./core/event.ts";
import { leases } from "./coordination/lease.ts";
import { namespaces } from "./core/namespace.ts";
import { nodes } from "./core/node.ts";
import { secrets } from "./core/secret.ts";

const now = Date.parse("2026-01-01T01:00:00Z");
const context: RequestContext = { now, user: { name: "u", groups: [] } };
const created = { creationTimestamp: "2026-01-01T00:00:00Z" };

function row<T extends ApiObject>(
  def: ResourceDef<T>,
  o: Parameters<ResourceDef<T>["columns"][number]["cell"]>[0],
  wide = false,
) {
  return def.columns.filter((c) => wide || !c.wide).map((c) => c.cell(o, now));
}

function complaints(errors: Parameters<typeof invalid>[2] | undefined): string {
  return errors?.length ? invalid({ group: "", kind: "X" }, "x", errors).message : "";
}

/** Matches what contains `message`; without one, only silence. */
function saying(message: string): RegExp {
  return message ? new RegExp(message.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&")) : /^$/;
}

describe("the table", () => {
  test("finds every row by both its names", () => {
    expect(resources.length).toBeGreaterThan(8);
    for (const d of resources) {
      expect(findByPlural(d.group, d.version, d.plural)).toBe(d);
      expect(findByKind(d.group ? `${d.group}/${d.version}` : d.version, d.kind)).toBe(d);
    }
    expect(findByPlural("apps", "v1", "pods")).toBeUndefined();
  });

  test.each(resources.map((d) => [apiVersionOf(d), d.kind, d] as const))("%s %s has one name column", (_, __, d) => {
    expect(d.columns.filter((c) => c.format === "name")).toHaveLength(1);
  });

  test("no name is taken twice in a group's version", () => {
    const names = resources.flatMap((d) =>
      [...new Set([d.plural, d.singular]), ...d.shortNames].filter(Boolean).map((name) => `${apiVersionOf(d)} ${name}`),
    );
    expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
  });
});

describe("namespaces", () => {
  test("are born active, labelled and held", () => {
    const ns: Namespace = { metadata: { name: "dev" }, status: { phase: "Terminating" } };
    namespaces.prepareForCreate?.(ns, context);
    expect(ns).toEqual({
      metadata: { name: "dev", labels: { "kubernetes.io/metadata.name": "dev" } },
      spec: { finalizers: ["kubernetes"] },
      status: { phase: "Active" },
    });
    expect(namespaces.heldBack?.(ns)).toBe(true);
    expect(row(namespaces, { ...ns, metadata: { ...ns.metadata, ...created } })).toEqual(["dev", "Active", "60m"]);
  });

  test("go when their finalizer is gone", () => {
    const ns: Namespace = { metadata: { name: "dev" }, spec: { finalizers: ["kubernetes"] } };
    namespaces.prepareForDelete?.(ns, context);
    expect(ns.status?.phase).toBe("Terminating");
    const finalize = namespaces.subresources["finalize"];
    if (finalize?.type !== "action") throw new Error("finalize is an action");
    finalize.apply(ns, { metadata: { name: "dev" } }, context);
    expect(namespaces.heldBack?.(ns)).toBe(false);
  });

  test("have names without dots", () => {
    expect(namespaces.validateName?.("a.b")).toHaveLength(1);
  });
});

describe("nodes", () => {
  const node: Node = {
    metadata: {
      name: "n1",
      labels: { "node-role.kubernetes.io/worker": "", "kubernetes.io/role": "edge" },
      ...created,
    },
    spec: { unschedulable: true },
    status: {
      conditions: [{ type: "Ready", status: "True" }],
      addresses: [{ type: "InternalIP", address: "10.0.0.1" }],
      capacity: { cpu: "2000m", memory: "2048Mi" },
    },
  };

  test("show roles and state", () => {
    expect(row(nodes, node)).toEqual(["n1", "Ready,SchedulingDisabled", "edge,worker", "60m", ""]);
    expect(row(nodes, node, true).slice(5)).toEqual(["10.0.0.1", "<none>", "<unknown>", "<unknown>", "<unknown>"]);
    expect(row(nodes, { metadata: { name: "n" } })).toEqual(["n", "Unknown", "<none>", "<unknown>", ""]);
  });

  test("may promise all they have", () => {
    const copy = deepClone(node) as Node;
    nodes.setDefaults?.(copy);
    expect(copy.status?.allocatable).toEqual({ cpu: "2", memory: "2Gi" });
  });

  test("have sound taints and steady identities", () => {
    const taint = { key: "a", effect: "NoSchedule" };
    const bad: Node = { metadata: {}, spec: { taints: [taint, taint, { key: "", effect: "x" }] } };
    expect(complaints(nodes.validate?.(bad))).toContain("taints must be unique by key and effect pair");
    expect(complaints(nodes.validate?.(bad))).toContain("spec.taints[2].key: Required value");
    expect(complaints(nodes.validate?.(bad))).toContain(
      'supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"',
    );
    const old: Node = { metadata: {}, spec: { podCIDR: "10.1.0.0/24" } };
    expect(complaints(nodes.validate?.({ metadata: {} }, old))).toContain(
      'node updates may not change podCIDR except from "" to valid',
    );
    expect(nodes.validate?.(old, { metadata: {} })).toEqual([]);
  });
});

describe("config maps", () => {
  const cm = (data: Record<string, string>, more: Partial<ConfigMap> = {}): ConfigMap => ({
    metadata: { name: "c" },
    data,
    ...more,
  });

  test("count their keys", () => {
    expect(row(configMaps, cm({ a: "1" }, { binaryData: { b: "AA==" } }))).toEqual(["c", 2, "<unknown>"]);
  });

  test.each<[string, ConfigMap, ConfigMap | undefined, string]>([
    ["a fine one", cm({ a: "1" }), undefined, ""],
    ["a key", cm({ "a/b": "" }), undefined, 'data[a/b]: Invalid value: "a/b": a valid config key must consist'],
    ["a key twice", cm({ a: "" }, { binaryData: { a: "" } }), undefined, "duplicate of key present in data"],
    ["too much", cm({ a: "x".repeat(1024 * 1024 + 1) }), undefined, "Too long: may not be more than 1048576 bytes"],
    [
      "immutable data",
      cm({ a: "2" }, { immutable: true }),
      cm({ a: "1" }, { immutable: true }),
      "data: Forbidden: field is immutable when `immutable` is set",
    ],
    [
      "immutability",
      cm({ a: "1" }),
      cm({ a: "1" }, { immutable: true }),
      "immutable: Forbidden: field is immutable when `immutable` is set",
    ],
  ])("%s", (_, next, old, message) => {
    const said = complaints(configMaps.validate?.(next, old));
    expect(said).toMatch(saying(message));
  });
});

describe("secrets", () => {
  test("take text and keep base64", () => {
    const s: Secret = { metadata: { name: "s" }, data: { a: "b2xk", b: "Yg==" }, stringData: { a: "né" } };
    secrets.setDefaults?.(s);
    expect(s).toEqual({ metadata: { name: "s" }, type: "Opaque", data: { a: "bsOp", b: "Yg==" } });
    expect(row(secrets, s)).toEqual(["s", "Opaque", 2, "<unknown>"]);
  });

  test.each<[string, Partial<Secret>, string]>([
    ["kubernetes.io/tls", {}, "data[tls.crt]: Required value"],
    ["kubernetes.io/basic-auth", {}, "data[username]: Required value"],
    ["kubernetes.io/ssh-auth", {}, "data[ssh-privatekey]: Required value"],
    ["kubernetes.io/dockerconfigjson", {}, "data[.dockerconfigjson]: Required value"],
    ["kubernetes.io/dockerconfigjson", { data: { ".dockerconfigjson": "e30" } }, ""],
    ["kubernetes.io/dockerconfigjson", { data: { ".dockerconfigjson": "e30=" } }, ""],
    [
      "kubernetes.io/dockerconfigjson",
      { data: { ".dockerconfigjson": "eA==" } },
      '"<secret contents redacted>": invalid JSON',
    ],
    [
      "kubernetes.io/service-account-token",
      {},
      "metadata.annotations[kubernetes.io/service-account.name]: Required value",
    ],
    ["example.com/any", {}, ""],
  ])("of type %s with %j", (type, more, message) => {
    const said = complaints(secrets.validate?.({ metadata: {}, type, ...more }));
    expect(said).toMatch(saying(message));
  });

  test("never change their type", () => {
    const said = complaints(secrets.validate?.({ metadata: {}, type: "b" }, { metadata: {}, type: "a" }));
    expect(said).toContain('type: Invalid value: "b": field is immutable');
  });
});

describe("events", () => {
  const event: CoreV1Event = {
    metadata: { name: "e", namespace: "default" },
    involvedObject: { kind: "Pod", name: "web", namespace: "default", fieldPath: "spec.containers{a}" },
    type: "Warning",
    reason: "BackOff",
    message: " Back-off \n",
    source: { component: "agent", host: "n1" },
    firstTimestamp: "2026-01-01T00:00:00Z",
    lastTimestamp: "2026-01-01T00:59:30Z",
    count: 3,
  };

  test("show what happened to what", () => {
    expect(row(events, event)).toEqual(["30s", "Warning", "BackOff", "pod/web", "Back-off"]);
    expect(row(events, event, true)).toEqual([
      "30s",
      "Warning",
      "BackOff",
      "pod/web",
      "spec.containers{a}",
      "agent, n1",
      "Back-off",
      "60m",
      3,
      "e",
    ]);
  });

  test("of the new style have their times elsewhere", () => {
    const { firstTimestamp, lastTimestamp, count, ...rest } = event;
    expect([firstTimestamp, lastTimestamp, count].every(Boolean)).toBe(true);
    const eventTime = "2026-01-01T00:50:00.000000Z";
    expect(row(events, { ...rest, eventTime }, true).slice(7)).toEqual(["10m", 1, "e"]);
    const series = { count: 9, lastObservedTime: "2026-01-01T00:59:00.000000Z" };
    expect(row(events, { ...rest, eventTime, series })[0]).toBe("60s");
    expect(complaints(events.validate?.({ ...rest, eventTime }))).toContain("reportingController: Required value");
  });

  test("live beside their object", () => {
    expect(events.validate?.(event)).toEqual([]);
    const other = { ...event, metadata: { name: "e", namespace: "other" } };
    expect(complaints(events.validate?.(other))).toContain("does not match event.namespace");
    expect(events.validate?.({ ...event, involvedObject: { kind: "Node", name: "n1" } })).toEqual([]);
    expect(events.selectableFields["source"]?.(event)).toBe("agent");
  });
});

test("leases name their holder and count in positive seconds", () => {
  const lease: Lease = { metadata: { name: "l" }, spec: { holderIdentity: "me", leaseDurationSeconds: 0 } };
  expect(row(leases, lease)).toEqual(["l", "me", "<unknown>"]);
  expect(complaints(leases.validate?.(lease))).toContain(
    "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
  );
});
