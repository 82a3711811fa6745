import { describe, expect, test } from "@jest/globals";
import { MAX_DOCUMENT_BYTES, YamlError, lineOfPath, parseYamlDocuments, toYaml } from "./yaml.ts";

const values = (text: string) => parseYamlDocuments(text, "t.yaml").map((d) => d.value);

function failure(text: string): YamlError {
  try {
    parseYamlDocuments(text, "pod.yaml");
  } catch (error) {
    if (error instanceof YamlError) return error;
    throw error;
  }
  throw new Error("it was parsed");
}

describe("reading", () => {
  test("documents are counted as a person counts them, empty ones are left out", () => {
    const documents = parseYamlDocuments("# head\n---\na: 1\n---\n---\n# only a comment\n---\n\nb: 2\n", "t.yaml");
    expect(documents.map((d) => [d.document, d.line, d.value])).toEqual([
      [1, 3, { a: 1 }],
      [4, 9, { b: 2 }],
    ]);
  });

  test.each([
    ["0644", 420],
    ["yes", true],
    ["Off", false],
    ['"yes"', "yes"],
    ["y", "y"],
    ["8080:80", "8080:80"],
    ["2026-01-01", "2026-01-01"],
    ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"],
    ["089", 89],
    ["1e3", 1000],
    ["~", null],
    ["-0x1F", -31],
  ])("%s is what go-yaml makes of it", (text, value) => {
    expect(values(`v: ${text}\n`)).toEqual([{ v: value }]);
  });

  test("JSON is YAML, tabs and all; anchors and merge keys work", () => {
    expect(values('{\n\t"a": [1, "b"]\n}\n')).toEqual([{ a: [1, "b"] }]);
    expect(values("x: &x {a: 1}\ny:\n  <<: *x\n  b: 2\n")).toEqual([{ x: { a: 1 }, y: { a: 1, b: 2 } }]);
  });

  test("an error says source, document, line, column and shows the line", () => {
    const error = failure("a: 1\n---\nkind: Pod\nspec: [1\nx: 2\n");
    expect(error).toMatchObject({ source: "pod.yaml", document: 2, line: 5, column: 1 });
    expect(error.message).toMatch(/^pod\.yaml: document 2, line 5, column 1: .*\n {2}5 \| x: 2$/);
  });

  test("a key given twice is an error", () => {
    expect(failure("a: 1\nb: 2\na: 3\n").message).toContain("line 3, column 1: duplicated mapping key");
  });

  test("a document too large for the API server is refused unparsed", () => {
    const error = failure(`a: 1\n---\nb: "${"x".repeat(10 * 1024 * 1024)}"\n`);
    expect(error.message).toBe(
      "pod.yaml: document 2, line 3: the manifest is 10.0 MB large; the API server takes at most 3 MB",
    );
    expect(MAX_DOCUMENT_BYTES).toBe(3 * 1024 * 1024);
  });
});

describe("finding a field's line", () => {
  const text = "kind: Pod\n---\nkind: Pod\nspec:\n  containers:\n  - name: a\n    image: x\n  - name: b\n    imag: y\n";
  const find = (path: string) => {
    const document = parseYamlDocuments(text, "t.yaml")[1];
    return document && lineOfPath(document, path);
  };
  test.each([
    ["kind", 3],
    ["spec.containers", 5],
    ["spec.containers[1]", 8],
    ["spec.containers[1].imag", 9],
    ["spec.containers[1].missing", 8],
    ["spec.containers[7].name", 5],
    ["nowhere", undefined],
  ])("%s", (path, line) => {
    expect(find(path)).toBe(line);
  });
});

describe("writing", () => {
  test("looks like kubectl's", () => {
    const value = {
      kind: "Pod",
      b: "true",
      a: "0644",
      at: "2026-01-01T00:00:00Z",
      empty: "",
      star: "*",
      list: [{ at: 1, args: ["x"] }, {}],
      none: [],
      text: "two\nlines\n",
      long: "word ".repeat(30).trim(),
      gone: undefined,
    };
    expect(toYaml(value)).toBe(
      `kind: Pod\nb: "true"\na: "0644"\nat: "2026-01-01T00:00:00Z"\nempty: ""\nstar: '*'\nlist:\n- at: 1\n  args:\n  - x\n- {}\nnone: []\ntext: |\n  two\n  lines\nlong: ${value.long}\n`,
    );
  });

  test("shared parts are written out, and what is written reads back the same", () => {
    const shared = { a: "1", b: "- x", c: "#", d: "12:30", e: "null", f: "1_0", g: " s " };
    const value = { one: shared, two: shared };
    expect(toYaml(value)).not.toContain("&");
    expect(values(toYaml(value))).toEqual([value]);
  });
});
