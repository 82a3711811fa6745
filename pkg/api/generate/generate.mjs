/**
 * Makes pkg/api/generated/ from the models of @kubernetes/client-node and the few of extra.mjs (`npm run generate`):
 *  - types.ts: the TypeScript interfaces, as on the wire (times are strings);
 *  - schema.ts: the same as compact text for the machine, read by ../schema.ts;
 *  - descriptions.ts: what every field means, loaded only for OpenAPI.
 *
 * Each file's first line carries a hash of all that went in; when it still matches nothing is done.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { extraModels } from "./extra.mjs";
import { readModels } from "./models.mjs";
import { assignPackages } from "./packages.mjs";
import { descriptionsFile, schemaFile, typesFile } from "./emit.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const out = join(here, "..", "generated");
const dist = dirname(createRequire(import.meta.url).resolve("@kubernetes/client-node"));
const OUTPUTS = ["types.ts", "schema.ts", "descriptions.ts"];

function stamp() {
  const hash = createHash("sha256");
  hash.update(readFileSync(join(dist, "..", "package.json")));
  for (const f of readdirSync(here).toSorted()) if (f.endsWith(".mjs")) hash.update(readFileSync(join(here, f)));
  return `// Made by npm run generate; do not edit. ${hash.digest("hex").slice(0, 16)}\n`;
}

function upToDate(header) {
  return OUTPUTS.every((f) => existsSync(join(out, f)) && readFileSync(join(out, f), "utf8").startsWith(header));
}

/** By rename, so that a reader or a second run never sees half a file. */
function write(file, text) {
  const temporary = join(out, `.${file}.${process.pid}`);
  writeFileSync(temporary, text);
  renameSync(temporary, join(out, file));
}

const header = stamp();
if (!upToDate(header)) {
  const models = [...readModels(join(dist, "gen", "models")), ...extraModels()];
  const packages = assignPackages(models, join(dist, "gen", "apis"));
  mkdirSync(out, { recursive: true });
  write("types.ts", header + typesFile(models));
  write("schema.ts", header + schemaFile(models, packages));
  write("descriptions.ts", header + descriptionsFile(models));
  console.log(`generated ${models.length} types in pkg/api/generated`);
}
