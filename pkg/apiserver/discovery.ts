/**
 * What the server says it can do: derived from the table of kinds and nothing else. Two forms of the same facts: the
 * aggregated one (one answer for everything; kubectl ≥ 1.26) and the legacy one (a document per group version).
 */
import type { ApiObject } from "../api/object.ts";
import { apiVersionOf } from "../api/object.ts";
import type { KindRef, ResourceDef, Subresource } from "../api/resource.ts";
import { compareVersions } from "../api/versions.ts";

export const SERVER_VERSION = {
  major: "1",
  minor: "36",
  gitVersion: "v1.36.0+mini-kube",
  gitCommit: "",
  gitTreeState: "clean",
  buildDate: "1970-01-01T00:00:00Z",
  goVersion: "",
  compiler: "tsc",
  platform: "",
} as const;

const VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

function subresourceVerbs(s: Subresource<ApiObject>): readonly string[] {
  switch (s.type) {
    case "part":
    case "facet":
      return ["get", "patch", "update"];
    case "call":
      return ["create"];
    case "action":
      return [s.verb];
    case "connect":
      return s.verbs;
  }
}

/** The kind a subresource speaks: that of its body, which may be another than the object's. */
function subresourceKind(def: ResourceDef, s: Subresource<ApiObject>) {
  const { group, version, kind } = bodyKind(s) ?? def;
  return { group, version, kind };
}

function bodyKind(s: Subresource<ApiObject>): KindRef | undefined {
  if (s.type === "facet") return s.of;
  return s.type === "action" || s.type === "call" ? s.input : undefined;
}

/** Groups in the order the API is documented in: the core group first, then by name; the preferred version first. */
export function groupsOf(defs: readonly ResourceDef[]): { group: string; versions: string[] }[] {
  const groups = new Map<string, Set<string>>();
  for (const d of defs) groups.set(d.group, (groups.get(d.group) ?? new Set()).add(d.version));
  return [...groups.entries()]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([group, versions]) => ({ group, versions: [...versions].toSorted(compareVersions) }));
}

/** `/api/v1` or `/apis/GROUP/VERSION`. */
export function legacyResourceList(defs: readonly ResourceDef[], group: string, version: string): object | undefined {
  const served = defs.filter((d) => d.group === group && d.version === version);
  if (served.length === 0) return undefined;
  const resources = served.flatMap((d) => [
    {
      name: d.plural,
      singularName: d.singular,
      namespaced: d.namespaced,
      kind: d.kind,
      verbs: d.verbs ?? VERBS,
      ...(d.shortNames.length > 0 && { shortNames: d.shortNames }),
      ...(d.categories.length > 0 && { categories: d.categories }),
    },
    ...Object.entries(d.subresources).map(([name, s]) => {
      const { kind, ...gv } = subresourceKind(d, s);
      const foreign = gv.group !== d.group || gv.version !== d.version;
      return {
        name: `${d.plural}/${name}`,
        singularName: "",
        namespaced: d.namespaced,
        ...(foreign && gv),
        kind,
        verbs: subresourceVerbs(s),
      };
    }),
  ]);
  return { kind: "APIResourceList", apiVersion: "v1", groupVersion: apiVersionOf({ group, version }), resources };
}

/** `/api`, unless the client takes the aggregated form. */
export function apiVersions(serverAddress: string): object {
  return {
    kind: "APIVersions",
    versions: ["v1"],
    serverAddressByClientCIDRs: [{ clientCIDR: "0.0.0.0/0", serverAddress }],
  };
}

function legacyGroup(group: string, versions: readonly string[]) {
  const all = versions.map((version) => ({ groupVersion: apiVersionOf({ group, version }), version }));
  return { name: group, versions: all, preferredVersion: all[0] };
}

/** `/apis`, unless the client takes the aggregated form. */
export function apiGroupList(defs: readonly ResourceDef[]): object {
  const groups = groupsOf(defs).filter((g) => g.group !== "");
  return { kind: "APIGroupList", apiVersion: "v1", groups: groups.map((g) => legacyGroup(g.group, g.versions)) };
}

/** `/apis/GROUP`. */
export function apiGroup(defs: readonly ResourceDef[], group: string): object | undefined {
  const found = groupsOf(defs).find((g) => g.group === group && group !== "");
  return found && { kind: "APIGroup", apiVersion: "v1", ...legacyGroup(found.group, found.versions) };
}

/** `/api` (core group) and `/apis` (the rest) in one answer each, in the discovery version asked for. */
export function aggregatedDiscovery(
  defs: readonly ResourceDef[],
  which: "core" | "groups",
  discoveryVersion: "v2" | "v2beta1",
): object {
  const groups = groupsOf(defs).filter((g) => (g.group === "") === (which === "core"));
  return {
    kind: "APIGroupDiscoveryList",
    apiVersion: `apidiscovery.k8s.io/${discoveryVersion}`,
    metadata: {},
    items: groups.map(({ group, versions }) => ({
      metadata: { name: group, creationTimestamp: null },
      versions: versions.map((version) => ({
        version,
        resources: defs.filter((d) => d.group === group && d.version === version).map(aggregatedResource),
        freshness: "Current",
      })),
    })),
  };
}

function aggregatedResource(d: ResourceDef): object {
  const subresources = Object.entries(d.subresources).map(([name, s]) => ({
    subresource: name,
    responseKind: subresourceKind(d, s),
    verbs: subresourceVerbs(s),
  }));
  return {
    resource: d.plural,
    responseKind: { group: d.group, version: d.version, kind: d.kind },
    scope: d.namespaced ? "Namespaced" : "Cluster",
    singularResource: d.singular,
    verbs: d.verbs ?? VERBS,
    ...(d.shortNames.length > 0 && { shortNames: d.shortNames }),
    ...(d.categories.length > 0 && { categories: d.categories }),
    ...(subresources.length > 0 && { subresources }),
  };
}
