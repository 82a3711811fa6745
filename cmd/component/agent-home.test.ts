import { afterAll, expect, test } from "@jest/globals";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writePair } from "../../pkg/agent/certificates/files.ts";
import { systemClock } from "../../pkg/util/clock.ts";
import { createCa, issueCert } from "../../pkg/util/pki.ts";
import { certificatesDir, certifiedName } from "./agent-home.ts";

const dir = mkdtempSync(join(tmpdir(), "mk-agent-home-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

test("whose agent does not run is known by its certificate", async () => {
  expect(await certifiedName(dir)).toBeUndefined();
  const now = systemClock.now();
  const request = { commonName: "system:node:worker-3", usages: ["client" as const] };
  await writePair(certificatesDir(dir), "client", await issueCert(await createCa("ca", now), request, now));
  expect(await certifiedName(dir)).toBe("worker-3");
});
