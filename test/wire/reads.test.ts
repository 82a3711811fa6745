import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { TestApi, type WatchLine } from "../harness/https.ts";

/** Lists, Tables and watches as clients read them. */
let api: TestApi;
beforeAll(async () => {
  api = await TestApi.start();
  for (const name of ["a", "b", "c", "d", "e"]) {
    await api.ok("/api/v1/namespaces/default/configmaps", {
      method: "POST",
      body: { metadata: { name, labels: { app: name < "c" ? "x" : "y" } } },
    });
  }
});
afterAll(() => api.close());

const configMaps = "/api/v1/namespaces/default/configmaps";
const asTable = "application/json;as=Table;v=v1;g=meta.k8s.io";
const asMetadata = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";

interface List {
  kind: string;
  apiVersion: string;
  metadata: { resourceVersion: string; continue?: string; remainingItemCount?: number };
  items: { kind?: string; metadata: { name: string } }[];
}
interface Table {
  kind: string;
  metadata: { resourceVersion: string; continue?: string };
  columnDefinitions: { name: string; type: string; format: string; description: string; priority: number }[];
  rows: { cells: unknown[]; object: { kind: string; metadata: { name: string; labels?: object }; data?: object } }[];
}

const list = async (query = "") => (await api.ok(configMaps + query)).json<List>();
const names = (l: List) => l.items.map((i) => i.metadata.name);
const table = async (path: string) =>
  (await api.ok(path, { headers: { Accept: `${asTable},application/json` } })).json<Table>();
const until = (n: number) => (lines: readonly WatchLine[]) => lines.length >= n;

describe("lists", () => {
  test("say their kind once; the revision is one number for all kinds", async () => {
    const all = await list();
    expect([all.kind, all.apiVersion]).toEqual(["ConfigMapList", "v1"]);
    expect(all.items.every((i) => i.kind === undefined)).toBe(true);
    const { resourceVersion } = (await api.ok("/api/v1/secrets")).json<List>().metadata;
    expect(Number(resourceVersion)).toBeGreaterThanOrEqual(Number(all.metadata.resourceVersion));
    expect(Number(all.metadata.resourceVersion)).toBeGreaterThan(0);
  });

  test("in pages: one snapshot under one revision, whatever is written between", async () => {
    const first = await list("?limit=2");
    expect([names(first), first.metadata.remainingItemCount]).toEqual([["a", "b"], 3]);
    await api.post(configMaps, { metadata: { name: "bb" } });
    const second = await list(`?limit=2&continue=${first.metadata.continue}`);
    expect([names(second), second.metadata.resourceVersion]).toEqual([["c", "d"], first.metadata.resourceVersion]);
    const third = await list(`?limit=2&continue=${second.metadata.continue}`);
    expect([names(third), third.metadata.continue]).toEqual([["e"], undefined]);
    await api.delete(`${configMaps}/bb`);
    expect((await list("?limit=1&labelSelector=app")).metadata.remainingItemCount).toBeUndefined();
  });

  test("a token that is none is refused", async () => {
    const bad = await api.ask(`${configMaps}?limit=1&continue=nonsense`);
    expect([bad.code, bad.json()["reason"]]).toEqual([400, "BadRequest"]);
  });

  test("at a revision: 0, not older than, exactly, and one that is yet to come", async () => {
    const { resourceVersion: rv } = (await list()).metadata;
    await api.post(configMaps, { metadata: { name: "later" } });
    expect(names(await list("?resourceVersion=0"))).toContain("later");
    expect(names(await list(`?resourceVersion=${rv}&resourceVersionMatch=NotOlderThan`))).toContain("later");
    expect(names(await list(`?resourceVersion=${rv}&resourceVersionMatch=Exact`))).not.toContain("later");
    await api.delete(`${configMaps}/later`);
    const future = await api.ask(`${configMaps}?resourceVersion=${Number(rv) + 1_000_000}`);
    expect([future.code, future.json()["reason"]]).toEqual([504, "Timeout"]);
  });

  test.each<[string, string[]]>([
    ["labelSelector=app%3Dx", ["a", "b"]],
    ["labelSelector=app!%3Dx", ["c", "d", "e"]],
    ["labelSelector=app%20in%20(x,z),app", ["a", "b"]],
    ["labelSelector=!app", []],
    ["fieldSelector=metadata.name%3Dc", ["c"]],
    ["fieldSelector=metadata.name!%3Dc,metadata.namespace%3Ddefault", ["a", "b", "d", "e"]],
  ])("selected by %s", async (query, wanted) => {
    expect(names(await list(`?${query}`))).toEqual(wanted);
  });

  test.each<[string, string[]]>([
    [
      "pods",
      [
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "status.phase",
        "status.podIP",
        "status.nominatedNodeName",
      ],
    ],
    [
      "events",
      [
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "reason",
        "type",
        "source",
        "reportingComponent",
      ],
    ],
    ["secrets", ["type"]],
    ["namespaces", ["status.phase"]],
    ["nodes", ["spec.unschedulable"]],
    ["apis/batch/v1/jobs", ["status.successful"]],
  ])("%s are selected by their fields; others are refused", async (resource, fields) => {
    const path = resource.startsWith("apis/") ? `/${resource}` : `/api/v1/${resource}`;
    for (const field of fields) expect((await api.ask(`${path}?fieldSelector=${field}%3Dnone`)).code).toBe(200);
    const refused = await api.ask(`${path}?fieldSelector=spec.nope%3D1`);
    expect([refused.code, refused.json()["message"]]).toEqual([
      400,
      expect.stringContaining("field label not supported"),
    ]);
  });
});

