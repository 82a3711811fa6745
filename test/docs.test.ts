import { describe, expect, test } from "@jest/globals";
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { NOT_HONOURED, notHonoured, resourceName } from "../pkg/api/not-honoured.ts";
import type { ResourceDef } from "../pkg/api/resource.ts";
import { resources } from "../pkg/api/table.ts";
import { podFields, withTables } from "./docs/api-tables.ts";

/** What the documentation says of the tests is true. */
const root = resolve(import.meta.dirname, "..");
/** Pages whose every item is a promise, and how many there are at least. */
const pages: readonly (readonly [page: string, items: number])[] = [
  ["docs/wire.md", 50],
  ["docs/security.md", 15],
];

/** `[name](path.test.ts) “title”, “title”`: each title with the last file named before it, across the lines of an item. */
function citations(markdown: string): { file: string; title: string }[] {
  const found: { file: string; title: string }[] = [];
  for (const item of markdown.split(/^- \[/m).slice(1)) {
    let file = "";
    for (const [, path, title] of item.replace(/\s+/g, " ").matchAll(/\]\(([^)]+\.test\.ts)\)|“([^”]+)”/g)) {
      if (path !== undefined) file = resolve(root, "docs", path);
      else if (title !== undefined) found.push({ file, title });
    }
  }
  return found;
}

describe.each(pages)("%s", (page, least) => {
  const markdown = readFileSync(join(root, page), "utf8");
  const cited = citations(markdown);

  test("every item is ticked by a test", () => {
    // What it does not promise has no box.
    const [promised = ""] = markdown.split("## What does not hold");
    const items = promised.split(/^- /m).slice(1);
    expect(items.length).toBeGreaterThan(least);
    expect(items.filter((item) => !item.startsWith("[x] "))).toEqual([]);
    expect(items.filter((item) => citations(`- ${item}`).length === 0)).toEqual([]);
  });

  test.each(cited.map(({ file, title }) => [file.slice(root.length + 1), title] as const))(
    "%s has “%s”",
    (file, title) => {
      const path = join(root, file);
      expect(existsSync(path)).toBe(true);
      // As a test's or a group's name, plain or of a table.
      expect(readFileSync(path, "utf8").includes(`"${title}"`)).toBe(true);
    },
  );
});

describe("docs/api.md", () => {
  const markdown = readFileSync(join(root, "docs/api.md"), "utf8");

  test("says what the table of kinds says; npm run docs writes it anew", () => {
    expect(markdown).toBe(withTables(markdown, resources));
  });

  test("what it calls not honoured is a kind, and warned of", () => {
    const byName = new Map(resources.map((d) => [resourceName(d), d]));
    expect(Object.keys(NOT_HONOURED).filter((name) => !byName.has(name))).toEqual([]);
    const warnings = (name: string, object: object) =>
      notHonoured(byName.get(name) as ResourceDef, { metadata: {}, ...object });
    for (const [name, what] of Object.entries(NOT_HONOURED)) expect(warnings(name, {})[0]).toContain(what);
    const claims = [{ name: "gpu" }];
    const spec = { resourceClaims: claims, hostUsers: false, containers: [{ name: "c", resources: { claims } }] };
    expect(warnings("pods", { spec })).toEqual([
      "spec.resourceClaims: not supported yet, ignored",
      "spec.containers[0].resources.claims: not supported yet, ignored",
      "spec.hostUsers: not supported, the Pod will not start",
    ]);
    const template = { spec: { jobTemplate: { spec: { template: { spec } } } } };
    expect(warnings("cronjobs.batch", template).at(-1)).toBe(
      "spec.jobTemplate.spec.template.spec.hostUsers: not supported, the Pod will not start",
    );
    expect(podFields().length).toBeGreaterThan(20);
  });
});
