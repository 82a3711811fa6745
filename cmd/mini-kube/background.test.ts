import { afterAll, expect, test } from "@jest/globals";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../pkg/util/clock.ts";
import { startInBackground } from "./background.ts";

const dir = mkdtempSync(join(tmpdir(), "mk-background-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function start(name: string, script: string, deadlineMs = 20_000) {
  const path = (ending: string) => join(dir, `${name}.${ending}`);
  const [file, log, done] = [path("mjs"), path("log"), path("done")];
  writeFileSync(file, script);
  // Of an earlier run, in letters of several bytes.
  writeFileSync(log, `error: “${"ä".repeat(200)}”\n`);
  const look = async () => (existsSync(done) ? "found" : undefined);
  const told = { what: name, command: [file, done], env: process.env, log };
  return startInBackground({ ...told, look, everyMs: 5, deadlineMs, clock: systemClock });
}

test("it is waited for until it is found", async () => {
  const script = 'import { writeFileSync } from "node:fs"; writeFileSync(process.argv[2], "");';
  expect(await start("well", script)).toBe("found");
});

test("what ends before is told in its own words of this time", async () => {
  const script = 'console.error(`{"level":30}\\nerror: the disk is full`); process.exitCode = 1;';
  await expect(start("broken", script)).rejects.toThrow(/^the broken did not start: the disk is full$/);
});

test("what takes too long is ended", async () => {
  await expect(start("slow", "setInterval(() => {}, 1000);", 50)).rejects.toThrow(
    /^the slow was not ready within 0.05 s; see .*slow\.log$/,
  );
});
