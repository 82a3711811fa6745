import { afterAll, expect, test } from "@jest/globals";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readIfThere, replaceFile } from "./files.ts";

const dir = mkdtempSync(join(tmpdir(), "mk-files-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

test("a file is replaced whole, with its mode, and nothing is left beside it", async () => {
  const file = join(dir, "key");
  expect(await readIfThere(file)).toBeUndefined();
  await replaceFile(file, "one", 0o600);
  await replaceFile(file, "two", 0o600);
  expect([readFileSync(file, "utf8"), statSync(file).mode & 0o777]).toEqual(["two", 0o600]);
  expect(readdirSync(dir)).toEqual(["key"]);
});

test("also when it cannot be", async () => {
  mkdirSync(join(dir, "taken", "by"), { recursive: true });
  await expect(replaceFile(join(dir, "taken"), "text", 0o600)).rejects.toThrow("EISDIR");
  expect(readdirSync(dir)).toEqual(["key", "taken"]);
});
