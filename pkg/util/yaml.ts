/**
 * YAML as Kubernetes reads and writes it; the only file that knows js-yaml.
 *
 * Kubernetes speaks go-yaml's dialect between YAML 1.1 and 1.2: `yes` and `on` are booleans, `0644` is octal, but
 * `8080:80` is no sexagesimal number, and a timestamp is a string like any other.
 */
import {
  CORE_SCHEMA,
  DEFAULT_SCALAR_STYLE_RULES,
  DUMP_SCHEMA,
  EVENT_ID,
  type Event,
  NOT_RESOLVED,
  SCALAR_STYLE,
  type ScalarLayout,
  YAMLException,
  defineScalarTag,
  dump,
  getScalarValue,
  load,
  mergeTag,
  parseEvents,
} from "js-yaml";

export interface YamlDocument {
  readonly value: unknown;
  /** From 1, empty documents counted, so that it is what a person counts in the file. */
  readonly document: number;
  /** The line of the file, from 1, on which the document's first content stands. */
  readonly line: number;
  /** The document's own text and the line of the file it starts on, for {@link lineOfPath}. */
  readonly text: string;
  readonly textLine: number;
}

/** What kube-apiserver takes for one object; a bigger document cannot succeed, so it is refused unparsed. */
export const MAX_DOCUMENT_BYTES = 3 * 1024 * 1024;

/** `message` says where (source, document, line, column), what, and shows the line. */
export class YamlError extends Error {
  readonly source: string;
  readonly document: number;
  readonly line: number;
  readonly column: number | undefined;

  constructor(
    where: { source: string; document: number; line: number; column?: number; excerpt?: string },
    why: string,
  ) {
    const at = where.column === undefined ? "" : `, column ${where.column}`;
    const shown = where.excerpt?.trim() ? `\n  ${where.line} | ${clip(where.excerpt)}` : "";
    super(`${where.source}: document ${where.document}, line ${where.line}${at}: ${why}${shown}`);
    this.name = "YamlError";
    this.source = where.source;
    this.document = where.document;
    this.line = where.line;
    this.column = where.column;
  }
}

const clip = (line: string) => (line.length > 120 ? `${line.slice(0, 117)}...` : line);

/**
 * The documents of a YAML or JSON text, empty ones left out. Throws {@link YamlError} at the first that is broken, has a
 * key twice, or is larger than {@link MAX_DOCUMENT_BYTES}.
 */
export function parseYamlDocuments(text: string, source: string): YamlDocument[] {
  const documents: YamlDocument[] = [];
  let number = 0;
  for (const chunk of splitDocuments(text)) {
    number += 1;
    const { line, ...rest } = parseOne(chunk, source, number);
    if (rest.value !== null && rest.value !== undefined) {
      documents.push({ value: rest.value, document: number, line, text: chunk.text, textLine: chunk.line });
    }
  }
  return documents;
}

interface Chunk {
  readonly text: string;
  readonly line: number;
}

/** Splits at lines that begin with `---`, as kubectl does: no scalar of a manifest can hold such a line at column 0. */
function splitDocuments(text: string): Chunk[] {
  const body = text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
  const chunks: Chunk[] = [];
  const separator = /^---(?=\s|$)/gm;
  let start = 0;
  let line = 1;
  for (const match of body.matchAll(separator)) {
    const before = body.slice(start, match.index);
    // A file may begin with its separator (after comments): that opens the first document, it does not end one.
    if (chunks.length > 0 || !isBlank(before)) chunks.push({ text: before, line });
    line += countLines(before);
    start = match.index + 3;
  }
  chunks.push({ text: body.slice(start), line });
  return chunks;
}

