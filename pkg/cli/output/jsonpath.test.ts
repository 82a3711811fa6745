import { describe, expect, test } from "@jest/globals";
import { customRow, parseCustomColumns } from "./custom-columns.ts";
import { parsePath, parseTemplate } from "./jsonpath.ts";
import { sortBy } from "./sort.ts";

const list = {
  kind: "List",
  items: [
    { metadata: { name: "a", labels: { "x.io/y": "1" } }, n: 3, tags: ["p", "q", "r"], ready: true },
    { metadata: { name: "b", labels: {} }, n: 10, tags: [], ready: false },
  ],
};

// Each result was compared with kubectl 1.32's. One is ours: inside a range kubectl takes $ for the item.
describe("templates", () => {
  test.each([
    ["{.kind}", "List"],
    ["{.items[*].metadata.name}", "a b"],
    ["{.items[0].metadata.name}", "a"],
    ["{.items[-1].metadata.name}", "b"],
    ["{.items[0].tags[0:2]}", "p q"],
    ["{.items[0].tags[0,2]}", "p r"],
    ["{.items[0].tags[0:3:2]}", "p r"],
    ["{.items[0].tags[-1:]}", "r"],
    ["{.items[0].tags}", '["p","q","r"]'],
    ["{..name}", "a b"],
    ["{.items[*].n}", "3 10"],
    ['{range .items[*]}{.metadata.name}{"\\t"}{.n}{"\\n"}{end}', "a\t3\nb\t10\n"],
    ['{.items[?(@.metadata.name=="b")].n}', "10"],
    ["{.items[?(@.n>5)].metadata.name}", "b"],
    ["{.items[?(@.ready==true)].metadata.name}", "a"],
    ["{.items[?(@.metadata.labels.x\\.io/y)].metadata.name}", "a"],
    ["{.items[0].metadata.labels.x\\.io/y}", "1"],
    ["{.items[0].metadata.labels['x\\.io/y']}", "1"],
    ["{.items[*]['metadata.name','n']}", "a b 3 10"],
    ["{.items[0]['n']}", "3"],
    ["{.nothing.at.all}", ""],
    ["plain text {.kind}{'!'}", "plain text List!"],
    ["{$.kind} {@.kind}", "List List"],
    ["{range .items[*]}{$.kind}/{@.n} {end}", "List/3 List/10 "],
  ])("%s", (template, text) => {
    expect(parseTemplate(template).render(list)).toBe(text);
  });

  test.each([
    ["{.items[", "unclosed action"],
    ["{range .items[*]}x", "{range} without {end}"],
    ["{end}", "{end} without {range}"],
    ["{.items[?(@.n==]}", "unexpected"],
    ["{.a b}", 'unexpected "b" in .a b'],
  ])("%s is refused", (template, why) => {
    expect(() => parseTemplate(template)).toThrow(why);
  });
});

describe("what stands on paths", () => {
  test("with or without braces and first dot", () => {
    for (const path of ["{.items[0].n}", ".items[0].n", "items[0].n"]) expect(parsePath(path)(list)).toEqual([3]);
  });

  test("custom columns: several values, none, commas inside brackets", () => {
    const columns = parseCustomColumns("NAME:.metadata.name,TAGS:.tags[*],X:.x,PAIR:.tags[0,1]");
    expect(columns.map((c) => c.header)).toEqual(["NAME", "TAGS", "X", "PAIR"]);
    const [object] = list.items;
    expect(customRow(columns, object as never)).toEqual(["a", "p,q,r", "<none>", "p,q"]);
    expect(() => parseCustomColumns("NAME")).toThrow("expected <header>:<json-path-expr>");
  });

  test("sorting: numbers by value, quantities by amount, what is missing first", () => {
    const of = (...values: unknown[]) =>
      sortBy(
        values.map((v) => ({ v })),
        ".v",
        (x) => x,
      ).map((x) => x.v);
    expect(of(10, 9, 100)).toEqual([9, 10, 100]);
    expect(of("1Gi", "500Mi", "2Ki")).toEqual(["2Ki", "500Mi", "1Gi"]);
    expect(of("b", undefined, "a")).toEqual([undefined, "a", "b"]);
  });
});
