import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EtcdServer } from "../../test/harness/etcd.ts";
import { type Clock, systemClock } from "../util/clock.ts";
import { silent } from "../util/log.ts";
import { ensurePki } from "../util/pki.ts";
import { del, put, take, text, write } from "./conformance-util.ts";
import { EtcdStore } from "./etcd.ts";
import { type EtcdTls, refuseOld } from "./etcd-endpoints.ts";
import { openStore, type TlsFiles } from "./open.ts";
import { StoreUnavailableError } from "./store.ts";
import { tidyStore } from "./tidy.ts";

/** An etcd that is reached in a wrong way, or that lacks something: what is said of it, and how it goes on. */
const LIMIT = 60_000;
const MIB = 1024 * 1024;
const dir = mkdtempSync(join(tmpdir(), "mini-kube-etcd-setup-"));
const file = (pki: string, name: string) => join(dir, pki, name);
let plain: EtcdServer;
let secure: EtcdServer;

beforeAll(async () => {
  const request = (usage: "server" | "client") => ({ commonName: usage, ips: ["127.0.0.1"], usages: [usage] }) as const;
  const requests = { server: request("server"), client: request("client") };
  await Promise.all(["own", "other"].map((name) => ensurePki(join(dir, name), requests, systemClock)));
  writeFileSync(join(dir, "no.pem"), "hello");
  const ca = `--trusted-ca-file=${file("own", "ca.crt")}`;
  const cert = [`--cert-file=${file("own", "server.crt")}`, `--key-file=${file("own", "server.key")}`];
  [plain, secure] = await Promise.all([
    EtcdServer.start([`--quota-backend-bytes=${16 * MIB}`]),
    EtcdServer.start(["--client-cert-auth", ca, ...cert], "https"),
  ]);
}, LIMIT);
afterAll(async () => {
  await Promise.all([plain?.stop(), secure?.stop()]);
  rmSync(dir, { recursive: true, force: true });
});

const client = (pki: string): TlsFiles => ({
  certFile: file(pki, "client.crt"),
  keyFile: file(pki, "client.key"),
});
const ca = (pki: string): TlsFiles => ({ caFile: file(pki, "ca.crt") });
const at = (server: EtcdServer, scheme: string) => server.endpoint.replace(/^https?/, scheme);
const open = (spec: string, tls: TlsFiles) => openStore(spec, { dataDir: dir, clock: systemClock, log: silent, tls });

