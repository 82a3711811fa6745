import { describe, expect, test } from "@jest/globals";
import type { ApiObject } from "../object.ts";
import { ApiError } from "../status.ts";
import { parseYamlDocuments } from "../../util/yaml.ts";
import { type Apply, applyConfiguration } from "./apply.ts";
import { mergeTypeOf } from "./built-in.ts";
import { fieldsIn } from "./managers.ts";
import { merge } from "./merge.ts";
import { THING } from "./testing.ts";
import { trackApply, trackUpdate } from "./track.ts";

const NOW = Date.parse("2026-01-01T00:00:00Z");
const kind = (group: string, name: string): Apply["def"] => ({
  group,
  version: "v1",
  kind: name,
  schema: name,
  subresources: { status: { type: "part", prepareForUpdate: () => {} } },
});
const deployments = kind("apps", "Deployment");
const configMaps = { ...kind("", "ConfigMap"), subresources: {} };
const services = kind("", "Service");
const pods = kind("", "Pod");

const yaml = (text: string) => parseYamlDocuments(text, "test")[0]?.value as Record<string, unknown>;

interface How {
  readonly manager?: string;
  readonly force?: boolean;
  readonly subresource?: string;
  readonly now?: number;
}

function apply(def: Apply["def"], live: ApiObject | undefined, text: string, how: How = {}): ApiObject {
  const { manager = "m", force = false, subresource = "", now = NOW } = how;
  const done = applyConfiguration({ def, live, applied: yaml(text), manager, force, subresource, now });
  const next = structuredClone(done.object) as unknown as ApiObject;
  trackApply(next, live, done.managedFields);
  return next;
}

function update(def: Apply["def"], live: ApiObject | undefined, next: object, how: How = {}): ApiObject {
  const { manager = "u", subresource = "", now = NOW } = how;
  const made = structuredClone(next) as ApiObject;
  const apiVersion = def.group ? `${def.group}/v1` : "v1";
  trackUpdate({ def, type: mergeTypeOf(def), old: live, next: made, manager, apiVersion, subresource, now });
  return made;
}

const fields = (o: ApiObject, manager: string) =>
  fieldsIn(o.metadata.managedFields?.find((e) => e.manager === manager));
const managers = (o: ApiObject) =>
  (o.metadata.managedFields ?? []).map((e) => `${e.manager ?? ""} ${e.operation ?? ""}`);

function refusal(attempt: () => unknown): ApiError {
  try {
    attempt();
  } catch (error) {
    if (error instanceof ApiError) return error;
    throw error;
  }
  throw new Error("it was not refused");
}

const DATA = (data: string) =>
  `{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: default}, data: ${data}}`;

const DEPLOYMENT = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: nginx
        ports: [{containerPort: 80}]
        env: [{name: A, value: "1"}]
        emptyDir: {}
      nodeSelector: {disk: ssd}
      tolerations: [{key: a}]
