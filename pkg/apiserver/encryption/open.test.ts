import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Transport } from "../../client/transport.ts";
import type { ApiObject } from "../../api/object.ts";
import { LmdbStore } from "../../store/lmdb.ts";
import { MemoryStore } from "../../store/memory.ts";
import { OWN_KEYS } from "../../store/own-keys.ts";
import type { Store } from "../../store/store.ts";
import { seededRandom, systemClock } from "../../util/clock.ts";
import { type Logger, silent } from "../../util/log.ts";
import { ApiServer } from "../server.ts";
import {
  encryptionConfigText,
  newEncryptionConfig,
  readEncryptionConfig,
  rotation,
  type ResourceRule,
} from "./config.ts";
import { type Encryption, openEncryption } from "./open.ts";

type Secret = ApiObject & { data?: Record<string, string> };

const PASSWORD = Buffer.from("correct horse battery staple").toString("base64");
const secrets = { group: "", version: "v1", resource: "secrets", namespace: "default" };
const secret = (name: string) => ({
  apiVersion: "v1",
  kind: "Secret",
  metadata: { name },
  data: { password: PASSWORD },
});

let dir: string;
let file: string;
let store: MemoryStore;
const undo: (() => unknown)[] = [];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "encryption-"));
  file = join(dir, "encryption.yaml");
  store = new MemoryStore();
});

afterEach(async () => {
  for (const step of undo.splice(0).toReversed()) await step();
  await store.close();
  rmSync(dir, { recursive: true });
});

async function open(
  o: { create?: boolean; file?: string | undefined; machine?: string; log?: Logger } = {},
): Promise<Encryption> {
  const encryption = await openEncryption(store, {
    file: "file" in o ? o.file : file,
    create: o.create ?? true,
    machine: o.machine ?? "m1",
    clock: systemClock,
    log: o.log ?? silent,
    lookMs: 20,
  });
  undo.push(() => encryption.close());
  return encryption;
}

async function serve(encryption: Encryption): Promise<{ api: Transport; server: ApiServer }> {
  const server = await ApiServer.open({
    store: encryption.store,
    clock: systemClock,
    random: seededRandom(1),
    log: silent,
  });
  undo.push(() => server.close());
  return { api: server.transport(), server };
}

const get = (api: Transport, name: string) => api.call({ verb: "get", ...secrets, name }) as Promise<Secret>;
const create = (api: Transport, name: string) => api.call({ verb: "create", ...secrets, body: secret(name) });
const rawOf = async (name: string) => {
  const { kv } = await store.get(`/registry/secrets/default/${name}`);
  return Buffer.from(kv?.value ?? []).toString("latin1");
};
const rules = () => readEncryptionConfig(readFileSync(file, "utf8")).rules;
const write = (next: readonly ResourceRule[]) => writeFileSync(file, encryptionConfigText(next));

/** Resolves when the changed file is in force. */
function change(encryption: Encryption, next: readonly ResourceRule[]): Promise<void> {
  const reloaded = new Promise<void>((resolve) => encryption.onReload(async () => resolve()));
  write(next);
  return reloaded;
}

test("the file is made, for its owner alone; the store holds no plain text, the API shows it", async () => {
  const { api } = await serve(await open());
  expect(statSync(file).mode & 0o777).toBe(0o600);
  await create(api, "a");
  expect(await rawOf("a")).toMatch(/^k8s:enc:aesgcm:v1:key1:/);
  expect((await get(api, "a")).data).toEqual({ password: PASSWORD });
  for (const { value } of (await store.list("/")).kvs) expect(Buffer.from(value).includes(PASSWORD)).toBe(false);
});

