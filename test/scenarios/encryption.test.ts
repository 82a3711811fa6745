import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { readEncryptionConfig } from "../../pkg/apiserver/encryption/config.ts";
import { encryptionFile, TestCluster } from "../harness/cluster.ts";
import { ensureTestImages } from "../images/images.ts";

/** What is on the disk of a cluster that keeps Secrets, and how its keys are changed while it runs. */
const VALUE = "correct-horse-battery-staple";
let cluster: TestCluster;

beforeAll(async () => {
  await ensureTestImages();
  cluster = await TestCluster.start();
});
afterAll(() => cluster?.remove());

const keysFile = () => readFileSync(encryptionFile(cluster.home), "utf8");
const keyNames = () =>
  readEncryptionConfig(keysFile()).rules.flatMap(({ providers }) =>
    providers.flatMap((p) => (p.type === "aesgcm" ? p.keys.map((k) => k.name) : [])),
  );

/** In whatever the cluster keeps of its objects. */
function onDisk(text: string): boolean {
  const dir = join(cluster.home, "data");
  const files = readdirSync(dir, { recursive: true, encoding: "utf8" }).map((f) => join(dir, f));
  return files.some((f) => statSync(f).isFile() && readFileSync(f).includes(text));
}

const secret = async () =>
  Buffer.from(await cluster.kubectlOk(["get", "secret", "s", "-o", "jsonpath={.data.password}"]), "base64").toString();

test("a Secret is nowhere on the disk as it is; other objects are", async () => {
  await cluster.kubectlOk(["create", "secret", "generic", "s", `--from-literal=password=${VALUE}`]);
  await cluster.kubectlOk(["create", "configmap", "c", "--from-literal=plain=as-everybody-may-read"]);
  expect(await secret()).toBe(VALUE);
  const base64 = Buffer.from(VALUE).toString("base64");
  expect([onDisk("as-everybody-may-read"), onDisk(VALUE), onDisk(base64)]).toEqual([true, false, false]);
});

test("rotate: the old key is gone, and everything is read by the new one, also after a crash", async () => {
  const before = keyNames();
  const said = await cluster.cliOk(["encryption", "rotate"]);
  expect(said.split("\n").map((line) => line.split(":")[0])).toEqual(["add", "promote", "rewrite", "drop", ""]);
  expect(before.length).toBeGreaterThan(0);
  expect(keyNames()).toHaveLength(before.length);
  expect(keyNames().filter((name) => before.includes(name))).toEqual([]);
  expect(await secret()).toBe(VALUE);
  await cluster.kill9();
  await cluster.up();
  expect(await secret()).toBe(VALUE);
});
