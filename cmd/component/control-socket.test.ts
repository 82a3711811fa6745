import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { askSocket, serveSocket } from "./control-socket.ts";

let dir: string;
let path: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "mk-socket-"));
  path = join(dir, "control.sock");
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

test("nobody there is no error, whatever is left of who was there", async () => {
  expect(await askSocket(path, "/status")).toBeUndefined();
  const served = await serveSocket(path, { "/status": async () => "well" });
  expect(await askSocket(path, "/status")).toBe("well");
  served.close();
  expect(await askSocket(path, "/status")).toBeUndefined();
  writeFileSync(path, "");
  expect(await askSocket(path, "/status")).toBeUndefined();
  const again = await serveSocket(path, { "/status": async () => "again" });
  expect(await askSocket(path, "/status")).toBe("again");
  again.close();
});

test("nobody is there who ends instead of an answer", async () => {
  const server = createServer((socket) => socket.on("data", () => socket.destroy()));
  await new Promise<void>((done) => server.listen(path, done));
  expect(await askSocket(path, "/status")).toBeUndefined();
  server.close();
});

test("a question is told its answer, or what is wrong with it", async () => {
  const served = await serveSocket(path, {
    "/nothing": async () => undefined,
    // Not async: it throws at once.
    "/twice": (asked) => Promise.resolve((asked as { n: number }).n * 2),
    "/broken": () => Promise.reject(new Error("it is broken")),
    "/silent": () => new Promise(() => {}),
  });
  expect(await askSocket(path, "/nothing")).toBeNull();
  expect(await askSocket(path, "/twice", { body: { n: 21 } })).toBe(42);
  await expect(askSocket(path, "/broken")).rejects.toThrow("it is broken");
  await expect(askSocket(path, "/twice")).rejects.toThrow("reading 'n'");
  await expect(askSocket(path, "/other")).rejects.toThrow("nothing is known of /other");
  await expect(askSocket(path, "/silent", { deadlineMs: 50 })).rejects.toThrow("did not answer within 50 ms");
  served.close();
});
