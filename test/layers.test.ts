import { describe, expect, test } from "@jest/globals";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

/**
 * Who may import whom, checked against the tables of ARCHITECTURE.md ("Layers" and "Homes of libraries"), so that the
 * page cannot grow untrue. Imports are read from the source text: static, dynamic and type-only ones alike.
 */
const root = resolve(import.meta.dirname, "..");
const architecture = readFileSync(join(root, "ARCHITECTURE.md"), "utf8");

interface Import {
  readonly from: string;
  readonly to: string;
}

/** The rows of the markdown table below a heading, cells without backquotes. */
function tableBelow(heading: string): string[][] {
  const section = architecture.split(/^## /m).find((s) => s.startsWith(heading));
  if (!section) throw new Error(`ARCHITECTURE.md has no section "${heading}"`);
  const rows = section.split("\n").filter((line) => line.startsWith("|"));
  return rows.slice(2).map((row) =>
    row
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.replaceAll("`", "").trim()),
  );
}

const words = (cell: string) => cell.split(/[\s,]+/).filter((w) => w !== "" && w !== "nothing");

const allowed = new Map(
  tableBelow("Layers").flatMap(([layers = "", may = ""]) => words(layers).map((layer) => [layer, new Set(words(may))])),
);
const browserSafe = new Set(
  tableBelow("Layers").flatMap(([layers = "", , browser]) => (browser === "yes" ? words(layers) : [])),
);
const homes = new Map(tableBelow("Homes of libraries").map(([library = "", home = ""]) => [library, home]));

const files = ["cmd", "pkg"]
  .flatMap((top) => readdirSync(join(root, top), { recursive: true, encoding: "utf8" }).map((f) => join(top, f)))
  .filter((f) => f.endsWith(".ts") && !/\.(test|d)\.ts$|\/(testdata|testing)\//.test(f));

const importsOf = (file: string): Import[] =>
  [
    ...readFileSync(join(root, file), "utf8").matchAll(
      /^\s*(?:import|export)[^;"'`]*?\sfrom\s+"([^"]+)"|^import "([^"]+)"|\bimport\("([^"]+)"\)/gm,
    ),
  ].map((m) => ({ from: file, to: m[1] ?? m[2] ?? m[3] ?? "" }));
const all = files.flatMap(importsOf);

const local = (i: Import) => (i.to.startsWith(".") ? relative(root, resolve(root, dirname(i.from), i.to)) : undefined);
/** `pkg/store/lmdb.ts` → `store`, `cmd/…` → `cmd`. */
const layerOf = (file: string) => (file.startsWith("pkg/") ? (file.split("/")[1] ?? "") : (file.split("/")[0] ?? ""));

/** Suites that several test files share and helpers of theirs: no program imports them. */
const testOnly = (file: string) => /conformance|fake/.test(file);

/** The project's own files that each file imports. */
const importedBy = new Map<string, string[]>(files.map((f) => [f, []]));
for (const i of all) importedBy.get(i.from)?.push(...[local(i)].filter((f) => f !== undefined));

/** Files reachable from these by import, whatever the layer. */
function reach(start: readonly string[]): Set<string> {
  const seen = new Set<string>();
  const todo = [...start];
  for (let file = todo.pop(); file; file = todo.pop()) {
    if (seen.has(file)) continue;
    seen.add(file);
    todo.push(...(importedBy.get(file) ?? []));
  }
  return seen;
}

describe("layers", () => {
  test("the scan has seen the project", () => {
    expect(files.length).toBeGreaterThan(80);
    expect(all.length).toBeGreaterThan(300);
    expect(new Set(files.map(layerOf))).toEqual(new Set(allowed.keys()));
  });

  test("every import goes to an allowed layer", () => {
    const wrong = all.filter((i) => {
      const target = local(i);
      if (target === undefined) return false;
      const [from, to] = [layerOf(i.from), layerOf(target)];
      return from !== to && !allowed.get(from)?.has(to) && !allowed.get(from)?.has("everything");
    });
    expect(wrong).toEqual([]);
  });

  test("layers that run in a browser reach no node: module and no library that needs one", () => {
    const pure = files.filter((f) => browserSafe.has(layerOf(f)) && !testOnly(f));
    const reached = reach(pure);
    const wrong = all.filter((i) => reached.has(i.from) && !testOnly(i.from) && i.to.startsWith("node:"));
    expect(wrong).toEqual([]);
  });

  test("a library has one home", () => {
    const wrong = all.filter((i) => {
      const home = homes.get(i.to);
      return home !== undefined && !i.from.startsWith(home);
    });
    expect(wrong).toEqual([]);
    for (const [library] of homes) expect(all.map((i) => i.to)).toContain(library);
  });

  test("no file imports itself through others", () => {
    const cycles = files.filter((file) => {
      const next = all.filter((i) => i.from === file).map(local);
      return reach(next.filter((f) => f !== undefined)).has(file);
    });
    expect(cycles).toEqual([]);
  });

  test("environment, arguments and exit codes stay at the edge", () => {
    const wrong = files.filter(
      (f) =>
        f.startsWith("pkg/") &&
        !testOnly(f) &&
        /\bprocess\.(env|argv|exit|exitCode)\b/.test(readFileSync(join(root, f), "utf8")),
    );
    expect(wrong).toEqual([]);
  });
});
