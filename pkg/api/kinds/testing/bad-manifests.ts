/** Tables of bad manifests: what a client is told must not change unnoticed. */
import { expect, test } from "@jest/globals";
import type { ApiObject } from "../../object.ts";
import { applyMergePatch } from "../../patch/merge-patch.ts";
import type { ResourceDef } from "../../resource.ts";
import { resources } from "../../table.ts";
import { complaints, created } from "./writes.ts";

/** Changes the good manifest of its kind, as a merge patch would. The lines are exactly those that clients print. */
export type Row = readonly [kind: string, change: object, ...lines: string[]];

export const NEGATIVE = "Invalid value: -1: must be greater than or equal to 0";
export const NOT_A_PERCENTAGE =
  "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";
export const MISMATCH = "`selector` does not match template `labels`";

export const spec = (s: object) => ({ spec: s });
export const podSpec = (s: object) => spec({ template: { spec: s } });

export function both(a: object, b: object): object {
  return applyMergePatch(a, b) as object;
}

/** Tests that each kind's manifest is good, and what each row is told. */
export function testBadManifests(good: Readonly<Record<string, object>>, rows: readonly Row[]): void {
  const manifest = (kind: string) => ({ metadata: { name: "x" }, ...good[kind] });
  test.each(Object.keys(good))("the %s that the rows change is good", (kind) => {
    expect(told(kind, manifest(kind))).toEqual([]);
  });
  const cases = rows.map(([kind, change, ...lines]) => [kind, change, lines] as const);
  test.each(cases)("%s %j", (kind, change, lines) => {
    expect(told(kind, both(manifest(kind), change))).toEqual(lines);
  });
}

function told(kind: string, manifest: unknown): string[] {
  // Views have no rules of their own.
  const def = resources.find((d) => d.kind === kind && !d.view) as ResourceDef | undefined;
  if (!def) throw new Error(`no kind ${kind}`);
  return complaints<ApiObject>(def, created(def, manifest));
}
