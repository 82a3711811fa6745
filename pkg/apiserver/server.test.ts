import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import type { ApiObject, ObjectList, WatchEvent } from "../api/object.ts";
import { ApiError } from "../api/status.ts";
import type { Call, Transport } from "../client/transport.ts";
import { MemoryStore } from "../store/memory.ts";
import { seededRandom } from "../util/clock.ts";
import { FakeClock, settle } from "../util/fake-clock.ts";
import { silent } from "../util/log.ts";
import { ApiServer } from "./server.ts";

type Json = ApiObject & {
  spec?: Record<string, unknown>;
  data?: Record<string, string>;
  status?: Record<string, unknown>;
};

const NEVER = new AbortController().signal;

let store: MemoryStore;
let clock: FakeClock;
let server: ApiServer;
let api: Transport;

beforeEach(async () => {
  store = new MemoryStore();
  clock = new FakeClock();
  server = await ApiServer.open({ store, clock, random: seededRandom(1), log: silent });
  api = server.transport();
});

afterEach(async () => {
  await server.close();
  await store.close();
  if (clock.pending > 0) throw new Error(`${clock.pending} timers were left behind`);
});

const core = { group: "", version: "v1" };
const configMaps = { ...core, resource: "configmaps", namespace: "default" };
const pods = { ...core, resource: "pods", namespace: "default" };
const namespaces = { ...core, resource: "namespaces" };

const call = (c: Call) => api.call(c) as Promise<Json>;
const configMap = (name: string, data: Record<string, string> = {}, metadata: object = {}) => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name, ...metadata },
  data,
});
const pod = (name: string, metadata: object = {}) => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, ...metadata },
  spec: { containers: [{ name: "c", image: "busybox" }] },
});
const create = (body: object, at: Omit<Call, "verb"> = configMaps) => call({ verb: "create", ...at, body });
const get = (name: string, at: Omit<Call, "verb"> = configMaps) => call({ verb: "get", ...at, name });
const remove = (name: string, at: Omit<Call, "verb"> = configMaps, body?: object) =>
  call({ verb: "delete", ...at, name, ...(body && { body }) });
const list = (params: Record<string, string> = {}, at: Omit<Call, "verb"> = configMaps) =>
  api.call({ verb: "list", ...at, params }) as Promise<ObjectList<Json>>;

async function failure(promise: Promise<unknown>): Promise<ApiError> {
  const error: unknown = await promise.then(
    () => undefined,
    (e: unknown) => e,
  );
  if (!(error instanceof ApiError)) throw new Error(`expected an ApiError, got ${String(error)}`);
  return error;
}

/** Collects a watch's events until it is stopped. */
function collect(params: Record<string, string> = {}, at: Omit<Call, "verb"> = configMaps) {
  const abort = new AbortController();
  const events: WatchEvent<Json>[] = [];
  const done = (async () => {
    for await (const e of api.watch({ verb: "watch", ...at, params }, abort.signal)) events.push(e as WatchEvent<Json>);
  })();
  const lines = () => events.map((e) => `${e.type} ${e.object.metadata.name ?? ""}`.trim());
  return { events, lines, done, stop: () => (abort.abort(), done) };
}