describe("Tables", () => {
  test("columns with name, type, format, description and priority; rows with metadata", async () => {
    const t = await table(configMaps);
    expect(t.kind).toBe("Table");
    expect(t.columnDefinitions.map((c) => c.name)).toEqual(["Name", "Data", "Age"]);
    expect(t.columnDefinitions[0]).toMatchObject({ type: "string", format: "name", priority: 0 });
    expect(t.columnDefinitions.every((c) => c.description !== "")).toBe(true);
    expect(t.rows[0]?.cells).toEqual(["a", expect.anything(), expect.stringMatching(/^\d+s$/)]);
    expect(t.rows[0]?.object).toMatchObject({
      kind: "PartialObjectMetadata",
      metadata: { name: "a", labels: { app: "x" } },
    });
    expect(Number(t.metadata.resourceVersion)).toBeGreaterThan(0);
  });

  test("in pages, with whole objects, or with none", async () => {
    expect((await table(`${configMaps}?limit=2`)).metadata.continue).toMatch(/./);
    expect((await table(`${configMaps}?includeObject=Object`)).rows[0]?.object).toMatchObject({
      kind: "ConfigMap",
      metadata: { name: "a" },
    });
    expect((await table(`${configMaps}?includeObject=None`)).rows[0]?.object ?? null).toBeNull();
  });

  test("of one object; wide columns have a priority; of custom kinds", async () => {
    const one = await table("/api/v1/namespaces/default");
    expect([one.kind, one.rows.length]).toEqual(["Table", 1]);
    const pods = await table("/api/v1/pods");
    expect(pods.columnDefinitions.filter((c) => c.priority > 0).map((c) => c.name)).toEqual([
      "IP",
      "Node",
      "Nominated Node",
      "Readiness Gates",
    ]);
    const group = "tables.example.com";
    const version = {
      name: "v1",
      served: true,
      storage: true,
      schema: { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } },
    };
    const names = { plural: "things", singular: "thing", kind: "Thing" };
    const spec = { group, scope: "Namespaced", names, versions: [version] };
    await api.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {
      metadata: { name: `things.${group}` },
      spec,
    });
    const path = `/apis/${group}/v1/namespaces/default/things`;
    await api.post(path, { apiVersion: `${group}/v1`, kind: "Thing", metadata: { name: "it" } });
    const custom = await table(path);
    expect(custom.columnDefinitions.map((c) => c.name)).toEqual(["Name", "Age"]);
    expect(custom.rows[0]?.cells[0]).toBe("it");
  });

  test("in a watch: one row an event, columns once", async () => {
    const headers = { Accept: asTable };
    const lines = await api.watch(`${configMaps}?watch=1`, until(3), { headers });
    const tables = lines.map((l) => l.object as unknown as Table);
    expect(tables.slice(0, 3).map((t) => [t.kind, t.rows.length])).toEqual(Array(3).fill(["Table", 1]));
    expect(tables[0]?.columnDefinitions).toHaveLength(3);
    expect(tables[1]?.columnDefinitions ?? []).toHaveLength(0);
  });
});

