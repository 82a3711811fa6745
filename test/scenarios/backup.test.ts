import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Deployment } from "../../pkg/api/generated/types.ts";
import { deployments } from "../../pkg/api/kinds/apps/deployment.ts";
import { configMaps } from "../../pkg/api/kinds/core/configmap.ts";
import { pods } from "../../pkg/api/kinds/core/pod.ts";
import { secrets } from "../../pkg/api/kinds/core/secret.ts";
import { nameOf } from "../../pkg/api/object.ts";
import { ready, TestCluster } from "../harness/cluster.ts";
import { EtcdServer } from "../harness/etcd.ts";
import { ensureTestImages } from "../images/images.ts";

/** A cluster is saved while it runs, lost, and brought back: with its containers where they still run, from LMDB to etcd and back. */
const dir = mkdtempSync(join(tmpdir(), "mini-kube-backup-"));
const file = join(dir, "cluster.backup");
let cluster: TestCluster;

beforeAll(async () => {
  await ensureTestImages();
  // Its own, for while it is down nobody holds the range that another cluster would choose next.
  cluster = await TestCluster.start({ args: ["--pod-cidr", "10.213.0.0/16"] });
  const labels = { app: "web" };
  const containers = [{ name: "main", image: "busybox:1.36", command: ["sleep", "3600"] }];
  const template = { metadata: { labels }, spec: { containers, terminationGracePeriodSeconds: 0 } };
  await cluster.client.resource<Deployment>(deployments, "default").create({
    metadata: { name: "web", namespace: "default" },
    spec: { replicas: 2, selector: { matchLabels: labels }, template },
  });
  await cluster.client.resource(secrets, "default").create({
    metadata: { name: "word", namespace: "default" },
    data: { word: Buffer.from("of honour").toString("base64") },
  });
  await untilAvailable();
  await cluster.cliOk(["backup", file]);
});
afterAll(async () => {
  await cluster?.remove();
  rmSync(dir, { recursive: true, force: true });
});

async function untilAvailable(on = cluster): Promise<string[]> {
  const done = (d: { status?: { readonly availableReplicas?: number } }) => d.status?.availableReplicas === 2;
  await on.until(on.client.resource<Deployment>(deployments, "default"), { name: "web", done });
  const found = (await on.client.resource(pods, "default").list({ labelSelector: "app=web" })).items;
  await Promise.all(found.map((pod) => on.untilPod(nameOf(pod), ready)));
  return found.map(nameOf).toSorted();
}

/** What users have made, as it is now. */
async function objects(on = cluster) {
  const deployment = await on.client.resource<Deployment>(deployments, "default").get("web");
  const { data } = await on.client.resource(secrets, "default").get("word");
  return { uid: deployment.metadata.uid, spec: deployment.spec, data, pods: await untilAvailable(on) };
}

const idsOf = async () =>
  (await cluster.client.resource(pods, "default").list({ labelSelector: "app=web" })).items.map(
    (pod) => [nameOf(pod), pod.status?.containerStatuses?.[0]?.containerID] as const,
  );

/** Containers that were not there before: what the store says of the old ones is not believed. */
async function untilAnew(before: Awaited<ReturnType<typeof idsOf>>): Promise<void> {
  const old = new Set(before.map(([, id]) => id));
  const anew = (id: string | undefined) => id !== undefined && !old.has(id);
  await Promise.all(
    before.map(([name]) =>
      cluster.untilPod(name, (p) => ready(p) && anew(p.status?.containerStatuses?.[0]?.containerID)),
    ),
  );
}

const running = async () => (await cluster.containers("status=running")).toSorted();
const revision = async () =>
  BigInt((await cluster.client.resource(configMaps, "default").list()).metadata.resourceVersion ?? "0");

describe("mini-kube backup and restore", () => {
  test("a killed cluster is set back to its backup: what was made since is gone, and what runs is adopted", async () => {
    const [before, containers, told] = [await objects(), await running(), await revision()];
    await cluster.client.resource(configMaps, "default").create({ metadata: { name: "since", namespace: "default" } });
    const { code, stderr } = await cluster.cli(["restore", file, "--force"]);
    expect([code, stderr]).toEqual([1, expect.stringContaining("is running: stop it first, with mini-kube down")]);
    await cluster.kill9();
    const refused = await cluster.cli(["restore", file]);
    expect([refused.code, refused.stderr]).toEqual([
      1,
      expect.stringMatching(/the store is not empty \(\d+ records\)/),
    ]);
    expect(await cluster.cliOk(["restore", file, "--force"])).toMatch(
      /^restored \d+ records of .*; revisions go on at \d+$/m,
    );
    await cluster.up();
    expect(await objects()).toEqual(before);
    expect(await running()).toEqual(containers);
    expect(await revision()).toBeGreaterThan(told);
    const { items } = await cluster.client.resource(configMaps, "default").list();
    expect(items.map(nameOf)).not.toContain("since");
  });

  test("a file that is cut short, or none of ours, is refused; the store stays as it is", async () => {
    await cluster.interrupt();
    const data = readFileSync(file);
    const broken = join(dir, "broken");
    for (const [bytes, says] of [
      [data.subarray(0, data.length / 2), "is cut short"],
      [Buffer.from("hello\n"), "is no backup that mini-kube wrote"],
    ] as const) {
      writeFileSync(broken, bytes);
      const { code, stderr } = await cluster.cli(["restore", broken, "--force"]);
      expect([code, stderr]).toEqual([1, expect.stringContaining(`${broken} ${says}`)]);
    }
    await cluster.up();
    expect((await objects()).pods).toHaveLength(2);
  });

  test("LMDB → etcd → LMDB: the cluster moves with all it has, and revisions never go back", async () => {
    const [before, told] = [await objects(), await revision()];
    const etcd = await EtcdServer.start();
    const moved = join(dir, "moved.backup");
    try {
      await cluster.cliOk(["backup", moved]);
      await cluster.interrupt();
      await cluster.cliOk(["restore", moved, "--store", etcd.store]);
      await cluster.up(["--store", etcd.store]);
      expect(await objects()).toEqual(before);
      const there = await revision();
      expect(there).toBeGreaterThan(told);
      await cluster.cliOk(["backup", moved]);
      await cluster.interrupt();
      await cluster.cliOk(["restore", moved, "--force"]);
      await cluster.up();
      expect(await objects()).toEqual(before);
      expect(await revision()).toBeGreaterThan(there);
    } finally {
      await etcd.stop();
    }
  });

  test("nothing is left but a file with the keys: the same cluster again, with its CA and its Secrets", async () => {
    const [before, ids] = [await objects(), await idsOf()];
    const ca = readFileSync(join(cluster.home, "pki/ca.crt"), "utf8");
    const whole = join(dir, "whole.backup");
    await cluster.cliOk(["backup", whole, "--with-keys"]);
    await cluster.cliOk(["down", "--purge"]);
    expect(await cluster.cliOk(["restore", whole])).toMatch(/^restored/);
    await cluster.up();
    await untilAnew(ids);
    expect(await objects()).toEqual(before);
    expect(readFileSync(join(cluster.home, "pki/ca.crt"), "utf8")).toBe(ca);
  });
});
