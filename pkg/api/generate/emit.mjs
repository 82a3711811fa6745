/** The texts of the generated files. */

/** Shared shapes stand in object.ts, written by hand; all code generic over kinds uses those. */
const OWN = ["ObjectMeta", "OwnerReference", "ManagedFieldsEntry", "ListMeta"];
/** Spoken by the API machinery, not stored: see object.ts and status.ts. */
const NOT_TYPED = ["Status", "StatusCause", "StatusDetails", "WatchEvent"];

const TS_SCALARS = {
  string: "string",
  bytes: "string",
  bool: "boolean",
  quantity: "string",
  int32: "number",
  int64: "number",
  double: "number",
  time: "Time",
  microTime: "MicroTime",
  intOrString: "number | string",
  any: "unknown",
};

function tsType(type) {
  if (type.startsWith("{}")) return `Record<string, ${tsType(type.slice(2))}>`;
  if (!type.startsWith("[]")) return TS_SCALARS[type] ?? type;
  const of = tsType(type.slice(2));
  return of.includes("|") ? `(${of})[]` : `${of}[]`;
}

export function typesFile(models) {
  const lines = [
    `import type { ${[...OWN, "MicroTime", "Time"].toSorted().join(", ")} } from "../object.ts";`,
    `export type { ${[...OWN, "MicroTime", "Time"].toSorted().join(", ")} };`,
  ];
  for (const m of models) {
    if (!OWN.includes(m.name) && !NOT_TYPED.includes(m.name)) lines.push("", interfaceOf(m));
  }
  return `${lines.join("\n")}\n`;
}

function interfaceOf(m) {
  const doc = m.description ? `/** ${firstSentence(m.description)} */\n` : "";
  // Kinds extend ApiObject, whose metadata is there: the decoder adds it where a client left it out.
  const isKind = ["apiVersion", "kind", "metadata"].every((n) => m.fields.some((f) => f.name === n));
  const fields = m.fields.map((f) => {
    const name = /^\w+$/.test(f.name) ? f.name : JSON.stringify(f.name);
    const required = f.required || (isKind && f.name === "metadata");
    return `  ${name}${required ? "" : "?"}: ${tsType(f.type)};`;
  });
  return `${doc}export interface ${m.name} {\n${fields.join("\n")}\n}`;
}

function firstSentence(text) {
  const end = text.search(/\.(\s|$)/);
  return (end < 0 ? text : text.slice(0, end + 1)).slice(0, 200).replaceAll("*/", "* /");
}

export function schemaFile(models, packages) {
  const sections = new Map();
  for (const m of models) {
    const pkg = packages.get(m.name);
    const fields = m.fields.map((f) => ` ${f.name}${f.required ? "!" : ""}:${f.type}`);
    const lines = sections.get(pkg) ?? [];
    sections.set(pkg, [...lines, `${m.name}${fields.join("")}`]);
  }
  const text = [...sections].map(([pkg, lines]) => `# ${pkg}\n${lines.join("\n")}\n`);
  return `export const schemaText: string = \`\n${text.join("")}\`;\n`;
}

/** One string for the parser, not an object literal of 4,000 properties for the compiler. */
export function descriptionsFile(models) {
  const all = Object.fromEntries(
    models.map((m) => [
      m.name,
      { "": m.description, ...Object.fromEntries(m.fields.map((f) => [f.name, f.description])) },
    ]),
  );
  return `/** Type → field → text; the type's own under "". */
export const descriptions: Readonly<Record<string, Readonly<Record<string, string>>>> = JSON.parse(
  ${JSON.stringify(JSON.stringify(all))},
);
`;
}
