/** `create`: objects from manifests, or of a few common kinds from flags. */
import type { Command } from "commander";
import { readFileSync, readdirSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import type { ApiObject } from "../../api/object.ts";
import { eachOrAggregate, placedError } from "../errors.ts";
import { CliError, UsageError } from "../io.ts";
import { readManifests } from "../manifests.ts";
import { type CommandModule, examples, type Run } from "../command.ts";
import type { Session } from "../session.ts";
import { addWriteFlags, isDry, tell, type WriteFlags, writeOptions } from "../writes.ts";
import { defineToken } from "./create-token.ts";
import { collect } from "./get.ts";

interface Options extends WriteFlags {
  filename?: string[];
  recursive?: boolean;
}

interface DataFlags extends WriteFlags {
  fromLiteral?: string[];
  fromFile?: string[];
  fromEnvFile?: string[];
  type?: string;
}

export const command: CommandModule = {
  define: (c, run) => {
    // Else it would take the flags of what stands after it, --dry-run among them.
    addWriteFlags(c.enablePositionalOptions())
      .option(
        "-f, --filename <file>",
        "a file, a directory, a URL or - for the standard input (may be repeated)",
        collect,
      )
      .option("-R, --recursive", "with -f DIR: its subdirectories too")
      .option("-n, --namespace <name>", "the namespace to work in (default: the context's)")
      .option("--context <name>", "the kubeconfig context to use")
      .option("--kubeconfig <file>", "the kubeconfig to use")
      .addHelpText(
        "after",
        examples(
          "mini-kube create -f pod.yaml                                  fails if it exists; apply does not",
          "mini-kube create namespace team",
          "mini-kube create configmap conf --from-literal=key=value --from-file=app.conf",
          "mini-kube create secret generic login --from-literal=password=s3cret",
          "mini-kube create serviceaccount robot",
          "mini-kube create token robot --duration=24h                   to act as it",
        ),
      )
      .action(run(createFromFiles));
    defineGenerators(c, run);
    defineToken(c, run);
  },
};

function defineGenerators(c: Command, run: Run): void {
  const named = (parent: Command, name: string, summary: string) =>
    addWriteFlags(parent.command(name).description(summary)).argument("<name>");
  named(c, "namespace", "A namespace")
    .alias("ns")
    .action(
      run((session, name: string, o: WriteFlags) =>
        createObject(session, { apiVersion: "v1", kind: "Namespace", metadata: { name } }, o),
      ),
    );
  named(c, "serviceaccount", "A service account")
    .alias("sa")
    .action(
      run((session, name: string, o: WriteFlags) =>
        createObject(session, { apiVersion: "v1", kind: "ServiceAccount", metadata: { name } }, o),
      ),
    );
  withData(named(c, "configmap", "Settings, from literals or files").alias("cm")).action(
    run((session, name: string, o: DataFlags) => createObject(session, configMap(name, readData(o)), o)),
  );
  const secret = c.command("secret").description("Settings to be kept from others' eyes");
  withData(named(secret, "generic", "From literals or files"))
    .option("--type <type>", "the secret's type (default: Opaque)")
    .action(
      run((session, name: string, o: DataFlags) => createObject(session, secretOf(name, readData(o), o.type), o)),
    );
}

function withData(c: Command): Command {
  return c
    .option("--from-literal <key=value>", "an entry as it is (may be repeated)", collect)
    .option(
      "--from-file <[key=]path>",
      "an entry from a file, or one from each file of a directory (may be repeated)",
      collect,
    )
    .option("--from-env-file <path>", "entries from lines of key=value (may be repeated)", collect);
}

async function createFromFiles(session: Session, o: Options): Promise<void> {
  if (!o.filename?.length)
    throw new UsageError("must specify -f, or what to create: namespace, configmap, secret, serviceaccount");
  const errors: unknown[] = [];
  const manifests = await readManifests(session, o.filename, { ...o, onError: (e) => errors.push(e) });
  await eachOrAggregate(manifests, async ({ resource, object, namespace, where }) => {
    try {
      const objects = session.resource(resource, namespace);
      const placed = { ...object, metadata: { ...object.metadata, ...(namespace !== undefined && { namespace }) } };
      const created = isDry(o, "client") ? placed : await objects.create(placed, writeOptions(o, "kubectl-create"));
      await tell(session, o, { resource, object: created as ApiObject, did: "created" });
    } catch (error) {
      throw placedError(error, where);
    }
  }).catch((e: unknown) => errors.push(e));
  if (errors.length > 0) throw errors.length === 1 ? errors[0] : new AggregateError(errors);
}

/** Sends an object made from flags, and tells. */
export async function createObject(session: Session, object: ApiObject, o: WriteFlags): Promise<ApiObject> {
  const resource = await session.discovery.byKind(object.apiVersion ?? "", object.kind ?? "");
  if (!resource) throw new CliError(`the server has no kind ${object.kind}`);
  const namespace = resource.namespaced ? session.namespace : undefined;
  const placed = { ...object, metadata: { ...object.metadata, ...(namespace !== undefined && { namespace }) } };
  const objects = session.resource(resource, namespace);
  const created = isDry(o, "client")
    ? placed
    : ((await objects.create(placed, writeOptions(o, "mini-kube-create"))) as ApiObject);
  await tell(session, o, { resource, object: created, did: "created" });
  return created;
}

export type Data = ReadonlyMap<string, Buffer>;

function readData(o: DataFlags): Data {
  const data = new Map<string, Buffer>();
  const put = (key: string, value: Buffer) => {
    if (data.has(key))
      throw new UsageError(`cannot add key ${JSON.stringify(key)}: another key by that name already exists`);
    data.set(key, value);
  };
  for (const text of o.fromLiteral ?? []) put(...literal(text));
  for (const text of o.fromFile ?? []) for (const [key, value] of filesOf(text)) put(key, value);
  for (const file of o.fromEnvFile ?? []) {
    for (const line of readText(file).toString("utf8").split(/\r?\n/)) {
      if (line.trim() !== "" && !line.startsWith("#")) put(...literal(line.trimStart()));
    }
  }
  return data;
}

function literal(text: string): [string, Buffer] {
  const equals = text.indexOf("=");
  if (equals <= 0) throw new UsageError(`invalid literal ${JSON.stringify(text)}, expected key=value`);
  return [text.slice(0, equals), Buffer.from(text.slice(equals + 1))];
}

function filesOf(text: string): [string, Buffer][] {
  const equals = text.indexOf("=");
  const [key, path] = equals < 0 ? [undefined, text] : [text.slice(0, equals), text.slice(equals + 1)];
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) return [[key ?? basename(path), readText(path)]];
  if (key !== undefined) throw new UsageError(`cannot give a key name for a directory path: ${text}`);
  const files = readdirSync(path, { withFileTypes: true }).filter((e) => e.isFile());
  return files.map((e) => [e.name, readText(join(path, e.name))]);
}

function readText(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new CliError(`${path} cannot be read: ${(error as Error).message}`);
  }
}

/** What is no UTF-8 text goes to `binaryData`. */
export function configMap(name: string, data: Data): ApiObject {
  const isText = (b: Buffer) => Buffer.from(b.toString("utf8"), "utf8").equals(b);
  const text = [...data].filter(([, v]) => isText(v)).map(([k, v]) => [k, v.toString("utf8")] as const);
  const binary = [...data].filter(([, v]) => !isText(v)).map(([k, v]) => [k, v.toString("base64")] as const);
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name },
    ...(text.length > 0 && { data: Object.fromEntries(text) }),
    ...(binary.length > 0 && { binaryData: Object.fromEntries(binary) }),
  } as ApiObject;
}

export function secretOf(name: string, data: Data, type = "Opaque"): ApiObject {
  const encoded = Object.fromEntries([...data].map(([k, v]) => [k, v.toString("base64")]));
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name },
    type,
    ...(data.size > 0 && { data: encoded }),
  } as ApiObject;
}