describe("etcd by TLS", () => {
  test("with its CA and a client certificate it is a store like any other", async () => {
    const store = await open(at(secure, "etcds"), { ...ca("own"), ...client("own") });
    await write(store, put("/registry/a", "1"));
    expect(text((await store.get("/registry/a")).kv?.value)).toBe("1");
    await store.close();
  });

  test(
    "certificates that are renewed while it runs are used from then on; watches lose nothing, and bad ones wait",
    async () => {
      const of = (pki: string) => ({
        ca: readFileSync(file("own", "ca.crt")),
        cert: readFileSync(file(pki, "client.crt")),
        key: readFileSync(file(pki, "client.key")),
      });
      await ensurePki(join(dir, "own"), { renewed: { commonName: "client", usages: ["client"] } }, systemClock);
      let tls: () => EtcdTls = () => of("own");
      let look: (() => void) | undefined;
      // An hour passes when the test says so.
      const clock: Clock = {
        ...systemClock,
        sleep: (ms, signal) =>
          ms < 3_600_000 ? systemClock.sleep(ms, signal) : new Promise((resolve) => (look = resolve)),
      };
      const store = await EtcdStore.open({ endpoints: [secure.endpoint], tls: () => tls(), clock });
      const end = new AbortController();
      const watch = store
        .watch("/renewed/", (await store.get("/renewed/")).revision + 1n, end.signal)
        [Symbol.asyncIterator]();
      const next = async () => (await take(watch, 1)).map((e) => (e.type === "put" ? text(e.kv.value) : e.type))[0];
      await write(store, put("/renewed/a", "1"));
      expect(await next()).toBe("1");
      const looked = async () => {
        look?.();
        await systemClock.sleep(0, end.signal);
      };
      tls = () => {
        throw new Error("half written");
      };
      await looked();
      await write(store, put("/renewed/a", "2"));
      expect(await next()).toBe("2");
      tls = () => ({
        ...of("own"),
        cert: readFileSync(file("own", "renewed.crt")),
        key: readFileSync(file("own", "renewed.key")),
      });
      await looked();
      await write(store, put("/renewed/a", "3"));
      expect(await next()).toBe("3");
      // That they are used shows where they are of no use.
      tls = () => of("other");
      await looked();
      await expect(store.get("/renewed/a")).rejects.toThrow(StoreUnavailableError);
      end.abort();
      await store.close();
    },
    LIMIT,
  );

  test.each<[string, () => string, () => TlsFiles, RegExp]>([
    [
      "another CA",
      () => at(secure, "etcds"),
      () => ({ ...ca("other"), ...client("own") }),
      /of another CA than the one given: name etcd's own with --store-ca-file/,
    ],
    [
      "no client certificate",
      () => at(secure, "etcds"),
      () => ca("own"),
      /it wants a client certificate of its own CA: give --store-cert-file/,
    ],
    [
      "another CA's client certificate",
      () => at(secure, "etcds"),
      () => ({ ...ca("own"), ...client("other") }),
      /it wants a client certificate of its own CA/,
    ],
    [
      "another name",
      () => at(secure, "etcds").replace("127.0.0.1", "localhost"),
      () => ({ ...ca("own"), ...client("own") }),
      /its certificate is not for this host name/,
    ],
    [
      "TLS to a plain one",
      () => at(plain, "etcds"),
      () => ca("own"),
      /it does not speak TLS: use etcd:\/\/ instead of etcds:\/\//,
    ],
    [
      "no CA",
      () => at(secure, "etcds"),
      () => ({}),
      /etcds:\/\/ needs the CA of etcd's certificates: give --store-ca-file/,
    ],
    [
      "half a client certificate",
      () => at(secure, "etcds"),
      () => ({ ...ca("own"), certFile: file("own", "client.crt") }),
      /--store-cert-file and --store-key-file belong together/,
    ],
    [
      "no such file",
      () => at(secure, "etcds"),
      () => ({ caFile: join(dir, "none") }),
      /--store-ca-file .*none: ENOENT/,
    ],
    [
      "no PEM",
      () => at(secure, "etcds"),
      () => ({ caFile: join(dir, "no.pem") }),
      /--store-ca-file .*no\.pem: a PEM file is needed/,
    ],
    [
      "a key of another certificate",
      () => at(secure, "etcds"),
      () => ({ ...ca("own"), ...client("own"), keyFile: file("own", "server.key") }),
      /the client's key does not belong to its certificate/,
    ],
  ])(
    "%s: refused at once, with what to do",
    async (_what, spec, tls, says) => {
      const began = performance.now();
      await expect(open(spec(), tls())).rejects.toThrow(says);
      expect(performance.now() - began).toBeLessThan(5_000);
    },
    LIMIT,
  );

  test("plain to one that speaks TLS: said after it was waited for", async () => {
    const opening = EtcdStore.open({ endpoints: [secure.endpoint.replace("https", "http")], deadlineMs: 1_000 });
    await expect(opening).rejects.toThrow(/does not answer: .* \(does it want TLS\? then use etcds:\/\/\)/);
  });
});

test.each(["3.3.27", "2.3.8", "3.0.0"])("etcd %s is too old", (version) => {
  const says = `etcd at http://a:1 is version ${version}: 3.4 or newer is needed`;
  expect(() => refuseOld("http://a:1", version)).toThrow(says);
});

test.each(["3.4.0", "3.6.1", "4.0.0"])("etcd %s will do", (version) => {
  expect(() => refuseOld("http://a:1", version)).not.toThrow();
});

test(
  "an etcd without space: writes are refused with what to do, reads and deletes go on, and it heals by itself",
  async () => {
    const store = await EtcdStore.open({ endpoints: [plain.endpoint] });
    const large = "x".repeat(MIB);
    let failure: unknown;
    for (let i = 0; failure === undefined && i < 40; i++) {
      await write(store, put("/registry/large", large)).catch((error: unknown) => (failure = error));
    }
    expect(failure).toBeInstanceOf(StoreUnavailableError);
    expect(failure).toMatchObject({
      full: true,
      message: expect.stringMatching(/alarm NOSPACE.*etcdctl alarm disarm/),
    });
    expect((await store.get("/registry/large")).kv?.value.length).toBe(MIB);
    expect((await store.maintenance.status()).members[0]?.alarms).toEqual(["NOSPACE"]);
    await write(store, del("/registry/large"));
    await store.compact((await store.get("/registry/large")).revision);
    const parts = { store, clock: systemClock, log: silent, everyMs: 0, signal: AbortSignal.timeout(30_000) };
    // etcd frees what was compacted a moment later.
    let healed = false;
    while (!healed) {
      parts.signal.throwIfAborted();
      await tidyStore(parts);
      healed = await write(store, put("/registry/small", "1")).then(
        () => true,
        () => false,
      );
    }
    const { members, sizeBytes } = await store.maintenance.status();
    expect(members[0]?.alarms).toEqual([]);
    expect(sizeBytes).toBeLessThan(8 * MIB);
    await store.close();
  },
  LIMIT,
);