const countLines = (text: string) => text.split("\n").length - 1;
const isBlank = (text: string) => text.split("\n").every((l) => /^\s*(#.*)?$/.test(l));

function parseOne(chunk: Chunk, source: string, document: number): { value: unknown; line: number } {
  const lines = chunk.text.split("\n");
  const first = lines.findIndex((l) => !/^\s*(#.*)?$/.test(l));
  if (first < 0) return { value: undefined, line: chunk.line };
  const line = chunk.line + first;
  const bytes = new TextEncoder().encode(chunk.text).length;
  if (bytes > MAX_DOCUMENT_BYTES) {
    const size = `${(bytes / 1024 / 1024).toFixed(1)} MB`;
    throw new YamlError({ source, document, line }, `the manifest is ${size} large; the API server takes at most 3 MB`);
  }
  try {
    return { value: load(chunk.text, { schema: READ_SCHEMA, maxAliases: 1000 }), line };
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    const mark = error.mark;
    let at = Math.min(mark?.line ?? first, lines.length - 1);
    // What is missing at the end is best looked for at the last line there is.
    while (at > first && lines[at]?.trim() === "") at -= 1;
    const excerpt = lines[at] ?? "";
    const column = mark?.line === at ? { column: mark.column + 1 } : {};
    throw new YamlError({ source, document, line: chunk.line + at, ...column, excerpt }, error.reason);
  }
}

/** An integer as go-yaml v2 reads it. */
const intTag = defineScalarTag<number>("tag:yaml.org,2002:int", {
  implicit: true,
  implicitFirstChars: "+-0123456789".split(""),
  resolve: (source) => {
    const match = /^([-+]?)(0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*)$/.exec(source);
    if (!match) return NOT_RESOLVED;
    const [sign, digits] = [match[1] ?? "", (match[2] ?? "").replaceAll("_", "")];
    const octal = /^0o?([0-7]+)$/.exec(digits);
    // `089` is no octal number: go-yaml makes a float of it, of the same value.
    const value = octal ? Number.parseInt(octal[1] ?? "", 8) : Number(digits);
    return sign === "-" ? -value : value;
  },
  identify: (data: unknown) => Number.isInteger(data),
});

const TRUE = new Set(["true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"]);
const FALSE = new Set(["false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"]);

const boolTag = defineScalarTag<boolean>("tag:yaml.org,2002:bool", {
  implicit: true,
  implicitFirstChars: "tTyYoOfFnN".split(""),
  resolve: (source) => (TRUE.has(source) ? true : FALSE.has(source) ? false : NOT_RESOLVED),
  identify: (data: unknown) => typeof data === "boolean",
});

const READ_SCHEMA = CORE_SCHEMA.withTags(intTag, boolTag, mergeTag);

/** What another parser would not read back as a string is put in double quotes, the rest as js-yaml thinks: as go-yaml. */
function quoteLookalikes(layout: ScalarLayout): void {
  const { node } = layout;
  if (node.tag !== "tag:yaml.org,2002:str" || layout.style !== SCALAR_STYLE.PLAIN) return;
  const looksLike = DUMP_SCHEMA.resolveImplicitScalarTag(node.value).tag.tagName;
  if (looksLike !== "tag:yaml.org,2002:str") layout.style = SCALAR_STYLE.DOUBLE_QUOTED;
}

/** YAML as `kubectl get -o yaml` prints it, with the keys in their own order. Ends with a newline. */
export function toYaml(value: unknown): string {
  return dump(value, {
    noRefs: true,
    lineWidth: -1,
    seqNoIndent: true,
    skipInvalid: true,
    scalarStyleRules: [quoteLookalikes, ...Object.values(DEFAULT_SCALAR_STYLE_RULES)],
  });
}

/**
 * The line of the file on which `path` (`spec.containers[0].image`) stands, or the deepest part of it that there is:
 * what a server's complaint about a field is shown with.
 */
export function lineOfPath(document: Pick<YamlDocument, "text" | "textLine">, path: string): number | undefined {
  const steps = [...path.matchAll(/[^.[\]]+/g)].map((m) => m[0]);
  const reader = new EventReader(document.text);
  const offset = reader.locate(steps);
  return offset === undefined ? undefined : document.textLine + countLines(document.text.slice(0, offset));
}

/** Walks the parser's events down one path. */
class EventReader {
  readonly #text: string;
  readonly #events: readonly Event[];
  #at = 1;

  constructor(text: string) {
    this.#text = text;
    this.#events = parseEvents(text, {});
  }

  locate(steps: readonly string[]): number | undefined {
    let found: number | undefined;
    for (const step of steps) {
      const here = this.#events[this.#at];
      this.#at += 1;
      const start =
        here?.type === EVENT_ID.MAPPING
          ? this.#enterKey(step)
          : here?.type === EVENT_ID.SEQUENCE
            ? this.#enterItem(Number(step))
            : undefined;
      if (start === undefined) break;
      found = start;
    }
    return found;
  }

  /** Leaves the reader at the key's value; returns where the key starts. */
  #enterKey(key: string): number | undefined {
    for (let e = this.#events[this.#at]; e && e.type !== EVENT_ID.POP; e = this.#events[this.#at]) {
      const name =
        e.type === EVENT_ID.SCALAR ? { text: getScalarValue(this.#text, e), start: e.valueStart } : undefined;
      this.#skip();
      if (name?.text === key) return name.start;
      this.#skip();
    }
    return undefined;
  }

  #enterItem(index: number): number | undefined {
    for (let i = 0; i < index; i++) {
      if (this.#events[this.#at]?.type === EVENT_ID.POP) return undefined;
      this.#skip();
    }
    const e = this.#events[this.#at];
    if (e?.type === EVENT_ID.SCALAR) return e.valueStart;
    return e?.type === EVENT_ID.MAPPING || e?.type === EVENT_ID.SEQUENCE ? e.start : undefined;
  }

  /** Steps over one whole node. */
  #skip(): void {
    let depth = 0;
    do {
      const e = this.#events[this.#at];
      this.#at += 1;
      if (!e) return;
      if (e.type === EVENT_ID.MAPPING || e.type === EVENT_ID.SEQUENCE) depth += 1;
      if (e.type === EVENT_ID.POP) depth -= 1;
    } while (depth > 0);
  }
}
