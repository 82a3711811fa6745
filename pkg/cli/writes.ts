/** What the commands that write have in common: dry runs, validation, and how a result is told. */
import type { Command } from "commander";
import type { ApiObject } from "../api/object.ts";
import type { WriteOptions } from "../client/client.ts";
import { own } from "../util/keys.ts";
import { type KnownResource, objectTitle } from "./discovery.ts";
import { CliError, UsageError } from "./io.ts";
import { type Format, formatObjects, parseFormat, withoutManagedFields } from "./output/format.ts";
import { TablePrinter } from "./output/table.ts";
import type { Session } from "./session.ts";

export interface WriteFlags {
  dryRun?: "none" | "client" | "server";
  validate?: "Strict" | "Warn" | "Ignore";
  output?: string;
}

export function addWriteFlags(c: Command): Command {
  return c
    .option("--dry-run [how]", "change nothing: client prints what would be sent, server asks it to check", dryRun)
    .option("--validate <how>", "unknown fields: strict refuses them, warn, ignore", validation)
    .option("-o, --output <format>", "json|yaml|name|jsonpath=TEMPLATE instead of a sentence");
}

function dryRun(value: string | boolean): NonNullable<WriteFlags["dryRun"]> {
  if (value === "none" || value === "client" || value === "server") return value;
  throw new UsageError(`--dry-run ${String(value)}: choose client or server, for example --dry-run=client`);
}

function validation(value: string): NonNullable<WriteFlags["validate"]> {
  const words = { strict: "Strict", true: "Strict", warn: "Warn", ignore: "Ignore", false: "Ignore" } as const;
  const found = own(words, value.toLowerCase());
  if (!found) throw new UsageError(`--validate ${value}: choose strict, warn or ignore`);
  return found;
}

export function writeOptions(o: WriteFlags, fieldManager: string): WriteOptions {
  return { fieldManager, fieldValidation: o.validate ?? "Strict", ...(isDry(o, "server") && { dryRun: true }) };
}

export function isDry(o: WriteFlags, how: "client" | "server"): boolean {
  // `--dry-run` alone: commander passes true.
  if ((o.dryRun as unknown) === true)
    throw new UsageError("--dry-run needs a value: --dry-run=client or --dry-run=server");
  return o.dryRun === how;
}

/** `pod/web created (server dry run)`, or the object in the form asked for. */
export async function tell(
  session: Session,
  o: WriteFlags,
  r: { resource: KnownResource; object: ApiObject; did: string },
): Promise<void> {
  const format: Format | undefined = o.output === undefined ? undefined : parseFormat(o.output);
  if (!format) {
    const dry = isDry(o, "client") ? " (dry run)" : isDry(o, "server") ? " (server dry run)" : "";
    return session.say(`${objectTitle(r.resource, r.object.metadata.name ?? "")} ${r.did}${dry}`);
  }
  if (format.type === "table") throw new CliError(`-o ${o.output}: choose json, yaml, name or jsonpath=TEMPLATE`);
  const printer = new TablePrinter(session.paint);
  const found = [{ resource: r.resource, object: withoutManagedFields(r.object) }];
  session.io.stdout.write(formatObjects(format, found, { list: false, printer, headers: true }));
}
