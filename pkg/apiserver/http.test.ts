import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:https";
import type { IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { MemoryStore } from "../store/memory.ts";
import { seededRandom, systemClock } from "../util/clock.ts";
import { silent } from "../util/log.ts";
import { type KeyPair, createCa, issueCert } from "../util/pki.ts";
import { toYaml } from "../util/yaml.ts";
import { type HttpListener, listen } from "./http.ts";
import { ApiServer } from "./server.ts";

const directory = mkdtempSync(join(tmpdir(), "apiserver-"));
let ca: KeyPair;
let admin: KeyPair;
let stranger: KeyPair;
let store: MemoryStore;
let server: ApiServer;
let listener: HttpListener;

beforeAll(async () => {
  const now = systemClock.now();
  ca = await createCa("test-ca", now);
  const issue = (commonName: string, usage: "client" | "server", organizations: string[] = []) =>
    issueCert(ca, { commonName, organizations, ips: ["127.0.0.1"], usages: [usage] }, now);
  admin = await issue("admin", "client", ["system:masters"]);
  stranger = await issue("eve", "client", ["visitors"]);
  store = new MemoryStore();
  server = await ApiServer.open({ store, clock: systemClock, random: seededRandom(1), log: silent });
  listener = await listen(server, {
    host: "127.0.0.1",
    port: 0,
    tls: { ...(await issue("apiserver", "server")), clientCa: ca.cert },
    agentTls: { ...admin, ca: ca.cert },
    log: silent,
  });
});

afterAll(async () => {
  await listener.close();
  await server.close();
  await store.close();
  rmSync(directory, { recursive: true });
});

interface Asked {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly agent?: Agent;
  readonly body?: string;
  /** Undefined: no certificate. */
  readonly as?: KeyPair | undefined;
}

function open(path: string, o: Asked = {}): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const who = "as" in o ? o.as : admin;
    const { method = "GET", headers = {}, agent = false } = o;
    const req = request(`${listener.url}${path}`, { method, headers, ca: ca.cert, ...who, agent }, resolve);
    req.once("error", reject);
    req.end(o.body);
  });
}

async function ask(path: string, o: Asked = {}) {
  const res = await open(path, o);
  const chunks: Buffer[] = [];
  for await (const chunk of res as AsyncIterable<Buffer>) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString("latin1");
  const json = (): { [k: string]: unknown } => JSON.parse(text) as { [k: string]: unknown };
  return { code: res.statusCode, headers: res.headers, text, json };
}

const JSON_BODY = { "Content-Type": "application/json" };
const configMaps = "/api/v1/namespaces/default/configmaps";
const configMap = (name: string, data: object = {}) => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name },
  data,
});
const post = (body: object, query = "") =>
  ask(configMaps + query, { method: "POST", headers: JSON_BODY, body: JSON.stringify(body) });

describe("who may", () => {
  test("anybody asks for health and version, with HEAD too; nothing else", async () => {
    for (const path of ["/healthz", "/livez", "/readyz", "/livez/ping", "/version", "/version/"]) {
      expect((await ask(path, { as: undefined })).code).toBe(200);
      expect((await ask(path, { as: undefined, method: "HEAD" })).text).toBe("");
    }
    expect((await ask("/readyz?verbose", { as: undefined })).text).toContain("readyz check passed");
    const refused = await ask("/api/v1/pods", { as: undefined });
    expect(refused.json()).toMatchObject({ kind: "Status", status: "Failure", reason: "Unauthorized", code: 401 });
  });

  test("who is not known by a connection is not bound to it: a new handshake may know him", async () => {
    const agent = new Agent({ keepAlive: true });
    expect((await ask("/version", { as: undefined, agent })).headers.connection).toBe("keep-alive");
    expect((await ask("/api/v1/pods", { as: undefined, agent })).headers.connection).toBe("close");
    agent.destroy();
  });

  test("a user without rights is told what is missing", async () => {
    const { code, json } = await ask(configMaps, { as: stranger });
    expect(code).toBe(403);
    expect(json()["message"]).toBe(
      'configmaps is forbidden: User "eve" cannot list resource "configmaps" in API group "" in the namespace "default"',
    );
  });
});

