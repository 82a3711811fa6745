import { afterEach, describe, expect, test } from "@jest/globals";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import https from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { systemClock } from "./clock.ts";
import { FakeClock } from "./fake-clock.ts";
import { ensurePki } from "./pki.ts";

const DAY = 24 * 60 * 60 * 1000;
const server = {
  commonName: "kube-apiserver",
  dnsNames: ["localhost"],
  ips: ["127.0.0.1"],
  usages: ["server"] as const,
};
const admin = { commonName: "admin", organizations: ["system:masters", "dev"], usages: ["client"] as const };
const dirs: string[] = [];
const newDir = () => {
  const dir = mkdtempSync(join(tmpdir(), "mk-pki-"));
  dirs.push(dir);
  return dir;
};
afterEach(() => {
  for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true, force: true });
});

describe("pki", () => {
  test("a server and a client recognise each other by the CA, and the server learns user and groups", async () => {
    const { caCert, certs } = await ensurePki(newDir(), { server, admin }, systemClock);
    const listener = https.createServer({ ...certs.server, ca: caCert, requestCert: true }, (request, response) => {
      const { subject } = (request.socket as TLSSocket).getPeerCertificate();
      response.end(JSON.stringify(subject));
    });
    await new Promise<void>((done) => listener.listen(0, "127.0.0.1", done));
    const address = listener.address();
    const port = typeof address === "object" ? address?.port : undefined;
    const body = await new Promise<string>((done, fail) => {
      const get = https.get({ host: "127.0.0.1", port, ca: caCert, ...certs.admin, agent: false }, (response) => {
        let text = "";
        response.on("data", (d: Buffer) => (text += d.toString())).on("end", () => done(text));
      });
      get.on("error", fail);
    });
    listener.close();
    expect(JSON.parse(body)).toEqual({ O: ["system:masters", "dev"], CN: "admin" });
  });

  test("what is there and good is kept; private keys are the owner's alone", async () => {
    const dir = newDir();
    const clock = new FakeClock();
    const first = await ensurePki(dir, { server, admin }, clock);
    const second = await ensurePki(dir, { server, admin }, clock);
    expect(second).toEqual(first);
    expect(statSync(join(dir, "ca.key")).mode & 0o777).toBe(0o600);
    expect(readdirSync(dir).filter((f) => f.endsWith(".tmp"))).toEqual([]);
  });

  test("a leaf near its end is renewed under the same CA", async () => {
    const dir = newDir();
    const clock = new FakeClock();
    const first = await ensurePki(dir, { server }, clock);
    await clock.advance(320 * DAY);
    const second = await ensurePki(dir, { server }, clock);
    expect(second.caCert).toBe(first.caCert);
    expect(Date.parse(new X509Certificate(second.certs.server.cert).validTo)).toBeGreaterThan(clock.now() + 300 * DAY);
  });

  test.each([
    ["a new address", { ...server, ips: ["127.0.0.1", "10.0.0.1"] }],
    ["another name", { ...server, commonName: "other" }],
  ])("a leaf that lacks %s is issued anew", async (_, wanted) => {
    const dir = newDir();
    const clock = new FakeClock();
    const first = await ensurePki(dir, { server }, clock);
    const second = await ensurePki(dir, { server: wanted }, clock);
    expect(second.certs.server.cert).not.toBe(first.certs.server.cert);
    expect(await ensurePki(dir, { server: wanted }, clock)).toEqual(second);
  });

  test("a certificate that does not fit its key, as after a crash between the two files, is issued anew", async () => {
    const dir = newDir();
    const clock = new FakeClock();
    const first = await ensurePki(dir, { server, admin }, clock);
    writeFileSync(join(dir, "server.key"), first.certs.admin.key);
    const second = await ensurePki(dir, { server, admin }, clock);
    expect(second.certs.server).not.toEqual(first.certs.server);
    expect(second.certs.admin).toEqual(first.certs.admin);
  });
});
