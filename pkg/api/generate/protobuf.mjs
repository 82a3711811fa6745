/**
 * Makes pkg/api/protobuf/messages.ts, the table of protobuf messages by which bodies are decoded:
 *
 *     node pkg/api/generate/protobuf.mjs
 *
 * Numbers and types come from the `generated.proto` files of Kubernetes' Go modules. What those do not tell comes from the
 * struct tags beside them: the JSON name where it is another, embedded structs, and which fields JSON leaves out when zero.
 * It needs `go` and the Go module proxy; so the table is checked in, and made anew only for another release.
 */
import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const VERSION = "v0.36.0";

/** Module, folder in it, and the apiVersion of its kinds, if it has any: of all that are served and can be written. */
const PACKAGES = [
  ["api", "core/v1", "v1"],
  ["api", "apps/v1", "apps/v1"],
  ["api", "batch/v1", "batch/v1"],
  ["api", "autoscaling/v1", "autoscaling/v1"],
  ["api", "autoscaling/v2", "autoscaling/v2"],
  ["api", "policy/v1", "policy/v1"],
  ["api", "networking/v1", "networking.k8s.io/v1"],
  ["api", "discovery/v1", "discovery.k8s.io/v1"],
  ["api", "coordination/v1", "coordination.k8s.io/v1"],
  ["api", "events/v1", "events.k8s.io/v1"],
  ["api", "scheduling/v1", "scheduling.k8s.io/v1"],
  ["api", "storage/v1", "storage.k8s.io/v1"],
  ["api", "rbac/v1", "rbac.authorization.k8s.io/v1"],
  ["api", "authentication/v1", "authentication.k8s.io/v1"],
  ["api", "authorization/v1", "authorization.k8s.io/v1"],
  ["api", "certificates/v1", "certificates.k8s.io/v1"],
  ["api", "node/v1", "node.k8s.io/v1"],
  ["api", "admissionregistration/v1", "admissionregistration.k8s.io/v1"],
  ["apiextensions-apiserver", "pkg/apis/apiextensions/v1", "apiextensions.k8s.io/v1"],
  ["kube-aggregator", "pkg/apis/apiregistration/v1", "apiregistration.k8s.io/v1"],
  ["apimachinery", "pkg/apis/meta/v1", "meta.k8s.io/v1"],
  ["apimachinery", "pkg/api/resource", ""],
  ["apimachinery", "pkg/util/intstr", ""],
  ["apimachinery", "pkg/runtime", ""],
];

/** Bodies that carry no ObjectMeta. */
const MORE_ROOTS = ["meta/v1.DeleteOptions", "runtime.Unknown"];
/** Bytes that hold JSON, not what JSON shows as base64. */
const RAW = new Set(["meta/v1.FieldsV1", "apiextensions/v1.JSON", "runtime.RawExtension", "runtime.Unknown"]);
const SCALARS = new Set(["string", "bytes", "bool", "int32", "int64", "double"]);

/** `k8s.io.apimachinery.pkg.apis.meta.v1` and `pkg/apis/meta/v1` → `meta/v1`; `…pkg.api.resource` → `resource`. */
function shortName(path) {
  const words = path.split(/[./]/);
  const last = words.at(-1) ?? "";
  return /^v\d/.test(last) ? `${words.at(-2)}/${last}` : last;
}

function moduleDirs() {
  const names = [...new Set(PACKAGES.map(([module]) => module))];
  const query = names.map((name) => `k8s.io/${name}@${VERSION}`);
  const answer = execFileSync("go", ["mod", "download", "-json", ...query], { cwd: tmpdir(), encoding: "utf8" });
  const found = JSON.parse(`[${answer.trim().replaceAll(/^\}\n\{/gm, "},{")}]`);
  return new Map(found.map((m) => [m.Path.replace("k8s.io/", ""), m.Dir]));
}

/** Struct tags by `Struct.protobufName`. */
function readTags(dir) {
  const tags = new Map();
  const sources = readdirSync(dir).filter((f) => f.endsWith(".go") && !/_test\.go$|^zz_|^generated\.pb/.test(f));
  for (const file of sources) {
    let struct = "";
    for (const line of readFileSync(join(dir, file), "utf8").split("\n")) {
      struct = /^type (\w+) struct/.exec(line)?.[1] ?? struct;
      const [, declared = "", tag = ""] = /^\s+(.+?)\s+`(.*)`/.exec(line) ?? [];
      // An embedded struct may go by its type's name.
      const embedded = /^[A-Z]\w*$/.test(declared) && tag.includes("protobuf:") ? lowerFirst(declared) : undefined;
      const name = /protobuf:"[^"]*\bname=(\w+)/.exec(tag)?.[1] ?? embedded;
      if (name === undefined) continue;
      const [jsonName = "", ...options] = (/json:"([^"]*)"/.exec(tag)?.[1] ?? name).split(",");
      tags.set(`${struct}.${name}`, {
        json: options.includes("inline") ? "" : jsonName === "-" ? name.toLowerCase() : jsonName,
        omitZero: options.includes("omitempty") && !declared.split(/\s+/).at(-1)?.startsWith("*"),
      });
    }
  }
  return tags;
}

