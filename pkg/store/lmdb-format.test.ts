import { expect, test } from "@jest/globals";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { open } from "lmdb";
import { upgradeFormat } from "./lmdb-format.ts";
import { encodeRevision } from "./record-codec.ts";

test("a commit of an upgrade says how much it writes, so that room is had for it", async () => {
  const dir = mkdtempSync(join(tmpdir(), "mini-kube-lmdb-format-"));
  const root = open<Buffer, string>({ path: dir, noSubdir: false, maxDbs: 4 });
  const meta = root.openDB<string, string>({ name: "meta", encoding: "string" });
  const records = root.openDB<Buffer, Buffer>({ name: "records", encoding: "binary", keyEncoding: "binary" });
  const [count, recordBytes, checksumBytes] = [1500, 5000, 4];
  root.transactionSync(() => {
    void meta.put("format", "1");
    for (let i = 1; i <= count; i++) void records.put(encodeRevision(BigInt(i)), Buffer.alloc(recordBytes, i));
  });
  const said: number[] = [];
  await upgradeFormat({ meta, records }, async (bytes, write) => {
    said.push(bytes);
    await root.batch(write);
  });
  const each = recordBytes + checksumBytes;
  expect(said.reduce((a, b) => a + b)).toBe(count * each);
  expect(Math.max(...said)).toBeLessThan(4 * 1024 * 1024 + each);
  expect([...records.getRange({})].every(({ value }) => value.length === each)).toBe(true);
  await root.close();
  rmSync(dir, { recursive: true, force: true });
});
