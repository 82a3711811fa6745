/** `explain`: the fields of a kind, from the server's OpenAPI v3 document, laid out as kubectl does. */
import { apiVersionOf } from "../../api/object.ts";
import { own } from "../../util/keys.ts";
import { CliError, UsageError } from "../io.ts";
import { type CommandModule, examples } from "../command.ts";
import type { Session } from "../session.ts";
import { closest } from "../discovery.ts";

interface Schema {
  type?: string;
  format?: string;
  description?: string;
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  additionalProperties?: Schema;
  allOf?: Schema[];
  $ref?: string;
  enum?: string[];
  "x-kubernetes-group-version-kind"?: { group: string; version: string; kind: string }[];
}

interface Document {
  components?: { schemas?: Record<string, Schema> };
}

export const command: CommandModule = {
  define: (c, run) =>
    c
      .argument("<path>", "a kind, and fields of it: pod.spec.containers")
      .option("--recursive", "the names of all fields below, without descriptions")
      .option("--api-version <version>", "of this group and version: apps/v1 (default: the server's preferred)")
      .addHelpText(
        "after",
        examples(
          "mini-kube explain pod",
          "mini-kube explain pod.spec.containers.resources",
          "mini-kube explain pod.spec --recursive",
        ),
      )
      .action(run(explain)),
};

async function explain(session: Session, path: string, o: { recursive?: boolean; apiVersion?: string }): Promise<void> {
  const [word = "", ...fields] = path.split(".").filter((p) => p !== "");
  const known = await session.discovery.byWord(word.split("/").at(-1) ?? "");
  const resource = o.apiVersion === undefined ? known : await session.discovery.byKind(o.apiVersion, known.kind);
  if (!resource) throw new CliError(`couldn't find resource for "${o.apiVersion}, Kind=${known.kind}"`);
  const gv = resource.group ? `apis/${apiVersionOf(resource)}` : `api/${resource.version}`;
  const index = JSON.parse(await session.transport.text("/openapi/v3")) as {
    paths?: Record<string, { serverRelativeURL: string }>;
  };
  const url = index.paths?.[gv]?.serverRelativeURL;
  if (!url) throw new CliError(`the server describes no fields of ${apiVersionOf(resource)}`);
  const [pathname = "", query = ""] = url.split("?");
  const text = await session.transport.text(pathname, { query: Object.fromEntries(new URLSearchParams(query)) });
  const printer = new Explainer(JSON.parse(text) as Document, session.io.stdout.columns ?? 80);
  await session.say(printer.page(resource, { fields, recursive: o.recursive === true }));
}

interface Kind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

export class Explainer {
  readonly #schemas: Record<string, Schema>;
  readonly #columns: number;

  constructor(document: Document, columns: number) {
    this.#schemas = document.components?.schemas ?? {};
    this.#columns = Math.min(Math.max(columns, 40), 100);
  }

  page(kind: Kind, o: { fields: readonly string[]; recursive: boolean }): string {
    let schema = this.#ofKind(kind);
    let owner = schema;
    for (const [i, name] of o.fields.entries()) {
      owner = this.#content(schema);
      const next = own(owner.properties, name);
      if (!next) throw this.#unknown([kind.kind.toLowerCase(), ...o.fields.slice(0, i + 1)].join("."), name, owner);
      schema = next;
    }
    const name = o.fields.at(-1);
    const content = this.#content(schema);
    const required = name !== undefined && owner.required?.includes(name) ? " -required-" : "";
    return [
      ...(kind.group ? [`GROUP:      ${kind.group}`] : []),
      `KIND:       ${kind.kind}`,
      `VERSION:    ${kind.version}`,
      "",
      ...(name === undefined ? [] : [`FIELD: ${name} <${this.#type(schema)}>${required}`, ...enumLines(schema, 0), ""]),
      "DESCRIPTION:",
      ...this.#wrap(this.#description(schema), 4),
      "    ",
      ...(content.properties
        ? ["FIELDS:", ...this.#fields(content, { recursive: o.recursive, depth: 1, seen: [] }), ""]
        : []),
    ].join("\n");
  }

  #ofKind(kind: Kind): Schema {
    const found = Object.values(this.#schemas).find((s) =>
      s["x-kubernetes-group-version-kind"]?.some(
        (g) => g.group === kind.group && g.version === kind.version && g.kind === kind.kind,
      ),
    );
    if (!found) throw new CliError(`the server does not describe the fields of ${kind.kind}`);
    return found;
  }

