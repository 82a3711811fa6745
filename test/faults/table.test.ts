import { expect, test } from "@jest/globals";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { faults } from "./faults.ts";
import { table, withTable } from "./table.ts";
import type { Trial } from "./trial.ts";

const page = readFileSync(join(import.meta.dirname, "../../docs/faults.md"), "utf8");
const trial = (fault: string, seed: number, o: Partial<Trial> = {}): Trial => ({
  fault,
  seed,
  detail: "node-1",
  problems: [],
  writePauseMs: 500,
  weakMs: 0,
  wholeMs: 1000 * seed,
  calls: { ok: 10, failed: 3, unknown: 2 },
  restarts: [],
  ...o,
});

test("a row a fault, with medians; what broke is not hidden among what held", () => {
  const lost = { problems: ["lost: register-1"], wholeMs: undefined };
  const rows = table([trial("kill-all", 1), trial("kill-all", 2), trial("kill-all", 3, lost)]).split("\n");
  expect(rows).toHaveLength(3);
  expect(rows[2]).toMatch(
    /^\| `kill-all` \| .* \| \*\*broke 1\/3\*\* \| 0\.5 s \| 0\.0 s \| 2\.0 s \| \d+ s \| 36 \|$/,
  );
});

test("a run takes the place of the one before, and the rest of the page stays", () => {
  const once = withTable(page, [trial("kill-all", 1, { problems: ["lost: register-1"] })], ["node-1: link: mk0"]);
  expect(once).toContain("- `SEED=1` `kill-all` (node-1): lost: register-1");
  expect(once).toContain("- node-1: link: mk0");
  const again = withTable(once, [trial("kill-node", 2)], []);
  expect(again).not.toContain("register-1");
  expect(again).toContain("nothing was left");
  expect(again.split("<!--")[0]).toBe(page.split("<!--")[0]);
});

test("every fault has a name of its own, and ends", () => {
  expect(new Set(faults.map((f) => f.name)).size).toBe(faults.length);
  expect(faults.filter(({ hold: [least, most] }) => least > most)).toEqual([]);
});

test("the page has a row for every fault", () => {
  const names = [...page.matchAll(/^\| `([a-z-]+)`/gm)].map((m) => m[1]);
  expect(names).toEqual(faults.map((f) => f.name));
});