const lowerFirst = (text) => text.charAt(0).toLowerCase() + text.slice(1);

const FIELD = /^\s+(optional|repeated|map<string, )\s*([\w.]+)>? (\w+) = (\d+)/;

/** @returns {{ id: string, fields: { text: string, type: string }[], isKind: boolean }[]} */
function readMessages(dir, prefix) {
  const tags = readTags(dir);
  const messages = [];
  for (const line of readFileSync(join(dir, "generated.proto"), "utf8").split("\n")) {
    const name = /^message (\w+) \{/.exec(line)?.[1];
    if (name !== undefined) messages.push({ id: `${prefix}.${name}`, name, fields: [], isKind: false });
    const message = messages.at(-1);
    const field = FIELD.exec(line);
    if (!message) continue;
    if (!field) {
      if (/ = \d+;/.test(line) && !/^\s*\/\//.test(line))
        throw new Error(`${message.id}: cannot read "${line.trim()}"`);
      continue;
    }
    const [, label = "", declared = "", protoName = "", number = ""] = field;
    const tag = tags.get(`${message.name}.${protoName}`) ?? { json: protoName, omitZero: false };
    const type = typeOf(declared, message.id, prefix);
    const omit = tag.omitZero && label === "optional" && SCALARS.has(type) ? "?" : "";
    const many = label === "optional" ? "" : label === "repeated" ? "[]" : "{}";
    const local = type.startsWith(`${prefix}.`) ? type.slice(prefix.length + 1) : type;
    message.fields.push({ text: `${tag.json}${omit}=${number}:${many}${local}`, type });
    message.isKind ||= tag.json === "metadata" && type === "meta/v1.ObjectMeta";
  }
  return messages;
}

function typeOf(declared, message, prefix) {
  if (declared === "bytes" && RAW.has(message)) return "raw";
  if (SCALARS.has(declared)) return declared;
  if (/^[A-Z]/.test(declared)) return `${prefix}.${declared}`;
  const [, path = "", name = ""] = /^\.(.+)\.(\w+)$/.exec(declared) ?? [];
  if (name === "") throw new Error(`${message}: unknown type ${declared}`);
  return `${shortName(path)}.${name}`;
}

function reachable(messages) {
  const byId = new Map(messages.map((m) => [m.id, m]));
  const seen = new Set();
  const visit = (id) => {
    if (seen.has(id) || SCALARS.has(id) || id === "raw") return;
    seen.add(id);
    const message = byId.get(id);
    if (!message) throw new Error(`there is no message ${id}`);
    for (const { type } of message.fields) visit(type);
  };
  for (const m of messages) if (m.isKind) visit(m.id);
  MORE_ROOTS.forEach(visit);
  return seen;
}

const dirs = moduleDirs();
const sections = PACKAGES.map(([module, folder, apiVersion]) => {
  const prefix = shortName(folder);
  return { prefix, apiVersion, messages: readMessages(join(dirs.get(module), folder), prefix) };
});
const used = reachable(sections.flatMap((s) => s.messages));
const lines = sections.flatMap(({ prefix, apiVersion, messages }) => [
  `# ${prefix} ${apiVersion}`.trimEnd(),
  ...messages.filter((m) => used.has(m.id)).map((m) => [m.name, ...m.fields.map((f) => f.text)].join(" ")),
]);
if (used.size < 400) throw new Error(`only ${used.size} messages: has the layout changed?`);

const header = `/**
 * Kubernetes' protobuf messages, as far as bodies of requests reach them. Made by pkg/api/generate/protobuf.mjs; do not edit.
 *
 * Source: generated.proto and struct tags of the Go modules k8s.io/{${[...dirs.keys()].join(",")}}
 * ${VERSION}, Copyright The Kubernetes Authors, Apache License 2.0.
 *
 * \`# package apiVersion\`, then one message a line: \`name?=number:type\`. \`?\`: zero means absent. No name: the message's
 * fields are its parent's in JSON. \`[]T\` repeated, \`{}T\` a map with string keys, \`raw\` bytes that hold a value.
 */
`;
const out = join(dirname(fileURLToPath(import.meta.url)), "..", "protobuf", "messages.ts");
writeFileSync(out, `${header}export const messagesText: string = \`\n${lines.join("\n")}\n\`;\n`);
console.log(`${used.size} messages, ${lines.join("\n").length} bytes in ${out}`);