  /** What a reference points at. */
  #resolve(schema: Schema): Schema {
    const ref = schema.$ref ?? schema.allOf?.[0]?.$ref;
    return ref === undefined ? schema : (this.#schemas[ref.split("/").at(-1) ?? ""] ?? schema);
  }

  /** The object inside a list or map, through all nesting. */
  #content(schema: Schema): Schema {
    const s = this.#resolve(schema);
    const inner = s.items ?? (s.properties ? undefined : s.additionalProperties);
    return inner ? this.#content(inner) : s;
  }

  #type(schema: Schema): string {
    const s = this.#resolve(schema);
    if (s.items) return `[]${this.#type(s.items)}`;
    if (s.additionalProperties && !s.properties) return `map[string]${this.#type(s.additionalProperties)}`;
    const ref = schema.$ref ?? schema.allOf?.[0]?.$ref;
    // A Time or Quantity is a string on the wire.
    if (ref !== undefined && (s.properties || s.type !== "string")) return ref.split(".").at(-1) ?? "Object";
    if (ref !== undefined) return s.format === "date-time" ? "string" : (ref.split(".").at(-1) ?? "string");
    return s.type ?? "Object";
  }

  #description(schema: Schema): string {
    const own = schema.description ?? "";
    const typed = this.#content(schema).description ?? "";
    const both = own && typed && own !== typed ? `${own}\n${typed}` : own || typed;
    return both || "<empty>";
  }

  #fields(schema: Schema, o: { recursive: boolean; depth: number; seen: readonly Schema[] }): string[] {
    const pad = "  ".repeat(o.depth);
    const entries = Object.entries(schema.properties ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
    return entries.flatMap(([name, field]) => {
      const required = schema.required?.includes(name) ? " -required-" : "";
      const head = [`${pad}${name}\t<${this.#type(field)}>${required}`, ...enumLines(field, o.depth)];
      if (!o.recursive) return [...head, ...this.#wrap(this.#firstDescription(field), 4), ""];
      const content = this.#content(field);
      // A type may hold itself (JSONSchemaProps).
      if (!content.properties || o.seen.includes(content)) return head;
      return [...head, ...this.#fields(content, { ...o, depth: o.depth + 1, seen: [...o.seen, content] })];
    });
  }

  #firstDescription(field: Schema): string {
    return field.description || this.#content(field).description || "<no description>";
  }

  #wrap(text: string, indent: number): string[] {
    const pad = " ".repeat(indent);
    return text.split("\n").flatMap((paragraph) => {
      const lines: string[] = [];
      let line = "";
      for (const word of paragraph.split(" ")) {
        if (line && indent + line.length + 1 + word.length > this.#columns) {
          lines.push(pad + line);
          line = word;
        } else {
          line = line ? `${line} ${word}` : word;
        }
      }
      return [...lines, pad + line];
    });
  }

  #unknown(path: string, name: string, owner: Schema): UsageError {
    const near = closest(name, Object.keys(owner.properties ?? {}));
    return new UsageError(
      `field ${JSON.stringify(path)} does not exist${near ? `; did you mean ${JSON.stringify(near)}?` : ""}`,
    );
  }
}

function enumLines(schema: Schema, depth: number): string[] {
  return schema.enum ? [`${"  ".repeat(depth)}enum: ${schema.enum.join(", ")}`] : [];
}
