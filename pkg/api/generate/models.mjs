/**
 * Reads what @kubernetes/client-node ships of Kubernetes' OpenAPI: per type a .js file with `attributeTypeMap` (names,
 * types, formats) and a .d.ts file with what the map lacks (which fields are required, and every description).
 *
 * The files are read as text, not imported: 900 module loads would take seconds.
 */
import { readdirSync, readFileSync } from "node:fs";
import { isQuantity, unseenQuantities } from "./quantities.mjs";

/**
 * @typedef {{ name: string, type: string, required: boolean, description: string }} Field `type` in our notation, see fieldType()
 * @typedef {{ model: string, name: string, goName: string, version: string, description: string, fields: Field[] }} Model
 */

/** Types of older releases stay in the package; only those of the current one are real. */
const RELEASE = "release-1.36";

/** @returns {Model[]} in alphabetical order of `model` */
export function readModels(/** @type {string} */ dir) {
  const models = [];
  for (const file of readdirSync(dir).toSorted()) {
    if (!file.endsWith(".js") || file === "ObjectSerializer.js" || file === "all.js") continue;
    const js = readFileSync(`${dir}/${file}`, "utf8");
    if (js.includes(`spec version: ${RELEASE}`)) models.push(readModel(file.slice(0, -3), js, dir));
  }
  if (models.length < 500)
    throw new Error(`only ${models.length} models of ${RELEASE} in ${dir}: has its layout changed?`);
  if (unseenQuantities().length > 0) throw new Error(`quantities.mjs: no such field: ${unseenQuantities().join(", ")}`);
  return models;
}

function readModel(model, js, dir) {
  const map = /\.attributeTypeMap = (\[[\s\S]*?\n?\]);/.exec(js)?.[1];
  if (map === undefined) throw new Error(`${model}.js has no attributeTypeMap`);
  const dts = readDeclaration(readFileSync(`${dir}/${model}.d.ts`, "utf8"));
  const fields = JSON.parse(map).map(({ name, baseName, type, format }) => {
    const declared = dts.fields.get(name);
    if (!declared) throw new Error(`${model}.d.ts does not declare ${name}`);
    return { name: baseName, type: fieldType(type, format), ...declared };
  });
  const named = { model, ...names(model) };
  for (const f of fields) if (isQuantity(`${named.goName}.${f.name}`)) f.type = f.type.replace(/string$/, "quantity");
  return { ...named, description: dts.description, fields };
}

/** `V1Pod` → Pod; `V2HorizontalPodAutoscaler` and `CoreV1Event` keep their names: there are several of each. */
function names(model) {
  const m = /^([A-Z][a-z]+)?(V\d+(?:(?:alpha|beta)\d+)?)([A-Z].*)$/.exec(model);
  if (!m) return { name: model, goName: model, version: "v1" };
  const [, prefix, version, goName] = m;
  return { name: !prefix && version === "V1" ? goName : model, goName, version: version.toLowerCase() };
}

function readDeclaration(dts) {
  const fields = new Map();
  const pattern = /(?:\/\*\*\n\s*\* ([^\n]*)\n\s*\*\/\n)?\s*'([^'\n]+)'(\?)?: /g;
  const body = dts.slice(dts.indexOf("export declare class"), dts.indexOf("static readonly discriminator"));
  for (const [, text, name, optional] of body.matchAll(pattern)) {
    fields.set(name, { required: optional === undefined, description: unescape(text ?? "") });
  }
  const description = /\/\*\*\n\* ([^\n]*)\n\*\/\nexport declare class/.exec(dts)?.[1] ?? "";
  return { description: unescape(description), fields };
}

function unescape(text) {
  return text
    .replace(/\\(['"])/g, "$1")
    .replaceAll("*_/", "*/")
    .trim();
}

const SCALARS = {
  "string ": "string",
  "string byte": "bytes",
  "boolean ": "bool",
  "number int32": "int32",
  "number int64": "int64",
  "number double": "double",
  "Date date-time": "time",
  "V1MicroTime date-time-micro": "microTime",
  "IntOrString int-or-string": "intOrString",
};

/**
 * The type in our notation: `[]T` a list, `{}T` a map with string keys, a capital → another type, else a scalar:
 * string bytes bool quantity int32 int64 double time microTime intOrString any.
 */
function fieldType(type, format) {
  const list = /^Array<(.*)>$/.exec(type)?.[1];
  if (list) return `[]${fieldType(list, format)}`;
  const map = /^\{ \[key: string\]: (.*); \}$/.exec(type)?.[1];
  if (map) return `{}${fieldType(map, format)}`;
  if (type === "any") return "any";
  const scalar = SCALARS[`${type} ${format}`];
  if (scalar) return scalar;
  if (!/^[A-Z]\w*$/.test(type) || format !== "") throw new Error(`unknown type ${type} with format "${format}"`);
  return names(type).name;
}
