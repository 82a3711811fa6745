import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { diffRulesets, EMPTY_RULESET, mergeRulesets, renderRuleset } from "../../pkg/network/nft/ruleset.ts";
import { planPolicies } from "../../pkg/network/policy/plan.ts";
import { world } from "../../pkg/network/policy/testing/worlds.ts";
import { run } from "../harness/process.ts";

/** The kernel is the judge of whether rules are rules; in a network namespace of its own. */
const STEPS = 60;
let dir: string;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "mk-nft-"));
});
afterAll(() => rmSync(dir, { recursive: true }));

test("the kernel takes every table that policies make, and every step from one to the next", async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const tables = fc.sample(world, { numRuns: STEPS, seed }).map((w) => mergeRulesets([EMPTY_RULESET, planPolicies(w)]));
  for (const [i, next] of tables.entries()) {
    const before = tables[i - 1];
    const commands = before ? diffRulesets("t", before, next) : renderRuleset("t", next);
    writeFileSync(join(dir, `${String(i).padStart(3, "0")}.nft`), commands);
  }
  // What has grown by steps is what is made at once.
  writeFileSync(join(dir, "whole.nft"), renderRuleset("t", tables.at(-1) ?? EMPTY_RULESET));
  const script = [
    `for f in ${dir}/0*.nft; do nft -f $f || { echo "step $f"; cat $f; exit 1; }; done`,
    `nft list table ip t | sort > ${dir}/grown; nft -f ${dir}/whole.nft; nft list table ip t | sort > ${dir}/made`,
    `diff ${dir}/grown ${dir}/made`,
  ].join("\n");
  const done = await run("unshare", ["--net", "sh", "-ec", script]);
  expect({ seed, ...done }).toMatchObject({ seed, code: 0, stdout: "" });
});