describe("every failure is a Status", () => {
  const big = JSON.stringify(configMap("big", { k: "x".repeat(10 * 1024 * 1024) }));
  test.each<[string, string, Asked, number, string, string]>([
    ["unknown path", "/nothing", {}, 404, "NotFound", "could not find the requested resource"],
    ["unknown resource", "/api/v1/widgets", {}, 404, "NotFound", "could not find the requested resource"],
    ["unknown group", "/apis/x.io/v1", {}, 404, "NotFound", "could not find the requested resource"],
    ["no such object", `${configMaps}/no`, {}, 404, "NotFound", 'configmaps "no" not found'],
    ["PUT on a collection", configMaps, { method: "PUT" }, 405, "MethodNotAllowed", "does not allow this method"],
    ["a form we lack", configMaps, { headers: { Accept: "image/png" } }, 406, "NotAcceptable", "application/json"],
    [
      "broken JSON",
      configMaps,
      { method: "POST", headers: JSON_BODY, body: "{" },
      400,
      "BadRequest",
      "must be valid JSON",
    ],
    [
      "broken YAML",
      configMaps,
      { method: "POST", headers: { "Content-Type": "application/yaml" }, body: "a: [" },
      400,
      "BadRequest",
      "line 1",
    ],
    [
      "protobuf that is none",
      configMaps,
      { method: "POST", headers: { "Content-Type": "application/vnd.kubernetes.protobuf" }, body: "k8s" },
      400,
      "BadRequest",
      "expected prefix [107 56 115 0]",
    ],
    [
      "server-side apply by nobody",
      `${configMaps}/a`,
      { method: "PATCH", headers: { "Content-Type": "application/apply-patch+yaml" }, body: "{}" },
      422,
      "Invalid",
      'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
    ],
    [
      "server-side apply in CBOR",
      `${configMaps}/a`,
      { method: "PATCH", headers: { "Content-Type": "application/apply-patch+cbor" }, body: "{}" },
      415,
      "UnsupportedMediaType",
      "application/apply-patch+yaml",
    ],
    ["10 MB", configMaps, { method: "POST", headers: JSON_BODY, body: big }, 413, "RequestEntityTooLarge", "3145728"],
    [
      "a field twice, strictly",
      `${configMaps}?fieldValidation=Strict`,
      {
        method: "POST",
        headers: JSON_BODY,
        body: '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"d"},"data":{"a":"1","a":"2"},"dta":{}}',
      },
      400,
      "BadRequest",
      'strict decoding error: duplicate field "data.a", unknown field "dta"',
    ],
    ["bad selector", `${configMaps}?fieldSelector=spec.x%3D1`, {}, 400, "BadRequest", "spec.x"],
  ])("%s", async (_, path, o, code, reason, message) => {
    const answer = await ask(path, o);
    expect(answer.code).toBe(code);
    expect(answer.json()).toMatchObject({ kind: "Status", apiVersion: "v1", status: "Failure", reason, code });
    expect(answer.json()["message"]).toContain(message);
  });
});

describe("forms", () => {
  test("a body without Content-Type is JSON; YAML goes in and out", async () => {
    const bare = await ask(configMaps, { method: "POST", body: JSON.stringify(configMap("bare", { k: "v" })) });
    expect(bare.code).toBe(201);
    const agent = { ...JSON_BODY, "User-Agent": "curl/8.1 (linux)" };
    const named = await ask(configMaps, {
      method: "POST",
      headers: agent,
      body: JSON.stringify(configMap("agent", { k: "v" })),
    });
    expect(named.json()).toMatchObject({ metadata: { managedFields: [{ manager: "curl", operation: "Update" }] } });
    const headers = { "Content-Type": "application/yaml", Accept: "application/yaml" };
    const body = toYaml(configMap("yaml", { k: "v" }));
    const yaml = await ask(configMaps, { method: "POST", headers, body });
    expect(yaml.headers["content-type"]).toBe("application/yaml");
    expect(yaml.text).toContain("data:\n  k: v\n");
  });

  test("field validation: strict refuses and names all, warn warns, ignore is silent", async () => {
    const body = { ...configMap("fields"), foo: 1, bar: 2 };
    const strict = await post(body, "?fieldValidation=Strict");
    expect(strict.code).toBe(400);
    expect(strict.json()["message"]).toContain('strict decoding error: unknown field "foo", unknown field "bar"');
    expect((await post(body, "?dryRun=All")).headers["warning"]).toBe(
      '299 - "unknown field \\"foo\\"", 299 - "unknown field \\"bar\\""',
    );
    const silently = await post(body, "?fieldValidation=Ignore&dryRun=All");
    expect([silently.code, silently.headers["warning"]]).toEqual([201, undefined]);
  });

  test("lists leave out kind and apiVersion of their items; Tables and metadata on request", async () => {
    const all = (await ask("/api/v1/namespaces?limit=500")).json() as { kind: string; items: { kind?: string }[] };
    expect(all.kind).toBe("NamespaceList");
    expect(all.items.every((i) => i.kind === undefined)).toBe(true);
    const Accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
    const table = (await ask("/api/v1/namespaces", { headers: { Accept } })).json() as {
      kind: string;
      columnDefinitions: { name: string }[];
      rows: { cells: unknown[]; object: { kind: string } }[];
    };
    expect(table.kind).toBe("Table");
    expect(table.columnDefinitions.map((c) => c.name)).toEqual(["Name", "Status", "Age"]);
    expect(table.rows[0]?.cells.slice(0, 2)).toEqual(["default", "Active"]);
    expect(table.rows[0]?.object.kind).toBe("PartialObjectMetadata");
  });

  test("large answers are gzipped when the client takes that", async () => {
    await post(configMap("large", { k: "x".repeat(200_000) }));
    const zipped = await ask(`${configMaps}/large`, { headers: { "Accept-Encoding": "gzip" } });
    expect(zipped.headers["content-encoding"]).toBe("gzip");
    expect(zipped.text.length).toBeLessThan(10_000);
    expect((await ask(`${configMaps}/large`)).headers["content-encoding"]).toBeUndefined();
  });

  test("discovery in the newest form asked for; known documents are 304", async () => {
    const v2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    const first = await ask("/api", { headers: { Accept: `${v2},application/json` } });
    expect(first.headers["content-type"]).toBe(v2);
    const again = await ask("/api", { headers: { Accept: v2, "If-None-Match": first.headers.etag ?? "" } });
    expect([again.code, again.text]).toEqual([304, ""]);
    expect((await ask("/api")).json()["kind"]).toBe("APIVersions");
    const Accept = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
    const { text } = await ask("/openapi/v2", { headers: { Accept } });
    expect(text.startsWith("\n\u00032.0")).toBe(true);
    expect(text).toContain("io.k8s.api.core.v1.Pod");
  });
});

