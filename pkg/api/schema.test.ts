import { describe, expect, test } from "@jest/globals";
import { ATOMIC_TYPES, FIELD_RULES, SCHEMA_DEFAULTS } from "./schema-tables.ts";
import { fieldAt, fieldOf, mustSchemaOf, objectTypeOf, schemaOf, typeNames, words, type FieldType } from "./schema.ts";

const scalar = (name: string, field: string) => {
  const type = fieldOf(name, field)?.type;
  return type?.kind === "scalar" ? type.scalar : type;
};

describe("the generated schema", () => {
  test("has the current release's types, under their wire names", () => {
    expect([...typeNames()].length).toBeGreaterThan(700);
    expect([...mustSchemaOf("Pod").fields.keys()]).toEqual(["apiVersion", "kind", "metadata", "spec", "status"]);
    expect(fieldOf("ListMeta", "continue")).toBeDefined();
    expect(fieldOf("NetworkPolicyIngressRule", "from")).toBeDefined();
    expect(fieldOf("JSONSchemaProps", "$ref")).toBeDefined();
    expect(fieldOf("JSONSchemaProps", "x-kubernetes-int-or-string")).toBeDefined();
    expect(schemaOf("V1Pod")).toBeUndefined();
  });

  test.each([
    ["ContainerPort", "containerPort", "int32", true],
    ["ContainerPort", "protocol", "string", false],
    ["PodSpec", "terminationGracePeriodSeconds", "int64", false],
    ["ObjectMeta", "creationTimestamp", "time", false],
    ["LeaseSpec", "renewTime", "microTime", false],
    ["CoreV1Event", "eventTime", "microTime", false],
    ["CoreV1EventSeries", "lastObservedTime", "microTime", false],
    ["HTTPGetAction", "port", "intOrString", true],
    ["EmptyDirVolumeSource", "sizeLimit", "quantity", false],
    ["ControllerRevision", "data", "any", false],
    ["CustomResourceDefinitionNames", "kind", "string", true],
  ])("%s.%s is %s, required: %s", (type, field, expected, required) => {
    expect(scalar(type, field)).toBe(expected);
    expect(fieldOf(type, field)?.required).toBe(required);
  });

  test("nests lists and maps", () => {
    expect(fieldOf("PodSpec", "containers")?.type).toEqual({ kind: "list", of: { kind: "object", type: "Container" } });
    expect(fieldOf("Secret", "data")?.type).toEqual({ kind: "map", of: { kind: "scalar", scalar: "bytes" } });
    expect(fieldOf("ResourceRequirements", "limits")?.type).toEqual({
      kind: "map",
      of: { kind: "scalar", scalar: "quantity" },
    });
    expect(fieldOf("UserInfo", "extra")?.type).toEqual({
      kind: "map",
      of: { kind: "list", of: { kind: "scalar", scalar: "string" } },
    });
  });

  test("every type is named in full, refers only to types that exist, and uses only known scalars", () => {
    const scalars = new Set(words("string bytes bool quantity int32 int64 double time microTime intOrString any"));
    const names = [...typeNames()];
    const wrong = names.flatMap((name) =>
      [...mustSchemaOf(name).fields.values()]
        .filter((f) => {
          const leaf = leafOf(f.type);
          return leaf.kind === "scalar" ? !scalars.has(leaf.scalar) : !schemaOf(objectTypeOf(leaf) ?? "");
        })
        .map((f) => `${name}.${f.name}`),
    );
    expect(wrong).toEqual([]);
    expect(new Set(names.map((n) => mustSchemaOf(n).openApiName)).size).toBe(names.length);
  });

  test.each([
    ["Pod", "io.k8s.api.core.v1.Pod"],
    ["PodTemplateSpec", "io.k8s.api.core.v1.PodTemplateSpec"],
    ["CoreV1Event", "io.k8s.api.core.v1.Event"],
    ["EventsV1Event", "io.k8s.api.events.v1.Event"],
    ["Deployment", "io.k8s.api.apps.v1.Deployment"],
    ["V2HorizontalPodAutoscaler", "io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler"],
    ["RoleBinding", "io.k8s.api.rbac.v1.RoleBinding"],
    ["Eviction", "io.k8s.api.policy.v1.Eviction"],
    ["ObjectMeta", "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"],
    ["LabelSelector", "io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector"],
    ["TopologySelectorTerm", "io.k8s.api.core.v1.TopologySelectorTerm"],
    ["VersionInfo", "io.k8s.apimachinery.pkg.version.Info"],
    ["CustomResourceDefinition", "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition"],
  ])("%s is %s", (type, name) => {
    expect(mustSchemaOf(type).openApiName).toBe(name);
  });
});

describe("fieldAt", () => {
  test("walks fields, indexes and keys", () => {
    expect(fieldAt("Pod", ["spec", "containers", 0, "ports"])?.merge.mergeKey).toBe("containerPort");
    expect(fieldAt("Pod", ["spec", "containers", 0])?.name).toBe("containers");
    expect(fieldAt("Pod", ["metadata", "labels", "app"])?.name).toBe("labels");
  });

  test("finds nothing beyond what exists", () => {
    expect(fieldAt("Pod", ["spec", "nope"])).toBeUndefined();
    expect(fieldAt("Pod", ["metadata", "name", "deeper"])).toBeUndefined();
    expect(fieldAt("Pod", [])).toBeUndefined();
    expect(fieldAt("Nope", ["spec"])).toBeUndefined();
  });
});

describe("the tables of our own", () => {
  const ruled = FIELD_RULES.flatMap(([rule, fields]) => words(fields).map((path) => ({ path, rule })));
  const field = (path: string) => {
    const dot = path.indexOf(".");
    return fieldOf(path.slice(0, dot), path.slice(dot + 1));
  };

  test("name only fields that exist, each once", () => {
    const paths = ruled.map((r) => r.path);
    expect(paths.length).toBeGreaterThan(80);
    expect(new Set(paths).size).toBe(paths.length);
    expect(paths.filter((p) => !field(p))).toEqual([]);
    expect(Object.keys(SCHEMA_DEFAULTS).filter((p) => !field(p))).toEqual([]);
    expect(words(ATOMIC_TYPES).filter((t) => !schemaOf(t))).toEqual([]);
  });

  test("give lists rules for lists, with keys that their items have", () => {
    const wrong = ruled.filter(({ path, rule }) => {
      const type = field(path)?.type;
      const keys = [...(rule.listMapKeys ?? []), ...(rule.mergeKey ? [rule.mergeKey] : [])];
      const item = type && objectTypeOf(type);
      return (rule.listType && type?.kind !== "list") || keys.some((k) => !item || !fieldOf(item, k));
    });
    expect(wrong).toEqual([]);
  });

  test.each([
    ["Container", "env", { listType: "map", listMapKeys: ["name"], strategy: ["merge"], mergeKey: "name" }],
    ["PodSpec", "tolerations", { listType: "atomic" }],
    ["NodeSpec", "taints", { listType: "atomic" }],
    ["ObjectMeta", "finalizers", { listType: "set", strategy: ["merge"] }],
    ["DeploymentSpec", "strategy", { strategy: ["retainKeys"] }],
    ["PodList", "items", {}],
    ["PodSpec", "nodeName", {}],
  ])("%s.%s merges as upstream", (type, name, rule) => {
    expect(fieldOf(type, name)?.merge).toEqual(rule);
  });
});

function leafOf(type: FieldType): FieldType {
  return type.kind === "list" || type.kind === "map" ? leafOf(type.of) : type;
}