`.replace("        emptyDir: {}\n", "");

describe("ownership", () => {
  test("of an applied Deployment is what it says, in Kubernetes' form", () => {
    const made = apply(deployments, undefined, DEPLOYMENT);
    expect(made.metadata.managedFields).toEqual([
      {
        manager: "m",
        operation: "Apply",
        apiVersion: "apps/v1",
        time: "2026-01-01T00:00:00Z",
        fieldsType: "FieldsV1",
        fieldsV1: {
          "f:metadata": { "f:labels": { "f:app": {} } },
          "f:spec": {
            "f:replicas": {},
            "f:selector": {},
            "f:template": {
              "f:metadata": { "f:labels": { "f:app": {} } },
              "f:spec": {
                "f:containers": {
                  'k:{"name":"web"}': {
                    ".": {},
                    "f:env": { 'k:{"name":"A"}': { ".": {}, "f:name": {}, "f:value": {} } },
                    "f:image": {},
                    "f:name": {},
                    "f:ports": { 'k:{"containerPort":80,"protocol":"TCP"}': { ".": {}, "f:containerPort": {} } },
                  },
                },
                "f:nodeSelector": {},
                "f:tolerations": {},
              },
            },
          },
        },
      },
    ]);
  });

  test("of a created one also names the maps and lists that came to be, as kubectl create shows them", () => {
    const made = update(deployments, undefined, yaml(DEPLOYMENT), { manager: "kubectl-create" });
    expect(made.metadata.managedFields?.[0]?.fieldsV1).toMatchObject({
      "f:metadata": { "f:labels": { ".": {}, "f:app": {} } },
      "f:spec": {
        "f:template": {
          "f:spec": {
            "f:containers": {
              'k:{"name":"web"}': {
                ".": {},
                "f:ports": { ".": {}, 'k:{"containerPort":80,"protocol":"TCP"}': { ".": {}, "f:containerPort": {} } },
              },
            },
          },
        },
      },
    });
    const spec = fields(made, "kubectl-create")["f:spec"] ?? {};
    expect(Object.keys(spec)).toEqual(["f:replicas", "f:selector", "f:template"]);
    const reported = update(deployments, undefined, { ...yaml(DEPLOYMENT), status: { replicas: 1 } });
    expect(fields(reported, "u")).not.toHaveProperty("f:status");
  });

  test("status belongs to its own entry, and applying the object does not touch it", () => {
    const made = apply(deployments, undefined, `${DEPLOYMENT}status: {replicas: 7}`);
    expect(made).not.toHaveProperty("status");
    const status = { status: { replicas: 1, conditions: [{ type: "Available", status: "True" }] } };
    const ran = update(deployments, made, { ...made, ...status }, { manager: "ctrl", subresource: "status" });
    expect(ran.metadata.managedFields).toHaveLength(2);
    expect(ran.metadata.managedFields?.[1]).toMatchObject({
      manager: "ctrl",
      operation: "Update",
      subresource: "status",
      fieldsV1: {
        "f:status": {
          "f:replicas": {},
          "f:conditions": { ".": {}, 'k:{"type":"Available"}': { ".": {}, "f:status": {}, "f:type": {} } },
        },
      },
    });
    const again = apply(deployments, ran, `${DEPLOYMENT}status: {replicas: 7}`);
    expect(again).toEqual(ran);
    const applied = apply(deployments, ran, `${DEPLOYMENT}status: {replicas: 3}`, {
      subresource: "status",
      force: true,
    });
    expect(applied).toMatchObject({ spec: { replicas: 2 }, status: { replicas: 3 } });
    expect(fields(applied, "ctrl")).not.toMatchObject({ "f:status": { "f:replicas": {} } });
  });

  test("ends when somebody else changes the value, not when they write the same one", () => {
    const made = apply(configMaps, undefined, DATA("{a: '1', b: '2'}"));
    const changed = update(configMaps, made, { ...made, data: { a: "1", b: "3" } }, { now: NOW + 5000 });
    expect(fields(changed, "m")).toEqual({ "f:data": { "f:a": {} } });
    expect(fields(changed, "u")).toEqual({ "f:data": { "f:b": {} } });
    expect(changed.metadata.managedFields?.[0]?.time).toBe("2026-01-01T00:00:00Z");
    expect(changed.metadata.managedFields?.[1]?.time).toBe("2026-01-01T00:00:05Z");
  });
});

test("of twelve updaters the nine youngest are told apart; the others become ancient-changes", () => {
  let live = update(configMaps, undefined, { metadata: { name: "c" }, data: { k0: "x" } }, { manager: "u0" });
  for (let i = 1; i <= 11; i++) {
    const { data } = live as unknown as { data: object };
    const next = { ...live, data: { ...data, [`k${i}`]: "x" } };
    live = update(configMaps, live, next, { manager: `u${i}`, now: NOW + i * 1000 });
  }
  const young = ["u3", "u4", "u5", "u6", "u7", "u8", "u9", "u10", "u11"];
  expect(managers(live)).toEqual(["ancient-changes", ...young].map((m) => `${m} Update`));
  expect(fields(live, "ancient-changes")).toMatchObject({ "f:data": { "f:k0": {}, "f:k1": {}, "f:k2": {} } });
});

describe("what a client says of managedFields", () => {
  const live = apply(configMaps, undefined, DATA("{a: '1'}"), { manager: "kubectl" });
  const entry = { manager: "other", operation: "Apply", apiVersion: "v1", fieldsType: "FieldsV1" };
  test.each<[string, unknown, string[]]>([
    ["nothing keeps them", undefined, ["kubectl Apply"]],
    ["an empty list forgets them", [], []],
    ["a list of an empty entry, too", [{}], []],
    ["another list counts", [{ ...entry, fieldsV1: { "f:data": { "f:a": {} } } }], ["other Apply"]],
    ["one that cannot be read does not", [{ ...entry, fieldsV1: { data: {} } }], ["kubectl Apply"]],
    ["nor one of an unknown operation", [{ ...entry, operation: "Guess", fieldsV1: {} }], ["kubectl Apply"]],
    ["nor one of an unknown form", [{ ...entry, fieldsType: "FieldsV2", fieldsV1: {} }], ["kubectl Apply"]],
  ])("%s", (_, managedFields, owners) => {
    const next = { ...live, metadata: { ...live.metadata, managedFields } };
    expect(managers(update(configMaps, live, next))).toEqual(owners);
    const throughStatus = update(configMaps, live, next, { subresource: "status" });
    expect(managers(throughStatus)).toEqual(["kubectl Apply"]);
  });

  test("an object without owners is tracked again when it is applied", () => {
    const { managedFields: _, ...metadata } = live.metadata;
    const forgotten = { ...live, metadata };
    const changed = update(configMaps, forgotten, { ...forgotten, data: { a: "2" } });
    expect(managers(changed)).toEqual([]);
    expect(managers(apply(configMaps, changed, DATA("{b: '1'}")))).toEqual(["m Apply", "before-first-apply Update"]);
    expect(refusal(() => apply(configMaps, changed, DATA("{a: '3'}"))).message).toBe(
      'Apply failed with 1 conflict: conflict with "before-first-apply" using v1: .data.a',
    );
  });
});

describe("conflicts", () => {
  const created = update(deployments, undefined, yaml(DEPLOYMENT), { manager: "kubectl-client-side-apply" });

  test("one is said in one line, with its cause", () => {
    const error = refusal(() => apply(deployments, created, DEPLOYMENT.replace("replicas: 2", "replicas: 3")));
    expect(error.message).toBe(
      'Apply failed with 1 conflict: conflict with "kubectl-client-side-apply" using apps/v1: .spec.replicas',
    );
    expect(error.toStatus()).toMatchObject({
      code: 409,
      reason: "Conflict",
      details: {
        causes: [
          {
            reason: "FieldManagerConflict",
            message: 'conflict with "kubectl-client-side-apply" using apps/v1',
            field: ".spec.replicas",
          },
        ],
      },
    });
  });

  test("several are listed by manager", () => {
    const scaled = update(
      deployments,
      created,
      { ...created, spec: { ...(created as { spec?: object }).spec, replicas: 5 } },
      {
        manager: "hpa",
        subresource: "scale",
      },
    );
    const wanted = DEPLOYMENT.replace("nginx", "nginx:2").replace('value: "1"', 'value: "2"');
    const message = `Apply failed with 3 conflicts: conflicts with "hpa" with subresource "scale" using apps/v1:
- .spec.replicas
conflicts with "kubectl-client-side-apply" using apps/v1:
- .spec.template.spec.containers[name="web"].env[name="A"].value
- .spec.template.spec.containers[name="web"].image`;
    expect(refusal(() => apply(deployments, scaled, wanted)).message).toBe(message);
  });

  test("by force, the fields change hands", () => {
    const next = apply(deployments, created, DEPLOYMENT.replace("nginx", "nginx:2"), { force: true });
    expect(JSON.stringify(fields(next, "kubectl-client-side-apply"))).not.toContain("f:image");
    expect(JSON.stringify(fields(next, "m"))).toContain("f:image");
  });

  test("kubectl takes over what it applied on the client's side, and nothing else", () => {
    const last = JSON.stringify({ ...yaml(DEPLOYMENT), metadata: { name: "web" } });
    const annotations = { "kubectl.kubernetes.io/last-applied-configuration": last };
    const noted = { ...created, metadata: { ...created.metadata, annotations } };
    const next = apply(deployments, noted, DEPLOYMENT.replace("replicas: 2", "replicas: 3"), { manager: "kubectl" });
    expect(next).toMatchObject({ spec: { replicas: 3 } });
    const text = next.metadata.annotations?.["kubectl.kubernetes.io/last-applied-configuration"] ?? "";
    expect(JSON.parse(text)).toMatchObject({ spec: { replicas: 3 }, metadata: { annotations: {} } });
    const changed = update(deployments, noted, {
      ...noted,
      spec: { ...(noted as { spec?: object }).spec, replicas: 9 },
    });
    expect(refusal(() => apply(deployments, changed, DEPLOYMENT, { manager: "kubectl" })).message).toContain(
      'conflict with "u" using apps/v1: .spec.replicas',
    );
  });
});

describe("removal", () => {
  const two = DATA("{a: '1', b: '2'}");

  test("what only this manager applied goes when it is applied no more", () => {
    expect(apply(configMaps, apply(configMaps, undefined, two), DATA("{a: '1'}"))).toMatchObject({ data: { a: "1" } });
    expect(apply(configMaps, apply(configMaps, undefined, two), DATA("null"))).not.toHaveProperty("data.a");
  });

  test("what another manager owns, too, stays with that one", () => {
    const shared = apply(configMaps, apply(configMaps, undefined, two), two, { manager: "n" });
    const next = apply(configMaps, shared, DATA("{a: '1'}"));
    expect(next).toMatchObject({ data: { a: "1", b: "2" } });
    expect(fields(next, "m")).toEqual({ "f:data": { "f:a": {} } });
  });

  test("an item goes with all that is in it, whoever owns parts of it", () => {
    const made = apply(
      deployments,
      undefined,
      DEPLOYMENT.replace("containers:", "containers:\n      - {name: side, image: a}"),
    );
    const spec = (made as unknown as { spec: { template: { spec: { containers: { image: string }[] } } } }).spec;
    const changed = structuredClone({ ...made, spec });
    const [side] = changed.spec.template.spec.containers;
    if (side) side.image = "b";
    const next = apply(deployments, update(deployments, made, changed), DEPLOYMENT);
    expect(next).toMatchObject({ spec: { template: { spec: { containers: [{ name: "web" }] } } } });
    expect(managers(next)).toEqual(["m Apply"]);
  });

  test("defaults within a struct go with the last field that was applied", () => {
    const strategy = "spec:\n  strategy: {type: RollingUpdate}\n  replicas: 1\n";
    const head = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n";
    const made = apply(deployments, undefined, head + strategy);
    const defaulted = {
      ...made,
      spec: { replicas: 1, strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1 } } },
    };
    const next = apply(deployments, defaulted as ApiObject, `${head}spec: {replicas: 1}`);
    expect(next).toEqual(expect.not.objectContaining({ strategy: expect.anything() }));
    expect(next).toMatchObject({ spec: { replicas: 1 } });
    expect(next).not.toHaveProperty("spec.strategy");
  });
});

describe("what cannot be applied", () => {
  const ports = (text: string) =>
    `{apiVersion: v1, kind: Service, metadata: {name: s, namespace: d}, spec: {ports: ${text}}}`;
  test.each<[string, Apply["def"], string, number, string]>([
    [
      "an unknown field",
      deployments,
      DEPLOYMENT.replace("image: nginx", "imagee: nginx"),
      500,
      'failed to create typed patch object (default/web; apps/v1, Kind=Deployment): .spec.template.spec.containers[name="web"].imagee: field not declared in schema',
    ],
    [
      "the same item twice",
      services,
      ports("[{port: 80}, {port: 80, protocol: TCP}]"),
      500,
      'failed to create typed patch object (d/s; /v1, Kind=Service): .spec.ports: duplicate entries for key [port=80,protocol="TCP"]',
    ],
    [
      "an item without a key",
      pods,
      "{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: d}, spec: {containers: [{image: a}]}}",
      500,
      'failed to create typed patch object (d/p; /v1, Kind=Pod): .spec.containers: element 0: associative list with keys has an element that omits all key fields ["name"] (and doesn\'t have default values for any key fields)',
    ],
    [
      "several errors",
      services,
      "{apiVersion: v1, kind: Service, metadata: {name: s, namespace: d}, spec: {ports: x, foo: 1}}",
      500,
      "failed to create typed patch object (d/s; /v1, Kind=Service): errors:\n  .spec.ports: expected list, got &{x}\n  .spec.foo: field not declared in schema",
    ],
    ["another kind", services, DATA("{}"), 400, "invalid object type: /v1, Kind=ConfigMap"],
    [
      "another version",
      configMaps,
      "{apiVersion: v2, kind: ConfigMap}",
      400,
      "invalid object type: /v2, Kind=ConfigMap",
    ],
    ["no kind", configMaps, "{metadata: {name: c}}", 400, "invalid object type: /, Kind="],
    [
      "managedFields",
      configMaps,
      "{apiVersion: v1, kind: ConfigMap, metadata: {name: c, managedFields: []}}",
      400,
      "metadata.managedFields must be nil",
    ],
  ])("%s", (_, def, text, code, message) => {
    const error = refusal(() => apply(def, undefined, text));
    expect(error.message).toBe(message);
    expect(error.code).toBe(code);
  });
});

describe("lists", () => {
  const order = (live: string, applied: string) => {
    const list = (names: string) => ({ spec: { items: names.split("").map((name) => ({ name })) } });
    const merged = merge(THING, list(live), list(applied)) as { spec: { items: { name: string }[] } };
    return merged.spec.items.map((i) => i.name).join("");
  };
  // As structured-merge-diff orders them.
  test.each([
    ["abc", "", "abc"],
    ["", "abc", "abc"],
    ["abc", "abc", "abc"],
    ["abc", "de", "abcde"],
    ["abc", "cba", "cba"],
    ["abc", "ca", "bca"],
    ["abc", "dc", "abdc"],
    ["abc", "ad", "abcd"],
    ["abcde", "ec", "abdec"],
    ["ab", "xaybz", "xaybz"],
    ["1a2b3", "b4a5", "12b34a5"],
  ])("%s and %s make %s", (live, applied, merged) => {
    expect(order(live, applied)).toBe(merged);
  });
});