describe("watch", () => {
  test.each(["?watch=True", "?watch=1&resourceVersion=0"])(
    "headers at once, then one JSON a line: %s",
    async (query) => {
      const res = await open(`/api/v1/namespaces/kube-public/configmaps${query}`);
      expect([res.statusCode, res.headers["transfer-encoding"]]).toEqual([200, "chunked"]);
      const name = `w${query.length}`;
      const headers = JSON_BODY;
      const body = JSON.stringify(configMap(name));
      await ask("/api/v1/namespaces/kube-public/configmaps", { method: "POST", headers, body });
      for await (const chunk of res as AsyncIterable<Buffer>) {
        const last = String(chunk).trimEnd().split("\n").at(-1) ?? "";
        const event = JSON.parse(last) as { type: string; object: { metadata: { name: string } } };
        if (event.object.metadata.name === name) break;
      }
      res.destroy();
    },
  );

  test("the old paths, as Tables, and an end on time", async () => {
    const Accept = "application/json;as=Table;v=v1;g=meta.k8s.io";
    const { text } = await ask("/api/v1/watch/namespaces?timeoutSeconds=1", { headers: { Accept } });
    const events = text
      .trimEnd()
      .split("\n")
      .map((l) => JSON.parse(l) as { type: string; object: { kind: string } });
    expect(events.map((e) => `${e.type} ${e.object.kind}`)).toEqual(Array(4).fill("ADDED Table"));
  });
});

describe("kubectl", () => {
  const run = promisify(execFile);
  const kubectl = async (...args: string[]) => {
    const { stdout } = await run("kubectl", ["--kubeconfig", join(directory, "kubeconfig"), ...args], {
      env: { PATH: process.env["PATH"], HOME: directory },
    });
    return stdout;
  };

  beforeAll(() => {
    const b64 = (pem: string) => Buffer.from(pem).toString("base64");
    const cluster = { server: listener.url, "certificate-authority-data": b64(ca.cert) };
    const user = { "client-certificate-data": b64(admin.cert), "client-key-data": b64(admin.key) };
    const config = {
      apiVersion: "v1",
      kind: "Config",
      "current-context": "t",
      clusters: [{ name: "t", cluster }],
      users: [{ name: "t", user }],
      contexts: [{ name: "t", context: { cluster: "t", user: "t" } }],
    };
    writeFileSync(join(directory, "kubeconfig"), toYaml(config));
    writeFileSync(join(directory, "cm.yaml"), toYaml(configMap("applied", { k: "v" })));
  });

  test("apply, get, patch, label, delete", async () => {
    const file = join(directory, "cm.yaml");
    expect(await kubectl("apply", "-f", file)).toBe("configmap/applied created\n");
    expect(await kubectl("apply", "-f", file)).toBe("configmap/applied unchanged\n");
    expect(await kubectl("get", "cm", "applied")).toMatch(/^NAME\s+DATA\s+AGE\napplied\s+1\s+\d+s\n$/);
    await kubectl("patch", "cm", "applied", "--type=json", "-p", '[{"op":"add","path":"/data/n","value":"w"}]');
    await kubectl("label", "cm", "applied", "a=b");
    expect(await kubectl("get", "cm", "-l", "a=b", "-o", "jsonpath={.items[*].data.n}")).toBe("w");
    expect(await kubectl("delete", "cm", "applied")).toMatch(/configmap "applied" deleted/);
  });

  test("api-resources, explain and version read what discovery and OpenAPI say", async () => {
    expect(await kubectl("api-resources", "--no-headers")).toMatch(/^pods\s+po\s+v1\s+true\s+Pod$/m);
    expect(await kubectl("explain", "pod.spec.containers")).toMatch(/containers\s+<\[\](Container|Object)>/);
    expect(await kubectl("version")).toContain("v1.36.0+mini-kube");
  });

  test("a mistyped field is refused before anything is written", async () => {
    const file = join(directory, "typo.yaml");
    writeFileSync(file, toYaml({ ...configMap("typo"), dta: {} }));
    await expect(kubectl("apply", "-f", file)).rejects.toThrow(/unknown field "dta"/);
  });
});
