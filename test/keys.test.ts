import { expect, test } from "@jest/globals";
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";

/**
 * A table whose keys are any text is asked with `own()` or `has()` of pkg/util/keys.ts: with brackets it answers a
 * client's "constructor" with what every JavaScript object has. Read from the source text.
 */
const root = resolve(import.meta.dirname, "..");

const files = ["cmd", "pkg"]
  .flatMap((top) => readdirSync(join(root, top), { recursive: true, encoding: "utf8" }).map((f) => join(top, f)))
  .filter((f) => f.endsWith(".ts") && !/\.(test|d)\.ts$|\/(testdata|testing|generated)\//.test(f));
const sources = new Map(files.map((f) => [f, readFileSync(join(root, f), "utf8")]));

const TABLE = /^(export )?const (\w+): (?:Readonly|Partial)<Record<string, /gm;
const tablesIn = (text: string) => [...text.matchAll(TABLE)].map((m) => ({ name: m[2] ?? "", shared: Boolean(m[1]) }));
const shared = [...sources.values()].flatMap((text) => tablesIn(text).filter((t) => t.shared)).map((t) => t.name);

/** `TABLE[key]`, but not `TABLE["key"]`. */
function bare(file: string, text: string): string[] {
  const names = new Set([...shared, ...tablesIn(text).map((t) => t.name)]);
  return text
    .split("\n")
    .flatMap((line, i) =>
      [...line.matchAll(/\b(\w+)\[(?!["'\]])/g)]
        .filter((m) => names.has(m[1] ?? ""))
        .map((m) => `${file}:${i + 1} ${m[1]}`),
    );
}

test("no table with open keys is asked with brackets", () => {
  expect([...sources.values()].flatMap(tablesIn).length).toBeGreaterThan(50);
  expect([...sources].flatMap(([file, text]) => bare(file, text))).toEqual([]);
});
