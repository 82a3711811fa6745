import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { CustomResourceDefinition } from "../api/generated/types.ts";
import { customResourceDefinitions as crds } from "../api/kinds/apiextensions/customresourcedefinition.ts";
import type { ApiObject } from "../api/object.ts";
import type { ResourceRef } from "../api/resource.ts";
import { Client } from "../client/client.ts";
import { MemoryStore } from "../store/memory.ts";
import { seededRandom, systemClock } from "../util/clock.ts";
import { silent } from "../util/log.ts";
import { type KeyPair, createCa, issueCert } from "../util/pki.ts";
import { toYaml } from "../util/yaml.ts";
import { type HttpListener, listen } from "./http.ts";
import { ApiServer } from "./server.ts";

const directory = mkdtempSync(join(tmpdir(), "crds-"));
const store = new MemoryStore();
let admin: KeyPair;
let ca: KeyPair;
let server: ApiServer;
let listener: HttpListener;
let client: Client;

const open = () => ApiServer.open({ store, clock: systemClock, random: seededRandom(1), log: silent });

beforeAll(async () => {
  const now = systemClock.now();
  ca = await createCa("test-ca", now);
  const issue = (commonName: string, usage: "client" | "server", organizations: string[] = []) =>
    issueCert(ca, { commonName, organizations, ips: ["127.0.0.1"], usages: [usage] }, now);
  admin = await issue("admin", "client", ["system:masters"]);
  server = await open();
  listener = await listen(server, {
    host: "127.0.0.1",
    port: 0,
    tls: { ...(await issue("apiserver", "server")), clientCa: ca.cert },
    agentTls: { ...admin, ca: ca.cert },
    log: silent,
  });
  client = new Client(server.transport(), "test");
});

afterAll(async () => {
  await listener.close();
  await server.close();
  await store.close();
  rmSync(directory, { recursive: true });
});

