/** `npm run docs`: writes what docs/api.md says of kinds and verbs anew. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { resources } from "../../pkg/api/table.ts";
import { withTables } from "./api-tables.ts";

const path = join(import.meta.dirname, "../../docs/api.md");
writeFileSync(path, withTables(readFileSync(path, "utf8"), resources));
