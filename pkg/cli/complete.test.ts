import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Writable } from "node:stream";
import { singleKubeconfig, writeKubeconfig } from "../client/kubeconfig.ts";
import { FakeClock } from "../util/fake-clock.ts";
import { runCli } from "./program.ts";

let server: Server;
let home: string;
let asked: Promise<void>;

beforeEach(async () => {
  let onAsked: () => void = () => {};
  asked = new Promise((resolve) => (onAsked = resolve));
  // Takes every request and answers none.
  server = createServer(() => onAsked());
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  home = mkdtempSync(join(tmpdir(), "mini-kube-cli-"));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  writeKubeconfig(join(home, "kubeconfig"), singleKubeconfig("test", { server: url }));
});
afterEach(async () => {
  const closed = new Promise((done) => server.close(done));
  server.closeAllConnections();
  await closed;
  rmSync(home, { recursive: true, force: true });
});

test("a server that does not answer costs the shell one second and no error", async () => {
  const clock = new FakeClock();
  let text = "";
  const sink = () =>
    new Writable({
      write(chunk: Buffer, _encoding, done) {
        text += chunk.toString();
        done();
      },
    });
  const io = {
    stdin: new PassThrough(),
    stdout: sink(),
    stderr: sink(),
    env: { MINI_KUBE_HOME: home },
    userHome: home,
    clock,
    signal: new AbortController().signal,
  };
  const code = runCli(["__complete", "--", "get", "pod", ""], { io });
  await asked;
  await clock.advance(1000);
  expect(await code).toBe(0);
  expect(text).toBe("");
  expect(clock.pending).toBe(0);
});
