/** `-f`: the objects of files, directories, URLs and the standard input, each with the kind the server has for it. */
import { readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { ApiObject } from "../api/object.ts";
import { type YamlDocument, lineOfPath, parseYamlDocuments } from "../util/yaml.ts";
import type { KnownResource } from "./discovery.ts";
import { closest } from "./discovery.ts";
import { CliError } from "./io.ts";
import type { Session } from "./session.ts";

export interface Manifest {
  readonly resource: KnownResource;
  readonly object: ApiObject;
  /** Undefined for kinds without namespaces. */
  readonly namespace: string | undefined;
  /** `pod.yaml: document 2, line 14`; with a field path, the line it stands on. */
  readonly where: (field?: string) => string;
}

/** A text larger than this is no manifest; the limit of one document is yaml.ts's. */
const MAX_FILE_BYTES = 64 * 1024 * 1024;
const EXTENSIONS = /\.(ya?ml|json)$/;

/**
 * All objects of all sources; what is wrong with some goes to `onError`, and the others are still returned. Without
 * `onError` the first mistake is thrown.
 */
export async function readManifests(
  session: Session,
  sources: readonly string[],
  o: { recursive?: boolean; onError?: (error: unknown) => void },
): Promise<Manifest[]> {
  const manifests: Manifest[] = [];
  const attempt = async (work: () => Promise<void>) => {
    try {
      await work();
    } catch (error) {
      if (!o.onError) throw error;
      o.onError(error);
    }
  };
  for (const source of sources) {
    await attempt(async () => {
      for (const file of expand(source, o.recursive === true)) {
        await attempt(async () => {
          const documents = parseYamlDocuments(await readSource(session, file), file === "-" ? "STDIN" : file);
          for (const document of documents) {
            const name = file === "-" ? "STDIN" : file;
            for (const value of itemsOf(document.value)) {
              await attempt(
                async () => void manifests.push(await toManifest({ session, value, document, source: name })),
              );
            }
          }
        });
      }
    });
  }
  return manifests;
}

/** The files a source stands for. In a directory only those that look like manifests count, sorted by name. */
export function expand(source: string, recursive: boolean): string[] {
  if (source === "-" || /^https?:\/\//.test(source)) return [source];
  const stat = statSync(source, { throwIfNoEntry: false });
  if (!stat) throw new CliError(`the path ${JSON.stringify(source)} does not exist`);
  if (!stat.isDirectory()) return [source];
  const entries = readdirSync(source, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  const files = entries.flatMap((e) => {
    const path = join(source, e.name);
    if (e.isDirectory()) return recursive ? expandQuietly(path) : [];
    return EXTENSIONS.test(e.name) ? [path] : [];
  });
  if (files.length === 0) {
    throw new CliError(
      `no manifest (*.yaml, *.yml, *.json) in ${source}${recursive ? "" : "; -R looks in its subdirectories too"}`,
    );
  }
  return files;
}

function expandQuietly(directory: string): string[] {
  try {
    return expand(directory, true);
  } catch (error) {
    if (error instanceof CliError) return [];
    throw error;
  }
}

async function readSource(session: Session, source: string): Promise<string> {
  if (source === "-") return readStdin(session);
  if (/^https?:\/\//.test(source)) return download(session, source);
  try {
    const { size } = statSync(source);
    if (size > MAX_FILE_BYTES) throw tooLarge(source, size);
    return readFileSync(source, "utf8");
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw new CliError(`${source} cannot be read: ${(error as Error).message}`);
  }
}

const tooLarge = (source: string, bytes: number) =>
  new CliError(
    `${source} is ${Math.round(bytes / 1024 / 1024)} MB large; at most ${MAX_FILE_BYTES / 1024 / 1024} MB are read`,
  );

async function readStdin(session: Session): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of session.io.stdin) {
    size += (chunk as Buffer).length;
    if (size > MAX_FILE_BYTES) throw tooLarge("STDIN", size);
    chunks.push(Buffer.from(chunk as Uint8Array));
  }
  return Buffer.concat(chunks).toString("utf8");
}

const DOWNLOAD_MS = 30_000;

async function download(session: Session, url: string): Promise<string> {
  const signal = AbortSignal.any([session.io.signal, AbortSignal.timeout(DOWNLOAD_MS)]);
  const response = await fetch(url, { signal }).catch((error: Error) => {
    throw new CliError(`${url} cannot be fetched: ${(error.cause as Error | undefined)?.message ?? error.message}`);
  });
  if (!response.ok)
    throw new CliError(
      `unable to read URL ${JSON.stringify(url)}, server reported ${response.status} ${response.statusText}`,
    );
  return response.text();
}

/** `kind: List` is its items. */
function itemsOf(value: unknown): unknown[] {
  const list = value as { kind?: unknown; items?: unknown };
  return list.kind === "List" && Array.isArray(list.items) ? list.items : [value];
}

async function toManifest(m: {
  session: Session;
  value: unknown;
  document: YamlDocument;
  source: string;
}): Promise<Manifest> {
  const { session, value, document, source } = m;
  const where = (field?: string) => {
    const line = (field && lineOfPath(document, field)) || document.line;
    return `${source}: document ${document.document}, line ${line}`;
  };
  const fail = (why: string, field?: string) => new CliError(`${where(field)}: ${why}`);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw fail("is no Kubernetes object: it should begin with apiVersion: and kind:");
  }
  const object = value as Partial<ApiObject>;
  if (typeof object.kind !== "string" || !object.kind)
    throw fail("Object 'Kind' is missing: which kind of object is it? for example kind: Pod");
  if (typeof object.apiVersion !== "string" || !object.apiVersion) {
    throw fail(`apiVersion is not set; for kind ${object.kind}: ${await knownVersions(session, object.kind)}`);
  }
  const resource = await session.discovery.byKind(object.apiVersion, object.kind);
  if (!resource) {
    const hint = await kindHint(session, object.kind);
    throw fail(
      `no matches for kind ${JSON.stringify(object.kind)} in version ${JSON.stringify(object.apiVersion)}${hint}`,
      "kind",
    );
  }
  const metadata = object.metadata;
  if (typeof metadata !== "object" || metadata === null)
    throw fail("metadata is missing; it should hold the object's name");
  const own = metadata.namespace;
  if (resource.namespaced && own && session.flags.namespace && own !== session.flags.namespace) {
    throw fail(
      `the namespace from the provided object ${JSON.stringify(own)} does not match the namespace ${JSON.stringify(session.flags.namespace)}. You must pass '--namespace=${own}' to perform this operation.`,
      "metadata.namespace",
    );
  }
  return {
    resource,
    object: object as ApiObject,
    namespace: resource.namespaced ? own || session.namespace : undefined,
    where,
  };
}

async function knownVersions(session: Session, kind: string): Promise<string> {
  const found = (await session.discovery.all()).find((r) => r.kind === kind);
  return found ? (found.group ? `${found.group}/${found.version}` : found.version) : "see mini-kube api-resources";
}

async function kindHint(session: Session, kind: string): Promise<string> {
  const all = await session.discovery.all();
  const same = all.find((r) => r.kind === kind);
  if (same) return `; it is in ${same.group ? `${same.group}/${same.version}` : same.version}`;
  const near = closest(
    kind,
    all.map((r) => r.kind),
  );
  return near ? `; did you mean ${near}?` : "; see the kinds there are with: mini-kube api-resources";
}