describe("create", () => {
  test("fills in what the system owns", async () => {
    const made = await create(
      pod("web", { uid: "mine", generation: 7, deletionTimestamp: "2020-01-01T00:00:00Z" }),
      pods,
    );
    expect(made.metadata).toMatchObject({
      name: "web",
      namespace: "default",
      generation: 1,
      creationTimestamp: "2026-01-01T00:00:00Z",
    });
    expect(made.metadata.uid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(made.metadata.deletionTimestamp).toBeUndefined();
    expect(Number(made.metadata.resourceVersion)).toBeGreaterThan(0);
    expect(await get("web", pods)).toEqual(made);
  });

  test("makes the four namespaces at boot", async () => {
    const all = await list({}, namespaces);
    expect(all.items.map((n) => n.metadata.name)).toEqual(["default", "kube-node-lease", "kube-public", "kube-system"]);
  });

  test("generates a name from generateName, a new one if it is taken", async () => {
    const names = new Set<string>();
    for (let i = 0; i < 20; i++) {
      const made = await create({ apiVersion: "v1", kind: "ConfigMap", metadata: { generateName: "job-" } });
      names.add(made.metadata.name ?? "");
    }
    expect(names.size).toBe(20);
    for (const name of names) expect(name).toMatch(/^job-[bcdfghjklmnpqrstvwxz2456789]{5}$/);
  });

  test.each([
    ["taken name", configMap("kept"), configMaps, 409, 'configmaps "kept" already exists'],
    [
      "no name",
      configMap(""),
      configMaps,
      422,
      'ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required',
    ],
    ["bad name", configMap("A_b"), configMaps, 422, 'metadata.name: Invalid value: "A_b"'],
    ["other namespace", configMap("x", {}, { namespace: "other" }), configMaps, 400, "does not match the namespace"],
    ["no such namespace", configMap("x"), { ...configMaps, namespace: "no" }, 404, 'namespaces "no" not found'],
    ["another kind", pod("x"), configMaps, 400, "cannot be handled as a ConfigMap"],
    ["wrong type", { ...configMap("x"), data: 7 }, configMaps, 400, "ConfigMap in version"],
    [
      "resourceVersion",
      configMap("x", {}, { resourceVersion: "1" }),
      configMaps,
      400,
      "resourceVersion should not be set",
    ],
  ])("refuses: %s", async (_, body, at, code, message) => {
    await create(configMap("kept"));
    const error = await failure(create(body, at));
    expect({ code: error.code, message: error.message }).toEqual({ code, message: expect.stringContaining(message) });
  });

  test("is refused in a namespace that is being deleted, then finds it gone", async () => {
    await create({ apiVersion: "v1", kind: "Namespace", metadata: { name: "going" } }, namespaces);
    const dying = await remove("going", namespaces);
    expect(dying.status).toEqual({ phase: "Terminating" });
    const error = await failure(create(configMap("x"), { ...configMaps, namespace: "going" }));
    expect(error.message).toBe(
      'configmaps "x" is forbidden: unable to create new content in namespace going because it is being terminated',
    );
    expect(error.details?.causes?.[0]?.reason).toBe("NamespaceTerminating");
    const body = { apiVersion: "v1", kind: "Namespace", metadata: { name: "going" }, spec: { finalizers: [] } };
    await call({ verb: "update", ...namespaces, name: "going", subresource: "finalize", body });
    expect((await failure(get("going", namespaces))).reason).toBe("NotFound");
    expect((await failure(create(configMap("x"), { ...configMaps, namespace: "going" }))).code).toBe(404);
  });
});

describe("update and patch", () => {
  test("a stale resourceVersion or another uid is a conflict; none overwrites", async () => {
    const first = await create(configMap("a", { k: "1" }));
    const second = await call({ verb: "update", ...configMaps, name: "a", body: { ...first, data: { k: "2" } } });
    const stale = await failure(
      call({ verb: "update", ...configMaps, name: "a", body: { ...first, data: { k: "3" } } }),
    );
    expect(stale.message).toBe(
      'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to the latest version and try again',
    );
    const other = configMap("a", {}, { uid: "another" });
    expect((await failure(call({ verb: "update", ...configMaps, name: "a", body: other }))).code).toBe(409);
    const third = await call({ verb: "update", ...configMaps, name: "a", body: configMap("a", { k: "4" }) });
    expect(third.metadata.uid).toBe(second.metadata.uid);
    expect(third.data).toEqual({ k: "4" });
  });

  test("writing the same again changes nothing (Storage G3)", async () => {
    const made = await create(pod("web"), pods);
    const same = await call({ verb: "update", ...pods, name: "web", body: made });
    expect(same.metadata.resourceVersion).toBe(made.metadata.resourceVersion);
    const patched = await call({
      verb: "patch",
      ...pods,
      name: "web",
      patchType: "application/merge-patch+json",
      body: { metadata: { labels: null } },
    });
    expect(patched.metadata.resourceVersion).toBe(made.metadata.resourceVersion);
  });

  test("generation counts changes of the spec only; status changes only through its subresource", async () => {
    const made = await create(pod("web"), pods);
    const patchType = "application/strategic-merge-patch+json" as const;
    const labelled = await call({
      verb: "patch",
      ...pods,
      name: "web",
      patchType,
      body: { metadata: { labels: { a: "b" } }, status: { phase: "Failed" } },
    });
    expect(labelled.metadata.generation).toBe(1);
    expect(labelled.status?.["phase"]).toBe("Pending");
    const body = { spec: { containers: [{ name: "c", image: "other" }] } };
    const changed = await call({ verb: "patch", ...pods, name: "web", patchType, body });
    expect(changed.metadata.generation).toBe(2);
    const reported = await call({
      verb: "update",
      ...pods,
      name: "web",
      subresource: "status",
      body: { ...made, metadata: { name: "web" }, spec: { containers: [] }, status: { phase: "Running" } },
    });
    expect(reported.status?.["phase"]).toBe("Running");
    expect(reported.spec).toEqual(changed.spec);
    expect(reported.metadata.generation).toBe(2);
  });

  test("100 parallel increments by patch lose none (Storage G1)", async () => {
    await create(configMap("a", {}));
    const body = (i: number) => ({ data: { [`k${i}`]: "x" } });
    await Promise.all(
      Array.from({ length: 100 }, (_, i) =>
        call({ verb: "patch", ...configMaps, name: "a", patchType: "application/merge-patch+json", body: body(i) }),
      ),
    );
    expect(Object.keys((await get("a")).data ?? {})).toHaveLength(100);
  });

  test("of 100 parallel updates from one revision exactly one wins", async () => {
    const made = await create(configMap("a"));
    const results = await Promise.allSettled(
      Array.from({ length: 100 }, (_, i) =>
        call({ verb: "update", ...configMaps, name: "a", body: { ...made, data: { by: String(i) } } }),
      ),
    );
    expect(results.filter((r) => r.status === "fulfilled")).toHaveLength(1);
    expect(results.every((r) => r.status === "fulfilled" || (r.reason as ApiError).reason === "Conflict")).toBe(true);
  });

  test("what does not exist is not found", async () => {
    const patch = { verb: "patch", ...configMaps, name: "no", body: {} } as const;
    expect((await failure(call({ ...patch, patchType: "application/merge-patch+json" }))).code).toBe(404);
  });

  test("dryRun answers as if, and writes nothing", async () => {
    const params = { dryRun: "All" };
    const made = await call({ verb: "create", ...configMaps, body: configMap("a"), params });
    expect(made.metadata.uid).toBeDefined();
    expect((await failure(get("a"))).reason).toBe("NotFound");
    const real = await create(configMap("a"));
    const updated = await call({ verb: "update", ...configMaps, name: "a", body: configMap("a", { k: "v" }), params });
    expect(updated.data).toEqual({ k: "v" });
    await call({ verb: "delete", ...configMaps, name: "a", body: { dryRun: ["All"] } });
    expect(await get("a")).toEqual(real);
    expect((await failure(call({ verb: "delete", ...configMaps, name: "a", params: { dryRun: "Some" } }))).code).toBe(
      422,
    );
  });
});

describe("delete", () => {
  test("without finalizers: gone, with the uid in the answer", async () => {
    const made = await create(configMap("a"));
    const status = (await remove("a")) as unknown as { status: string; details: object };
    expect(status).toMatchObject({
      status: "Success",
      details: { name: "a", kind: "configmaps", uid: made.metadata.uid },
    });
    expect((await failure(remove("a"))).message).toBe('configmaps "a" not found');
  });

  test("finalizers hold it until the last is removed", async () => {
    const made = await create(configMap("a", {}, { finalizers: ["x.io/1", "x.io/2"] }));
    const dying = await remove("a");
    expect(dying.metadata.deletionTimestamp).toBe("2026-01-01T00:00:00Z");
    const patchType = "application/merge-patch+json" as const;
    const patch = (finalizers: string[]) =>
      call({ verb: "patch", ...configMaps, name: "a", patchType, body: { metadata: { finalizers } } });
    const more = await failure(patch(["x.io/1", "x.io/2", "x.io/3"]));
    expect(more.message).toContain("no new finalizers can be added");
    await patch(["x.io/2"]);
    expect((await get("a")).metadata.uid).toBe(made.metadata.uid);
    await patch([]);
    expect((await failure(get("a"))).reason).toBe("NotFound");
  });

  test("a bound Pod gets its grace; a second deletion may shorten it; grace 0 removes", async () => {
    await create(pod("web"), pods);
    const target = { apiVersion: "v1", kind: "Node", name: "n1" };
    const body = { apiVersion: "v1", kind: "Binding", metadata: { name: "web" }, target };
    await call({ verb: "create", ...pods, name: "web", subresource: "binding", body });
    const first = await remove("web", pods);
    expect(first.metadata).toMatchObject({ deletionGracePeriodSeconds: 30, deletionTimestamp: "2026-01-01T00:00:30Z" });
    await clock.advance(5_000);
    const longer = await remove("web", pods, { gracePeriodSeconds: 60 });
    expect(longer.metadata.deletionTimestamp).toBe("2026-01-01T00:00:30Z");
    const shorter = await remove("web", pods, { gracePeriodSeconds: 10 });
    expect(shorter.metadata).toMatchObject({
      deletionGracePeriodSeconds: 10,
      deletionTimestamp: "2026-01-01T00:00:10Z",
    });
    await remove("web", pods, { gracePeriodSeconds: 0 });
    expect((await failure(get("web", pods))).reason).toBe("NotFound");
  });

  test("preconditions", async () => {
    const made = await create(configMap("a"));
    expect((await failure(remove("a", configMaps, { preconditions: { uid: "x" } }))).code).toBe(409);
    expect((await failure(remove("a", configMaps, { preconditions: { resourceVersion: "1" } }))).code).toBe(409);
    await remove("a", configMaps, { preconditions: { uid: made.metadata.uid }, propagationPolicy: "Background" });
    expect((await list()).items).toEqual([]);
  });

  test("deletecollection takes what the selector matches", async () => {
    for (const [name, app] of [
      ["a", "x"],
      ["b", "x"],
      ["c", "y"],
    ] as const)
      await create(configMap(name, {}, { labels: { app } }));
    await call({ verb: "deletecollection", ...configMaps, params: { labelSelector: "app=x" } });
    expect((await list()).items.map((o) => o.metadata.name)).toEqual(["c"]);
  });
});

describe("list", () => {
  test("pages are one snapshot, whatever is written between them (Reader R2)", async () => {
    for (const name of ["a", "b", "c", "d", "e"]) await create(configMap(name));
    const first = await list({ limit: "2" });
    expect(first.metadata.remainingItemCount).toBe(3);
    await remove("c");
    await create(configMap("bb"));
    const second = await list({ limit: "2", continue: first.metadata.continue ?? "" });
    const third = await list({ limit: "2", continue: second.metadata.continue ?? "" });
    const names = [first, second, third].flatMap((p) => p.items.map((o) => o.metadata.name));
    expect(names).toEqual(["a", "b", "c", "d", "e"]);
    expect(new Set([first, second, third].map((p) => p.metadata.resourceVersion)).size).toBe(1);
    expect(third.metadata.continue).toBeUndefined();
  });

  test("a page whose snapshot was compacted away is Expired; a foreign token is refused", async () => {
    for (const name of ["a", "b", "c"]) await create(configMap(name));
    const first = await list({ limit: "1" });
    await create(configMap("d"));
    await store.compact((await store.get("/")).revision);
    expect((await failure(list({ limit: "1", continue: first.metadata.continue ?? "" }))).reason).toBe("Expired");
    expect((await failure(list({ continue: "bm9uc2Vuc2U" }))).message).toBe("continue key is not valid");
    const future = Buffer.from(JSON.stringify({ v: "meta.k8s.io/v1", rv: 10_000, start: "a" })).toString("base64url");
    expect((await failure(list({ continue: future }))).code).toBe(504);
  });

  test("selectors, across namespaces, and an old revision exactly", async () => {
    await create(configMap("a", {}, { labels: { app: "x" } }));
    const before = (await list()).metadata.resourceVersion ?? "";
    await create(configMap("b", {}, { labels: { app: "y" } }));
    await create(configMap("a", {}, { labels: { app: "x" } }), { ...configMaps, namespace: "kube-system" });
    const { namespace: _, ...everywhere } = configMaps;
    const names = async (params: Record<string, string>, at: Omit<Call, "verb"> = everywhere) =>
      (await list(params, at)).items.map((o) => `${o.metadata.namespace}/${o.metadata.name}`);
    expect(await names({ labelSelector: "app=x" })).toEqual(["default/a", "kube-system/a"]);
    expect(await names({ fieldSelector: "metadata.namespace=default,metadata.name!=a" })).toEqual(["default/b"]);
    expect(await names({ resourceVersion: before, resourceVersionMatch: "Exact" })).toEqual(["default/a"]);
    expect((await failure(list({ fieldSelector: "spec.x=1" }))).code).toBe(400);
    expect((await failure(list({ resourceVersionMatch: "Exact" }))).code).toBe(422);
  });

  test("a revision that is not there yet is waited for, not for ever", async () => {
    const waiting = failure(list({ resourceVersion: "1000" }));
    await clock.advance(3_000);
    expect((await waiting).message).toContain("Too large resource version: 1000");
  });
});

describe("watch", () => {
  test("without resourceVersion: what there is, then what happens; selector transitions", async () => {
    await create(configMap("a", {}, { labels: { app: "x" } }));
    const all = collect();
    const x = collect({ labelSelector: "app=x" });
    await settle();
    const label = (app: string) =>
      call({
        verb: "patch",
        ...configMaps,
        name: "a",
        patchType: "application/merge-patch+json",
        body: { metadata: { labels: { app } } },
      });
    const left = await label("y");
    await label("x");
    await remove("a");
    await settle();
    expect(all.lines()).toEqual(["ADDED a", "MODIFIED a", "MODIFIED a", "DELETED a"]);
    expect(x.lines()).toEqual(["ADDED a", "DELETED a", "ADDED a", "DELETED a"]);
    expect(x.events[1]?.object.metadata).toMatchObject({
      labels: { app: "x" },
      resourceVersion: left.metadata.resourceVersion,
    });
    const last = all.events.at(-1)?.object.metadata;
    expect(Number(last?.resourceVersion)).toBeGreaterThan(Number(all.events.at(-2)?.object.metadata.resourceVersion));
    await Promise.all([all.stop(), x.stop()]);
  });

  test("from a list's revision nothing is missed and nothing repeated (Reader R3)", async () => {
    await create(configMap("before"));
    const { metadata } = await list();
    await create(configMap("after"));
    await create(configMap("elsewhere"), { ...configMaps, namespace: "kube-system" });
    const w = collect({ resourceVersion: metadata.resourceVersion ?? "" });
    await settle();
    await create(configMap("later"));
    await settle();
    expect(w.lines()).toEqual(["ADDED after", "ADDED later"]);
    await w.stop();
  });

  test("from before the server's time is Expired", async () => {
    await create(configMap("a"));
    const restarted = await ApiServer.open({ store, clock, random: seededRandom(2), log: silent });
    const watch = restarted
      .transport()
      .watch({ verb: "watch", ...configMaps, params: { resourceVersion: "1" } }, NEVER);
    const error = await failure(watch[Symbol.asyncIterator]().next());
    expect([error.code, error.reason]).toEqual([410, "Expired"]);
    await restarted.close();
  });

  test("who does not read is cut off, the others go on (Watcher W2)", async () => {
    const small = await ApiServer.open({ store, clock, random: seededRandom(2), log: silent, watchQueueLimit: 3 });
    const call = { verb: "watch", ...configMaps } as const;
    const lazy = await small.watch(call);
    const keen = collect();
    for (let i = 0; i < 5; i++) {
      await create(configMap(`c${i}`));
      await settle();
    }
    expect(lazy.ended).toBe(true);
    const batches = [];
    for await (const batch of lazy.batches(NEVER)) batches.push(batch);
    expect(batches).toEqual([]);
    expect(keen.lines()).toHaveLength(5);
    await keen.stop();
    await small.close();
  });

  test("another server on the same store sees what this one acknowledged (Reader R1)", async () => {
    const other = await ApiServer.open({ store, clock, random: seededRandom(2), log: silent });
    for (let i = 0; i < 20; i++) {
      const made = await create(configMap(`c${i}`));
      expect(await other.transport().call({ verb: "get", ...configMaps, name: `c${i}` })).toEqual(made);
    }
    await other.close();
  });

  test("sendInitialEvents: all that is there, then a bookmark that says so", async () => {
    await create(configMap("a"));
    const w = collect({
      sendInitialEvents: "true",
      resourceVersionMatch: "NotOlderThan",
      allowWatchBookmarks: "true",
      timeoutSeconds: "100",
    });
    await settle();
    expect(w.lines()).toEqual(["ADDED a", "BOOKMARK"]);
    expect(w.events[1]?.object.metadata.annotations).toEqual({ "k8s.io/initial-events-end": "true" });
    await clock.advance(60_000);
    await clock.advance(38_000);
    expect(w.lines().slice(2)).toEqual(["BOOKMARK", "BOOKMARK"]);
    await clock.advance(2_000);
    await w.done;
    expect((await failure(collect({ sendInitialEvents: "true" }).done.then(() => list()))).code).toBe(422);
  });

  test("a watcher by field sees only its own (ResourceCache C3)", async () => {
    const bind = (name: string, node: string) =>
      call({
        verb: "create",
        ...pods,
        name,
        subresource: "binding",
        body: { metadata: { name }, target: { kind: "Node", name: node } },
      });
    const n1 = collect({ fieldSelector: "spec.nodeName=n1" }, pods);
    const unbound = collect({ fieldSelector: "spec.nodeName=" }, pods);
    await settle();
    await create(pod("a"), pods);
    await create(pod("b"), pods);
    await bind("a", "n1");
    await bind("b", "n2");
    await settle();
    expect(n1.lines()).toEqual(["ADDED a"]);
    expect(unbound.lines()).toEqual(["ADDED a", "ADDED b", "DELETED a", "DELETED b"]);
    await Promise.all([n1.stop(), unbound.stop()]);
  });
});

test("old Events are removed, and old revisions forgotten", async () => {
  const at = { ...core, resource: "events", namespace: "default" };
  const involvedObject = { kind: "Pod", name: "web", namespace: "default" };
  await create({ apiVersion: "v1", kind: "Event", metadata: { name: "e" }, involvedObject, reason: "Test" }, at);
  await clock.advance(24 * 3_600_000 - 60_000);
  expect((await list({}, at)).items).toHaveLength(1);
  await clock.advance(2 * 60_000);
  expect((await list({}, at)).items).toHaveLength(0);
  await expect(store.list("/registry/", { at: 1n })).rejects.toThrow("compacted");
});

test("a store that is compacted up to its very last revision is followed like any other: no watch is ended for it", async () => {
  await server.close();
  await store.compact((await store.get("/")).revision);
  const before = (await store.get("/")).revision;
  server = await ApiServer.open({ store, clock, random: seededRandom(1), log: silent });
  api = server.transport();
  const watched = collect({}, configMaps);
  await settle();
  await create(configMap("a"));
  await settle();
  expect(watched.lines()).toEqual(["ADDED a"]);
  expect((await store.get("/")).revision).toBeGreaterThan(before);
  await watched.stop();
});

test("objects lie in the store as readable JSON without resourceVersion", async () => {
  await create(configMap("a", { k: "v" }));
  const { kv } = await store.get("/registry/configmaps/default/a");
  const text = Buffer.from(kv?.value ?? []).toString();
  expect(text).toMatch(/^\{"apiVersion":"v1","kind":"ConfigMap","metadata":\{"name":"a","namespace":"default","uid":/);
  expect(text).not.toContain("resourceVersion");
});