describe("watches", () => {
  test("the head is sent at once, before there is any event", async () => {
    const res = await api.open("/api/v1/namespaces/kube-public/configmaps?watch=1");
    expect([res.statusCode, res.headers["transfer-encoding"]]).toEqual([200, "chunked"]);
    res.destroy();
  });

  test.each(["watch=1", "watch=true", "watch=True"])(
    "%s without a revision: what there is as ADDED, then what happens",
    async (query) => {
      const watching = api.watch(`${configMaps}?${query}`, until(7));
      const name = query.replace("=", "-").toLowerCase();
      // Written once the watch has begun; its first part is there by then or comes before.
      await api.post(configMaps, { metadata: { name } });
      await api.delete(`${configMaps}/${name}`);
      const lines = await watching;
      expect(lines.slice(0, 5).map((l) => `${l.type} ${l.object.metadata.name}`)).toEqual(
        ["a", "b", "c", "d", "e"].map((n) => `ADDED ${n}`),
      );
      const [added, deleted] = lines.slice(5);
      expect([added?.type, deleted?.type]).toEqual(["ADDED", "DELETED"]);
      // DELETED carries the last state, at the revision of the deletion.
      expect(Number(deleted?.object.metadata.resourceVersion)).toBeGreaterThan(
        Number(added?.object.metadata.resourceVersion),
      );
    },
  );

  test("from a list's revision on nothing is missed; selectors turn changes into ADDED and DELETED", async () => {
    const { resourceVersion } = (await list()).metadata;
    const label = (app: string) => api.patch(`${configMaps}/a`, "merge", { metadata: { labels: { app } } });
    await label("y");
    await label("z");
    await label("x");
    const lines = await api.watch(
      `${configMaps}?watch=1&labelSelector=app%3Dy&resourceVersion=${resourceVersion}`,
      until(2),
    );
    expect(lines.map((l) => `${l.type} ${l.object.metadata.name}`)).toEqual(["ADDED a", "DELETED a"]);
  });

  test("sendInitialEvents: all that is there, then a bookmark that says so", async () => {
    const query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    const lines = await api.watch(`${configMaps}?${query}`, (l) => l.at(-1)?.type === "BOOKMARK");
    expect(lines.map((l) => l.type)).toEqual(["ADDED", "ADDED", "ADDED", "ADDED", "ADDED", "BOOKMARK"]);
    expect(lines.at(-1)?.object).toMatchObject({
      kind: "ConfigMap",
      apiVersion: "v1",
      metadata: {
        annotations: { "k8s.io/initial-events-end": "true" },
        resourceVersion: expect.stringMatching(/^\d+$/),
      },
    });
  });

  test("timeoutSeconds ends it cleanly, with a bookmark shortly before", async () => {
    const lines = await api.watch(
      `${configMaps}?watch=1&timeoutSeconds=3&allowWatchBookmarks=true&resourceVersion=0&fieldSelector=metadata.name%3Da`,
      () => false,
    );
    expect(lines.map((l) => l.type)).toEqual(["ADDED", "BOOKMARK"]);
  });

  test("of one object by name, by the old paths, and as metadata alone", async () => {
    const one = await api.watch(`${configMaps}?watch=1&fieldSelector=metadata.name%3Dc`, until(1));
    expect(one.map((l) => l.object.metadata.name)).toEqual(["c"]);
    const old = await api.watch("/api/v1/watch/namespaces/default/configmaps/c", until(1));
    expect(old.map((l) => l.object.metadata.name)).toEqual(["c"]);
    const meta = await api.watch(`${configMaps}?watch=1`, until(1), { headers: { Accept: asMetadata } });
    expect(meta[0]?.object.kind).toBe("PartialObjectMetadata");
    const stream = await api.watch(`${configMaps}?watch=1`, until(1), {
      headers: { Accept: "application/json;stream=watch" },
    });
    expect(stream[0]?.object.kind).toBe("ConfigMap");
  });

  test("describe's question for events, its selectors in any order", async () => {
    const involvedObject = { kind: "Pod", namespace: "default", name: "p", uid: "u-1", apiVersion: "v1" };
    await api.ok("/api/v1/namespaces/default/events", {
      method: "POST",
      body: { metadata: { name: "e1" }, involvedObject, reason: "Because", type: "Normal" },
    });
    for (const selector of [
      "involvedObject.uid=u-1,involvedObject.name=p,involvedObject.namespace=default,involvedObject.kind=Pod",
      "involvedObject.kind=Pod,involvedObject.namespace=default,involvedObject.uid=u-1,involvedObject.name=p",
    ]) {
      const found = (
        await api.ok(`/api/v1/namespaces/default/events?fieldSelector=${encodeURIComponent(selector)}`)
      ).json<List>();
      expect(names(found)).toEqual(["e1"]);
    }
  });
});