test("not one byte of it is in LMDB's files", async () => {
  const place = join(dir, "lmdb");
  const lmdb = await LmdbStore.open(place);
  const encryption = await openEncryption(lmdb, { file, create: true, machine: "m1", clock: systemClock, log: silent });
  undo.push(
    () => lmdb.close(),
    () => encryption.close(),
  );
  const { api } = await serve(encryption);
  await create(api, "a");
  await api.call({
    verb: "create",
    ...secrets,
    resource: "configmaps",
    body: { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a" }, data: { shown: "in plain text" } },
  });
  const bytes = readFileSync(join(place, "data.mdb"));
  expect(bytes.includes("in plain text")).toBe(true);
  expect(bytes.includes(PASSWORD)).toBe(false);
});

test("what was written before there was a key is read, and encrypted with its next write, even an equal one", async () => {
  const plain = await serve({ ...(await open({ file: undefined })), store });
  await create(plain.api, "old");
  await plain.server.close();
  const { api } = await serve(await open());
  const old = await get(api, "old");
  expect(await rawOf("old")).toContain(PASSWORD);
  const written = (await api.call({ verb: "update", ...secrets, name: "old", body: old })) as Secret;
  expect(await rawOf("old")).toMatch(/^k8s:enc:/);
  // G3 holds again.
  const again = (await api.call({ verb: "update", ...secrets, name: "old", body: written })) as Secret;
  expect(again.metadata.resourceVersion).toBe(written.metadata.resourceVersion);
});

describe("a rotation while it runs", () => {
  test("adds a key, writes with it, rewrites what there is, and drops the old one", async () => {
    const encryption = await open();
    const { api } = await serve(encryption);
    await create(api, "a");
    await change(encryption, rotation.add(rules()));
    await create(api, "b");
    await change(encryption, rotation.promote(rules()));
    await create(api, "c");
    const keyOf = async (name: string) => (await rawOf(name)).split(":")[4];
    expect(await Promise.all(["a", "b", "c"].map(keyOf))).toEqual(["key1", "key1", "key2"]);
    for (const name of ["a", "b", "c"]) {
      await api.call({ verb: "update", ...secrets, name, body: await get(api, name) });
    }
    expect(await Promise.all(["a", "b", "c"].map(keyOf))).toEqual(["key2", "key2", "key2"]);
    await change(encryption, rotation.drop(rules()));
    expect((await get(api, "a")).data).toEqual({ password: PASSWORD });
    // And the next start needs the new key alone.
    const next = await serve(await open());
    expect((await get(next.api, "b")).data).toEqual({ password: PASSWORD });
  });

  test("takes the cluster's identity along: no client can write it anew", async () => {
    const encryption = await open();
    const identity = async (from: Store) => (await from.get(OWN_KEYS.identity)).kv?.value ?? new Uint8Array();
    await encryption.store.txn([], [{ op: "put", key: OWN_KEYS.identity, value: Buffer.from("keys") }]);
    await change(encryption, rotation.promote(rotation.add(rules())));
    expect(Buffer.from(await identity(store)).toString("latin1")).toMatch(/^k8s:enc:aesgcm:v1:key2:/);
    await change(encryption, rotation.drop(rules()));
    expect(Buffer.from(await identity((await open()).store)).toString()).toBe("keys");
  });

  test("what came too late for the new keys is named, is not overwritten, and is back with its key", async () => {
    const encryption = await open();
    const first = await serve(encryption);
    await create(first.api, "late");
    const whole = rotation.promote(rotation.add(rules()));
    await change(encryption, whole);
    await create(first.api, "fine");
    await change(encryption, rotation.drop(whole));
    const before = await rawOf("late");

    const { api, server } = await serve(encryption);
    const why = '"/registry/secrets/default/late": it was encrypted with the key "key1"';
    const failing = { code: 500, reason: "InternalError", message: expect.stringContaining(why) as unknown };
    await expect(get(api, "late")).rejects.toMatchObject(failing);
    await expect(api.call({ verb: "list", ...secrets })).rejects.toMatchObject(failing);
    await expect(api.call({ verb: "delete", ...secrets, name: "late" })).rejects.toMatchObject(failing);
    await expect(api.call({ verb: "update", ...secrets, name: "late", body: secret("late") })).rejects.toMatchObject(
      failing,
    );
    await expect(create(api, "late")).rejects.toMatchObject({ reason: "AlreadyExists" });
    expect((await get(api, "fine")).data).toEqual({ password: PASSWORD });
    await expect(api.call({ verb: "list", ...secrets, namespace: "kube-system" })).resolves.toMatchObject({
      items: [],
    });
    expect(await rawOf("late")).toBe(before);

    await change(encryption, whole);
    await server.keysChanged();
    expect((await get(api, "late")).data).toEqual({ password: PASSWORD });
    await expect(api.call({ verb: "list", ...secrets })).resolves.toMatchObject({ items: [{}, {}] });
  });

  test("is taken up when the store is back that did not answer for it", async () => {
    let said: (fields: object) => void = () => {};
    const failed = new Promise<object>((resolve) => (said = resolve));
    const encryption = await open({ log: { ...silent, error: (fields) => said(fields) } });
    const get = store.get.bind(store);
    store.get = () => Promise.reject(new Error("no leader"));
    const changed = change(encryption, rotation.add(rules()));
    expect(await failed).toMatchObject({ error: { message: "no leader" } });
    store.get = get;
    await changed;
    await change(encryption, rotation.promote(rules()));
    await encryption.store.txn([], [{ op: "put", key: "/registry/secrets/default/a", value: Buffer.from("{}") }]);
    expect(await rawOf("a")).toMatch(/^k8s:enc:aesgcm:v1:key2:/);
  });

  test("a file that cannot be used changes nothing", async () => {
    let said: (fields: object) => void = () => {};
    const encryption = await open({ log: { ...silent, error: (fields) => said(fields) } });
    const { api } = await serve(encryption);
    const good = rules();
    for (const [text, why] of [
      ["kind: Pod", "kind: EncryptionConfiguration"],
      [newEncryptionConfig(), "keys that are not here"],
    ] as const) {
      const refused = new Promise<object>((resolve) => (said = resolve));
      writeFileSync(file, text);
      expect(await refused).toMatchObject({ error: { message: expect.stringContaining(why) as unknown } });
    }
    await create(api, "a");
    await change(encryption, rotation.add(good));
    expect(await rawOf("a")).toMatch(/^k8s:enc:aesgcm:v1:key1:/);
    expect((await get(api, "a")).data).toEqual({ password: PASSWORD });
  });
});

describe("refused, with what to do; nothing is written", () => {
  const copy = (from: string, to: string) => `keys that are not here: copy ${from} to ${to}`;

  test("a second machine on the store, without the file: it is told from where to copy it, and makes none", async () => {
    await open({ machine: "m1" });
    const [theirs, before] = [join(dir, "second.yaml"), (await store.list("/")).revision];
    const why = copy(`m1:${file}`, theirs);
    await expect(open({ machine: "m2", file: theirs })).rejects.toThrow(why);
    expect(statSync(theirs, { throwIfNoEntry: false })).toBeUndefined();
    writeFileSync(theirs, newEncryptionConfig());
    await expect(open({ machine: "m2", file: theirs })).rejects.toThrow(why);
    expect((await store.list("/")).revision).toBe(before);
    writeFileSync(theirs, readFileSync(file));
    await expect(open({ machine: "m2", file: theirs })).resolves.toBeDefined();
  });

  test("the same machine, whose file was lost or replaced", async () => {
    await open();
    rmSync(file);
    await expect(open()).rejects.toThrow(`put back ${file} as it was`);
    writeFileSync(file, newEncryptionConfig());
    await expect(open()).rejects.toThrow(`put back ${file} as it was`);
  });

  test("a server that is told of no file", async () => {
    await open();
    await expect(open({ file: undefined })).rejects.toThrow("name it with --encryption-provider-config");
  });

  test("a file that is not there, where none is made", async () => {
    await expect(open({ create: false })).rejects.toThrow(`${file}: there is no such file`);
  });

  test("a file that makes no sense", async () => {
    writeFileSync(file, "kind: Pod");
    await expect(open()).rejects.toThrow(`${file}: kind: EncryptionConfiguration`);
  });

  test("two first machines at once agree on one's keys, and the other is told", async () => {
    const files = ["x.yaml", "y.yaml"].map((name) => join(dir, name));
    const both = await Promise.allSettled(files.map((f, i) => open({ file: f, machine: `m${i}` })));
    expect(both.map((r) => r.status).toSorted()).toEqual(["fulfilled", "rejected"]);
  });
});

test("back to plain text: identity first, everything written anew, then without a key", async () => {
  const encryption = await open();
  const { api } = await serve(encryption);
  await create(api, "a");
  await change(
    encryption,
    rules().map((r) => ({ ...r, providers: r.providers.toReversed() })),
  );
  await api.call({ verb: "update", ...secrets, name: "a", body: await get(api, "a") });
  expect(await rawOf("a")).toContain(PASSWORD);
  const { api: later } = await serve(await open({ file: undefined }));
  expect((await get(later, "a")).data).toEqual({ password: PASSWORD });
});
