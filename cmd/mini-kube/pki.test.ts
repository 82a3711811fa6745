import { afterEach, describe, expect, test } from "@jest/globals";
import { X509Certificate } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readKubeconfig, resolveContext } from "../../pkg/client/kubeconfig.ts";
import { systemClock } from "../../pkg/util/clock.ts";
import { FakeClock } from "../../pkg/util/fake-clock.ts";
import { apiServerNames, initPki, renewPki } from "./pki.ts";

const DAY = 24 * 3_600_000;
const dirs: string[] = [];
const newDir = () => {
  const dir = join(mkdtempSync(join(tmpdir(), "mk-init-")), "pki");
  dirs.push(dir);
  return dir;
};
afterEach(() => {
  for (const dir of dirs.splice(0)) rmSync(join(dir, ".."), { recursive: true, force: true });
});

const clock = new FakeClock();
const options = {
  servers: ["https://api1:6443", "https://10.0.0.2:6443"],
  sans: ["lb"],
  etcd: [{ name: "etcd1", hosts: ["etcd1", "10.0.0.3"] }],
  clock,
};
const everything = (dir: string) =>
  readdirSync(dir, { recursive: true, encoding: "utf8" }).filter((f) => statSync(join(dir, f)).isFile());
const cert = (dir: string, name: string) => new X509Certificate(readFileSync(join(dir, name)));

test("everything that separate programs need, keys for the owner only, and two authorities", async () => {
  const dir = newDir();
  const written = await initPki(dir, options);
  expect([...written].toSorted()).toEqual(everything(dir).toSorted());
  for (const secret of everything(dir).filter((f) => /\.key$|kubeconfig$|encryption/.test(f))) {
    expect([secret, statSync(join(dir, secret)).mode & 0o777]).toEqual([secret, 0o600]);
  }
  const [ca, etcdCa] = [cert(dir, "ca.crt"), cert(dir, "etcd/ca.crt")];
  const member = cert(dir, "etcd/etcd1.crt");
  expect([member.checkIssued(etcdCa), member.checkIssued(ca)]).toEqual([true, false]);
  expect([member.checkHost("etcd1"), member.checkIP("10.0.0.3"), member.checkIP("127.0.0.1")]).not.toContain(undefined);
  expect(cert(dir, "etcd/client.crt").checkIssued(etcdCa)).toBe(true);
  expect(await apiServerNames(dir)).toEqual(["api1", "10.0.0.2", "lb"]);
});

test.each([
  ["admin", "O=system:masters\nCN=kubernetes-admin"],
  ["scheduler", "CN=system:kube-scheduler"],
  ["controller-manager", "CN=system:kube-controller-manager"],
])("the kubeconfig of %s is %j, by the cluster's CA, and knows every server", async (name, subject) => {
  const dir = newDir();
  await initPki(dir, options);
  const config = readKubeconfig(join(dir, `${name}.kubeconfig`)) ?? {};
  const { connection } = resolveContext(config);
  expect(connection).toMatchObject({ server: "https://api1:6443", ca: readFileSync(join(dir, "ca.crt"), "utf8") });
  expect(new X509Certificate(connection.cert ?? "").subject).toBe(subject);
  expect(JSON.stringify(config.clusters)).toContain('"mini-kube.io/servers":["https://10.0.0.2:6443"]');
});

test("a second time changes nothing; near their end leaves are renewed, and neither CA nor keys of data are", async () => {
  const dir = newDir();
  const later = new FakeClock();
  await initPki(dir, { ...options, clock: later });
  expect(await initPki(dir, { ...options, clock: later })).toEqual([]);
  await later.advance(330 * DAY);
  const renewed = await initPki(dir, { ...options, clock: later });
  expect(renewed).toEqual(
    expect.arrayContaining(["admin.crt", "admin.kubeconfig", "etcd/etcd1.crt", "etcd/client.key"]),
  );
  expect(renewed.filter((f) => /ca\.(crt|key)|service-account|encryption/.test(f))).toEqual([]);
});

describe("renewed by who has nothing but the directory", () => {
  test("as by pki init: names and servers are as they were", async () => {
    const dir = newDir();
    const later = new FakeClock();
    await initPki(dir, { ...options, clock: later });
    expect(await renewPki(dir, later)).toEqual([]);
    await later.advance(330 * DAY);
    const before = cert(dir, "etcd/etcd1.crt");
    expect(await renewPki(dir, later)).toEqual(
      expect.arrayContaining(["admin.kubeconfig", "scheduler.kubeconfig", "etcd/etcd1.crt", "etcd/client.crt"]),
    );
    const after = cert(dir, "etcd/etcd1.crt");
    expect([after.subjectAltName, after.serialNumber === before.serialNumber]).toEqual([before.subjectAltName, false]);
    expect(await renewPki(dir, later)).toEqual([]);
  });

  test("etcd's stay as they are where the key of their authority is not", async () => {
    const dir = newDir();
    const later = new FakeClock();
    await initPki(dir, { ...options, clock: later });
    const wanted = readFileSync(join(dir, "pki.json"), "utf8");
    rmSync(join(dir, "etcd/ca.key"));
    await later.advance(330 * DAY);
    const renewed = await renewPki(dir, later);
    expect(renewed).toContain("admin.crt");
    expect(renewed.filter((f) => f.startsWith("etcd/"))).toEqual([]);
    // For who has the key.
    expect(readFileSync(join(dir, "pki.json"), "utf8")).toBe(wanted);
  });

  test("who runs init again without naming etcd's members has not taken them out", async () => {
    const dir = newDir();
    const later = new FakeClock();
    await initPki(dir, { ...options, clock: later });
    await later.advance(330 * DAY);
    const { etcd: _, ...api } = options;
    expect(await initPki(dir, { ...api, clock: later })).toContain("etcd/etcd1.crt");
  });

  test("one at a time, and who was killed meanwhile does not keep others from it for ever", async () => {
    const dir = newDir();
    await initPki(dir, { ...options, clock: systemClock });
    const near = { now: () => systemClock.now() + 330 * DAY };
    const [one, other] = await Promise.all([renewPki(dir, near), renewPki(dir, near)]);
    expect([one, other].filter((renewed) => renewed.length > 0)).toHaveLength(1);
    mkdirSync(join(dir, "renewing"));
    expect(await renewPki(dir, { now: () => systemClock.now() })).toEqual([]);
    expect(readdirSync(dir)).toContain("renewing");
    expect(await renewPki(dir, { now: () => systemClock.now() + 700 * DAY })).toContain("admin.crt");
    expect(readdirSync(dir)).not.toContain("renewing");
  });

  test("a directory that pki init did not make is left alone", async () => {
    expect(await renewPki(newDir(), clock)).toEqual([]);
  });
});
