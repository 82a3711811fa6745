/**
 * A few of the faults of docs/faults.md, once each: whoever changes what they rest on hears of it here. The rest is
 * `npm run test:faults`.
 */
import { expect, test } from "@jest/globals";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inOwnNetwork } from "../../cmd/dev/own-network.mjs";
import type { Trial } from "../faults/trial.ts";
import { root } from "../harness/cluster.ts";
import { run } from "../harness/process.ts";

const FAULTS = ["kill-controllers", "kill-etcd-leader", "partition-api-server"];
/** Of all trials together: each starts a cluster of three machines, and takes it away. */
const LIMIT_MS = 600_000;

test(
  `${FAULTS.join(", ")}: no write lost, reads linearizable, watches complete, one leader, nothing left behind`,
  async () => {
    const dir = mkdtempSync(join(tmpdir(), "mk-faults-"));
    try {
      const json = join(dir, "trials.json");
      const main = ["--import", "tsx", join(root, "test/faults/main.ts")];
      const [command = "", ...args] = inOwnNetwork([...main, "--trials", "1", "--json", json, ...FAULTS]);
      const done = await run(command, args, { cwd: root, deadline: LIMIT_MS });
      expect(`${done.code} ${done.stdout}${done.stderr}`).toMatch(/^0 /);
      const { trials, left } = JSON.parse(readFileSync(json, "utf8")) as { trials: Trial[]; left: string[] };
      expect(trials.map((t) => [t.fault, t.problems])).toEqual(FAULTS.map((fault) => [fault, []]));
      expect(left).toEqual([]);
      // That something was judged: calls through every server, and the fault was felt.
      expect(Math.min(...trials.map((t) => t.calls.ok))).toBeGreaterThan(100);
      expect(trials.some((t) => t.calls.unknown > 0)).toBe(true);
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  },
  LIMIT_MS,
);