/** Like cert-manager's Certificate: one version, columns, status, categories. */
const certificate = {
  spec: {
    group: "cert-manager.example.io",
    names: { kind: "Certificate", plural: "certificates", shortNames: ["cert"], categories: ["all"] },
    scope: "Namespaced",
    versions: [
      {
        name: "v1",
        served: true,
        storage: true,
        subresources: { status: {} },
        additionalPrinterColumns: [
          { name: "Ready", type: "string", jsonPath: '.status.conditions[?(@.type=="Ready")].status' },
          { name: "Secret", type: "string", jsonPath: ".spec.secretName" },
          { name: "Issuer", type: "string", jsonPath: ".spec.issuerRef.name", priority: 1 },
          { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
        ],
        schema: {
          openAPIV3Schema: {
            type: "object",
            description: "A Certificate ensures that a signed certificate is stored in a Secret.",
            required: ["spec"],
            properties: {
              apiVersion: { type: "string" },
              kind: { type: "string" },
              metadata: { type: "object" },
              spec: {
                type: "object",
                description: "What the user wants.",
                required: ["secretName", "issuerRef"],
                properties: {
                  secretName: { type: "string", description: "Where the certificate is stored.", minLength: 1 },
                  dnsNames: { type: "array", items: { type: "string" }, "x-kubernetes-list-type": "set" },
                  duration: { type: "string", default: "2160h" },
                  issuerRef: {
                    type: "object",
                    required: ["name"],
                    properties: { name: { type: "string" }, kind: { type: "string", default: "Issuer" } },
                  },
                  usages: { type: "array", items: { type: "string", enum: ["signing", "server auth"] } },
                },
                "x-kubernetes-validations": [
                  {
                    rule: "!has(oldSelf.secretName) || self.secretName == oldSelf.secretName",
                    message: "secretName is immutable",
                  },
                ],
              },
              status: {
                type: "object",
                properties: {
                  conditions: {
                    type: "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["type"],
                    items: {
                      type: "object",
                      required: ["type", "status"],
                      properties: { type: { type: "string" }, status: { type: "string" } },
                    },
                  },
                },
              },
            },
          },
        },
      },
    ],
  },
};

/** Like prometheus-operator's Prometheus: scale, two versions, what is kept unseen, quantities. */
function prometheusVersion(name: string, storage: boolean) {
  return {
    name,
    served: true,
    storage,
    ...(storage ? {} : { deprecated: true }),
    subresources: {
      status: {},
      scale: {
        specReplicasPath: ".spec.replicas",
        statusReplicasPath: ".status.replicas",
        labelSelectorPath: ".status.selector",
      },
    },
    selectableFields: [{ jsonPath: ".spec.version" }],
    schema: {
      openAPIV3Schema: {
        type: "object",
        properties: {
          spec: {
            type: "object",
            properties: {
              replicas: { type: "integer", format: "int32", minimum: 0, default: 1 },
              version: { type: "string" },
              externalLabels: { type: "object", additionalProperties: { type: "string" } },
              resources: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
              port: { "x-kubernetes-int-or-string": true, anyOf: [{ type: "integer" }, { type: "string" }] },
            },
          },
          status: { type: "object", properties: { replicas: { type: "integer" }, selector: { type: "string" } } },
        },
      },
    },
  };
}
const prometheus = {
  spec: {
    group: "monitoring.example.com",
    names: { kind: "Prometheus", plural: "prometheuses", singular: "prometheus", shortNames: ["prom"] },
    scope: "Namespaced",
    versions: [prometheusVersion("v1beta1", false), prometheusVersion("v1", true)],
  },
};

const crdOf = ({ spec }: { spec: { group: string; names: { plural: string } } }) =>
  ({
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${spec.names.plural}.${spec.group}` },
    spec,
  }) as unknown as CustomResourceDefinition;

/** A simple kind of a group of its own, for what must not disturb others. */
function simple(
  group: string,
  names: { kind: string; plural: string; shortNames?: string[] } = { kind: "Thing", plural: "things" },
) {
  const schema = { type: "object", properties: { spec: { type: "object", properties: { n: { type: "integer" } } } } };
  return crdOf({
    spec: {
      group,
      names,
      scope: "Cluster",
      versions: [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: schema } }],
    },
  } as never);
}
const things = (group: string): ResourceRef => ({
  group,
  version: "v1",
  kind: "Thing",
  plural: "things",
  namespaced: false,
});
const thing = (name: string, n: unknown = 1) => ({ metadata: { name }, spec: { n } }) as ApiObject;

/** The first CRD of that name that is as wanted. */
async function until(
  name: string,
  wanted: (crd: CustomResourceDefinition) => boolean,
): Promise<CustomResourceDefinition> {
  const watch = client.resource(crds).watch({ fieldSelector: `metadata.name=${name}` }, AbortSignal.timeout(60_000));
  for await (const { type, object } of watch) {
    const crd = object as unknown as CustomResourceDefinition;
    if (type !== "DELETED" && wanted(crd)) return crd;
  }
  throw new Error(`${name} did not become as wanted`);
}
const condition = (crd: CustomResourceDefinition, type: string) => crd.status?.conditions?.find((c) => c.type === type);

describe("from definition to objects", () => {
  test("an object can follow its definition at once; what is not served is not found", async () => {
    const group = "first.example.com";
    await expect(client.resource(things(group)).list()).rejects.toMatchObject({ reason: "NotFound" });
    await client.resource(crds).create(simple(group));
    const made = await client.resource(things(group)).create(thing("a"));
    expect(made).toMatchObject({ kind: "Thing", metadata: { name: "a", generation: 1 } });
    const crd = await until(`things.${group}`, (c) => condition(c, "Established")?.status === "True");
    expect(crd.status).toMatchObject({
      acceptedNames: { kind: "Thing", listKind: "ThingList", plural: "things", singular: "thing" },
      storedVersions: ["v1"],
    });
    expect(condition(crd, "NamesAccepted")).toMatchObject({ status: "True", reason: "NoConflicts" });
  });

  test("a changed schema counts from the next write on, and old objects stay", async () => {
    const group = "changing.example.com";
    await client.resource(crds).create(simple(group));
    const resource = client.resource(things(group));
    await resource.create(thing("old", 1));
    const fresh = await client.resource(crds).get(`things.${group}`);
    const schema = {
      type: "object",
      properties: {
        spec: {
          type: "object",
          properties: { n: { type: "integer", minimum: 5 }, since: { type: "string", default: "now" } },
        },
      },
    };
    const versions = [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: schema } }];
    await client.resource(crds).update({ ...fresh, spec: { ...fresh.spec, versions } });
    await expect(resource.create(thing("new", 1))).rejects.toMatchObject({ reason: "Invalid" });
    expect(await resource.get("old")).toMatchObject({ spec: { n: 1, since: "now" } });
    expect((await resource.list()).items).toMatchObject([{ spec: { n: 1, since: "now" } }]);
    const patched = await resource.patch("old", "application/merge-patch+json", { metadata: { labels: { a: "b" } } });
    expect(patched.metadata.labels).toEqual({ a: "b" });
  });

  test("deletion: no new objects, old ones go, watches end, the kind is gone", async () => {
    const group = "gone.example.com";
    await client.resource(crds).create(simple(group));
    const resource = client.resource(things(group));
    await resource.create({ ...thing("held"), metadata: { name: "held", finalizers: ["example.com/hold"] } });
    await resource.create(thing("free"));
    const seen: string[] = [];
    const watching = (async () => {
      for await (const e of resource.watch({}, AbortSignal.timeout(60_000)))
        seen.push(`${e.type} ${e.object.metadata.name}`);
    })();
    await client.resource(crds).delete(`things.${group}`);
    await expect(resource.create(thing("late"))).rejects.toMatchObject({ code: 405 });
    const crd = await until(`things.${group}`, (c) => condition(c, "Terminating")?.status === "True");
    expect(crd.metadata.deletionTimestamp).toBeDefined();
    await resource.patch("held", "application/merge-patch+json", { metadata: { finalizers: null } });
    await watching;
    expect(seen).toEqual(expect.arrayContaining(["DELETED free", "DELETED held"]));
    await expect(resource.list()).rejects.toMatchObject({ reason: "NotFound" });
    await expect(client.resource(crds).get(`things.${group}`)).rejects.toMatchObject({ reason: "NotFound" });
    // The name is free again, and nothing of before comes back.
    await client.resource(crds).create(simple(group));
    expect((await resource.list()).items).toEqual([]);
  });

  test("a name that is taken is told, and free once its owner has gone", async () => {
    const group = "names.example.com";
    await client.resource(crds).create(simple(group, { kind: "Thing", plural: "things", shortNames: ["th"] }));
    await client.resource(crds).create(simple(group, { kind: "Thing", plural: "others", shortNames: ["th"] }));
    const loser = await until(`others.${group}`, (c) => condition(c, "NamesAccepted")?.status === "False");
    expect(condition(loser, "NamesAccepted")).toMatchObject({
      reason: "ListKindConflict",
      message: '"ThingList" is already in use',
    });
    expect(condition(loser, "Established")).toMatchObject({ status: "False", reason: "NotAccepted" });
    await client.resource(crds).delete(`things.${group}`);
    await until(`others.${group}`, (c) => condition(c, "Established")?.status === "True");
  });

  test("of those that come at once one gets the name", async () => {
    const group = "race.example.com";
    const plurals = ["as", "bs", "cs", "ds"];
    await Promise.all(plurals.map((plural) => client.resource(crds).create(simple(group, { kind: "Thing", plural }))));
    const all = await Promise.all(plurals.map((plural) => client.resource(crds).get(`${plural}.${group}`)));
    const accepted = all.map((crd) => condition(crd as CustomResourceDefinition, "NamesAccepted")?.status);
    expect(accepted.filter((status) => status === "True")).toHaveLength(1);
    expect(accepted.filter((status) => status === "False")).toHaveLength(3);
  });

  test("a server that starts serves what was established before, and so does one beside it", async () => {
    const group = "restart.example.com";
    await client.resource(crds).create(simple(group));
    await client.resource(things(group)).create(thing("a"));
    await until(`things.${group}`, (c) => condition(c, "Established")?.status === "True");
    const second = await open();
    try {
      const beside = new Client(second.transport(), "test");
      expect((await beside.resource(things(group)).get("a")).metadata.name).toBe("a");
    } finally {
      await second.close();
    }
  });
});

test("servers on one store serve the same, whichever was asked", async () => {
  const group = "shared.example.com";
  const second = await open();
  try {
    const beside = new Client(second.transport(), "test");
    await beside.resource(crds).create(simple(group));
    await beside.resource(things(group)).create(thing("a"));
    await until(`things.${group}`, (c) => condition(c, "Established")?.status === "True");
    await until(`things.${group}`, () => server.find(group, "v1", "things") !== undefined);
    const seen = client.resource(things(group)).watch({}, AbortSignal.timeout(60_000))[Symbol.asyncIterator]();
    expect((await seen.next()).value).toMatchObject({ type: "ADDED", object: { metadata: { name: "a" } } });
    await beside.resource(crds).delete(`things.${group}`);
    // The object's end, then the watch's.
    expect((await seen.next()).value).toMatchObject({ type: "DELETED" });
    expect((await seen.next()).done).toBe(true);
  } finally {
    await second.close();
  }
});

describe("what is refused", () => {
  const group = "bad.example.com";
  const base = simple(group);
  const version = base.spec.versions[0];
  test.each<[string, object, string]>([
    [
      "name",
      { metadata: { name: "x" } },
      'metadata.name: Invalid value: "x": must be spec.names.plural+"."+spec.group',
    ],
    [
      "no schema",
      { spec: { ...base.spec, versions: [{ ...version, schema: undefined }] } },
      "spec.versions[0].schema.openAPIV3Schema: Required value",
    ],
    [
      "two storage versions",
      { spec: { ...base.spec, versions: [version, { ...version, name: "v2" }] } },
      "must have exactly one version marked as storage version",
    ],
    [
      "scope",
      { spec: { ...base.spec, scope: "World" } },
      'spec.scope: Unsupported value: "World": supported values: "Cluster", "Namespaced"',
    ],
    [
      "group",
      { spec: { ...base.spec, group: "bad" }, metadata: { name: "things.bad" } },
      'spec.group: Invalid value: "bad": should be a domain with at least one dot',
    ],
    ["nothing", { spec: undefined }, "spec.group: Required value"],
    [
      "column",
      {
        spec: {
          ...base.spec,
          versions: [{ ...version, additionalPrinterColumns: [{ name: "A", type: "text", jsonPath: "spec" }] }],
        },
      },
      'additionalPrinterColumns[0].JSONPath: Invalid value: "spec": must be a simple json path starting with .',
    ],
    [
      "scale",
      {
        spec: {
          ...base.spec,
          versions: [
            { ...version, subresources: { scale: { specReplicasPath: ".a", statusReplicasPath: ".status.n" } } },
          ],
        },
      },
      'scale.specReplicasPath: Invalid value: ".a": should be a json path under .spec',
    ],
    [
      "selectable field",
      { spec: { ...base.spec, versions: [{ ...version, selectableFields: [{ jsonPath: ".spec.nope" }] }] } },
      "is an invalid path: does not refer to a valid field",
    ],
    [
      "protected group",
      { spec: { ...base.spec, group: "x.k8s.io" }, metadata: { name: "things.x.k8s.io" } },
      "metadata.annotations[api-approved.kubernetes.io]: Required value",
    ],
  ])("%s", async (_, change, expected) => {
    const crd = { ...base, ...change } as CustomResourceDefinition;
    await expect(client.resource(crds).create(crd)).rejects.toThrow(expected);
  });

  test("what may not change once it is established", async () => {
    await client.resource(crds).create(simple("fixed.example.com"));
    const crd = await until("things.fixed.example.com", (c) => condition(c, "Established")?.status === "True");
    const renamed = { ...crd, spec: { ...crd.spec, scope: "Namespaced", names: { ...crd.spec.names, kind: "Other" } } };
    const error = client.resource(crds).update(renamed);
    await expect(error).rejects.toThrow('spec.scope: Invalid value: "Namespaced": field is immutable');
    await expect(error).rejects.toThrow('spec.names.kind: Invalid value: "Other": field is immutable');
  });
});

describe("kubectl", () => {
  const config = join(directory, "config");
  const run = promisify(execFile);
  const kubectl = async (...args: string[]) => (await run("kubectl", ["--kubeconfig", config, ...args])).stdout;
  const failing = (...args: string[]) => kubectl(...args).then(String, (e: { stderr: string }) => e.stderr);
  let files = 0;
  function file(...objects: object[]): string {
    const path = join(directory, `${files++}.yaml`);
    writeFileSync(path, objects.map((o) => toYaml(o)).join("---\n"));
    return path;
  }

  beforeAll(() => {
    const base64 = (text: string) => Buffer.from(text).toString("base64");
    writeFileSync(
      config,
      toYaml({
        apiVersion: "v1",
        kind: "Config",
        "current-context": "test",
        clusters: [{ name: "test", cluster: { server: listener.url, "certificate-authority-data": base64(ca.cert) } }],
        users: [
          {
            name: "admin",
            user: { "client-certificate-data": base64(admin.cert), "client-key-data": base64(admin.key) },
          },
        ],
        contexts: [{ name: "test", context: { cluster: "test", user: "admin" } }],
      }),
    );
  });

  const cert = (name: string, spec: object = {}) => ({
    apiVersion: "cert-manager.example.io/v1",
    kind: "Certificate",
    metadata: { name },
    spec: { secretName: "tls", issuerRef: { name: "ca" }, ...spec },
  });

  test("a Certificate's life", async () => {
    expect(await kubectl("apply", "-f", file(crdOf(certificate)))).toContain("created");
    await kubectl("wait", "--for=condition=Established", "crd/certificates.cert-manager.example.io", "--timeout=10s");
    expect(await kubectl("apply", "-f", file(cert("web")))).toBe("certificate.cert-manager.example.io/web created\n");
    expect(await kubectl("apply", "-f", file(cert("web")))).toBe("certificate.cert-manager.example.io/web unchanged\n");
    expect(await kubectl("apply", "-f", file(cert("web", { dnsNames: ["a.b"] })))).toContain("configured");
    expect(await kubectl("get", "cert", "web", "-o", "jsonpath={.spec.duration} {.spec.issuerRef.kind}")).toBe(
      "2160h Issuer",
    );
    const status = { status: { conditions: [{ type: "Ready", status: "True" }] } };
    await kubectl("patch", "cert", "web", "--type=merge", "--subresource=status", "-p", JSON.stringify(status));
    const wide = await kubectl("get", "cert", "-o", "wide");
    expect(wide.split("\n").map((line) => line.trim().split(/\s+/).slice(0, 4))).toEqual([
      ["NAME", "READY", "SECRET", "ISSUER"],
      ["web", "True", "tls", "ca"],
      [""],
    ]);
    expect(await kubectl("get", "cert")).not.toContain("ISSUER");
    expect(await kubectl("get", "all")).toContain("certificate.cert-manager.example.io/web");
    expect(await kubectl("get", "cert", "web", "-o", "jsonpath={.metadata.generation}")).toBe("2");
  });

  test("what it refuses", async () => {
    const refused = async (spec: object) => failing("apply", "-f", file(cert("bad", spec)));
    expect(await refused({ secretName: "" })).toContain(
      'spec.secretName: Invalid value: "": spec.secretName in body should be at least 1 chars long',
    );
    expect(await refused({ issuerRef: {} })).toContain("spec.issuerRef.name: Required value");
    expect(await refused({ usages: ["any"] })).toContain(
      'spec.usages[0]: Unsupported value: "any": supported values: "signing", "server auth"',
    );
    expect(await refused({ typo: 1 })).toContain('strict decoding error: unknown field "spec.typo"');
    const changed = await failing("patch", "cert", "web", "--type=merge", "-p", '{"spec":{"secretName":"other"}}');
    expect(changed).toContain("secretName is immutable");
    const strategic = await failing(
      "patch",
      "cert",
      "web",
      "--type=strategic",
      "-p",
      '{"spec":{"secretName":"other"}}',
    );
    expect(strategic).toMatch(/UnsupportedMediaType|application\/json-patch\+json/);
  });

  test("it is explained, also with all below", async () => {
    const text = await kubectl("explain", "certificate.spec");
    expect(text).toContain("What the user wants.");
    expect(text).toContain("secretName\t<string> -required-");
    expect(await kubectl("explain", "cert", "--recursive")).toContain("issuerRef");
    expect(await kubectl("explain", "cert.metadata")).toContain("annotations");
  });

  test("server-side apply knows whose field is whose", async () => {
    const apply = (manager: string, spec: object) =>
      failing("apply", "--server-side", `--field-manager=${manager}`, "-f", file(cert("ssa", spec)));
    await apply("one", { duration: "1h" });
    expect(await apply("two", { duration: "2h" })).toContain('conflict with "one": .spec.duration');
    expect(await apply("one", { duration: "3h" })).toContain("serverside-applied");
  });

  test("two versions, scale, field selectors", async () => {
    await kubectl("create", "-f", file(crdOf(prometheus)));
    const prom = { apiVersion: "monitoring.example.com/v1", kind: "Prometheus", metadata: { name: "p" } };
    const spec = { version: "2.50", resources: { limits: { cpu: "1" } }, port: "web", externalLabels: { a: "b" } };
    await kubectl("create", "-f", file({ ...prom, spec }));
    expect(await kubectl("get", "prom", "p", "-o", "jsonpath={.apiVersion} {.spec.resources.limits.cpu}")).toBe(
      "monitoring.example.com/v1 1",
    );
    const old = await kubectl(
      "get",
      "prometheuses.v1beta1.monitoring.example.com",
      "p",
      "-o",
      "jsonpath={.apiVersion} {.spec.replicas}",
    );
    expect(old).toBe("monitoring.example.com/v1beta1 1");
    expect(await kubectl("scale", "prometheus/p", "--replicas=3")).toContain("scaled");
    expect(await kubectl("get", "prom", "p", "-o", "jsonpath={.spec.replicas}")).toBe("3");
    expect(await kubectl("get", "prom", "--field-selector=spec.version=2.50", "-o", "name")).toBe(
      "prometheus.monitoring.example.com/p\n",
    );
    expect(await kubectl("get", "prom", "--field-selector=spec.version=1", "-o", "name")).toBe("");
    const { stderr } = await run("kubectl", [
      "--kubeconfig",
      config,
      "get",
      "prometheuses.v1beta1.monitoring.example.com",
    ]);
    expect(stderr).toContain("monitoring.example.com/v1beta1 Prometheus is deprecated");
  });

  test("deleted with its objects, and gone from discovery", async () => {
    expect(await kubectl("api-resources", "--api-group=cert-manager.example.io")).toContain("certificates");
    await kubectl("delete", "crd", "certificates.cert-manager.example.io", "--timeout=20s");
    expect(await kubectl("api-versions")).not.toContain("cert-manager.example.io");
    expect(await failing("get", "certificates.v1.cert-manager.example.io")).toContain("doesn't have a resource type");
  });
});
