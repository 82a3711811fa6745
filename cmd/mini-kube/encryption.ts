/**
 * Another key for what is encrypted in the store, while the cluster runs. The API servers read the file themselves; this
 * waits until they have, and then lets one of them write every object anew.
 */
import { readFile } from "node:fs/promises";
import { resources as builtIn } from "../../pkg/api/table.ts";
import type { ApiObject, ObjectList } from "../../pkg/api/object.ts";
import { isReason } from "../../pkg/api/status.ts";
import { covers } from "../../pkg/apiserver/encryption/ciphers.ts";
import {
  encryptionConfigText,
  newEncryptionConfig,
  readEncryptionConfig,
  type ResourceRule,
  rotation,
} from "../../pkg/apiserver/encryption/config.ts";
import { leases } from "../../pkg/api/kinds/coordination/lease.ts";
import { API_SERVER_LEASES, apiServerAddresses } from "../../pkg/client/api-servers.ts";
import { Client } from "../../pkg/client/client.ts";
import { HttpTransport } from "../../pkg/client/http.ts";
import type { Connection } from "../../pkg/client/kubeconfig.ts";
import type { Call } from "../../pkg/client/transport.ts";
import type { Clock } from "../../pkg/util/clock.ts";
import { readIfThere, replaceFile } from "../../pkg/util/files.ts";

export const STEPS = ["add", "promote", "rewrite", "drop"] as const;
export type Step = (typeof STEPS)[number];

export interface RotateOptions {
  readonly file: string;
  /** Default: all of them, in this order. */
  readonly steps?: readonly Step[];
  readonly transport: HttpTransport;
  readonly connection: Connection;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly say: (line: string) => Promise<void>;
}

interface ApiServerAt {
  /** `HOST:PORT` */
  readonly address: string;
  readonly transport: HttpTransport;
}

const PAGE = 500;
/** An API server looks at the file every 2 seconds. */
const RELOAD_MS = 20_000;
const LOOK_MS = 250;
const ANSWER_MS = 5_000;

/**
 * Rejects, and then every object is still readable: no step takes a key away before nothing needs it. Single steps are
 * for servers with a copy of the file each: they wait for the one that is asked.
 */
export async function rotate(o: RotateOptions): Promise<void> {
  const { server: known } = o.connection;
  const asked = { address: new URL(known).host, transport: o.transport };
  const readers = o.steps ? [] : await apiServers(o);
  try {
    await takeSteps(o, readers.length > 0 ? readers : [asked]);
  } finally {
    for (const { transport } of readers) transport.close();
  }
}

async function apiServers({ transport, connection }: RotateOptions): Promise<readonly ApiServerAt[]> {
  const kept = new Client(transport, "mini-kube").resource(leases, API_SERVER_LEASES.namespace);
  return apiServerAddresses((await kept.list()).items).map((address) => ({
    address,
    transport: new HttpTransport({
      connection: { ...connection, server: `https://${address}`, others: [] },
      userAgent: "mini-kube",
      answerTimeoutMs: ANSWER_MS,
    }),
  }));
}

async function takeSteps(o: RotateOptions, servers: readonly ApiServerAt[]): Promise<void> {
  for (const step of o.steps ?? STEPS) {
    if (step === "rewrite") {
      const { rules } = readEncryptionConfig(await readFile(o.file, "utf8"));
      const n = await rewriteAll(rules, o);
      await o.say(`rewrite: ${n} object${n === 1 ? "" : "s"} written anew, with the first key`);
      continue;
    }
    const { rules } = readEncryptionConfig(await readFile(o.file, "utf8"));
    const text = encryptionConfigText(rotation[step](rules));
    await replaceFile(o.file, text, 0o600);
    await Promise.all(servers.map((server) => untilInForce(text, server, o)));
    await o.say(`${step}: ${SAID[step]}`);
  }
}

const SAID: Readonly<Record<Exclude<Step, "rewrite">, string>> = {
  add: "a new key is there, which only reads as yet",
  promote: "the new key writes from now on",
  drop: "the old keys are gone",
};

export async function initEncryption(file: string): Promise<void> {
  if ((await readIfThere(file)) !== undefined)
    throw new Error(`${file} is there already: what was encrypted with its keys could not be read without it`);
  await replaceFile(file, newEncryptionConfig(), 0o600);
}

/** Resolves when the server has read this text, and nothing is on its way any more that it had encrypted before. */
async function untilInForce(text: string, server: ApiServerAt, { clock, signal, file }: RotateOptions): Promise<void> {
  const { hash } = readEncryptionConfig(text);
  const until = clock.now() + RELOAD_MS;
  for (;;) {
    const why = await whyNotInForce(hash, server, signal);
    if (why === undefined) return;
    if (clock.now() > until) {
      throw new Error(
        `the API server at ${server.address} has not taken ${file} into use within ${RELOAD_MS / 1000} s (${why}); nothing is lost: run the step again when it is mended, or each with --step where the servers have a copy of the file each`,
      );
    }
    await clock.sleep(LOOK_MS, signal);
  }
}

async function whyNotInForce(
  hash: string,
  { transport }: ApiServerAt,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    const there = (await transport.text("/metrics", {}, signal)).includes(`hash="${hash}"`);
    return there ? undefined : "is it the file it was started with? Its log says what is wrong";
  } catch (error) {
    signal.throwIfAborted();
    return (error as Error).message;
  }
}

type Kind = Pick<Call, "group" | "version" | "resource">;

/** How many objects of encrypted kinds there were. Each is written as it is: that makes the server encrypt it anew. */
export async function rewriteAll(
  rules: readonly ResourceRule[],
  o: Pick<RotateOptions, "transport" | "signal">,
): Promise<number> {
  let count = 0;
  for (const kind of await kindsOf(rules, o)) {
    let token = "";
    do {
      const params = { limit: String(PAGE), ...(token && { continue: token }) };
      const page = (await o.transport.call({ verb: "list", ...kind, params }, o.signal)) as ObjectList<ApiObject>;
      for (const item of page.items) await rewrite(kind, item, o);
      count += page.items.length;
      token = page.metadata.continue ?? "";
    } while (token !== "");
  }
  return count;
}

async function rewrite(kind: Kind, item: ApiObject, o: Pick<RotateOptions, "transport" | "signal">): Promise<void> {
  const { name = "", namespace } = item.metadata;
  const body = { ...item, apiVersion: kind.group ? `${kind.group}/${kind.version}` : kind.version };
  const call: Call = { verb: "update", ...kind, name, ...(namespace !== undefined && { namespace }), body };
  await o.transport.call(call, o.signal).catch((error: unknown) => {
    // Somebody else wrote it meanwhile, with the new key; or took it away.
    if (!isReason(error, "Conflict", "NotFound")) throw error;
  });
}

async function kindsOf(
  rules: readonly ResourceRule[],
  o: Pick<RotateOptions, "transport" | "signal">,
): Promise<Kind[]> {
  const names = rules.flatMap((r) => r.resources);
  const crds = { group: "apiextensions.k8s.io", version: "v1", resource: "customresourcedefinitions" };
  const found = (await o.transport.call({ verb: "list", ...crds }, o.signal)) as ObjectList<Crd>;
  const stored = builtIn.filter((d) => !d.virtual && !d.view && (d.verbs?.includes("update") ?? true));
  const kinds = [
    ...stored.map(({ group, version, plural }) => ({ group, version, resource: plural })),
    ...found.items.map(({ spec }) => ({
      group: spec.group,
      version: spec.versions.find((v) => v.storage)?.name ?? "",
      resource: spec.names.plural,
    })),
  ];
  return kinds.filter((k) => names.some((name) => covers(name, `${k.resource}.${k.group}`)));
}

interface Crd extends ApiObject {
  readonly spec: {
    readonly group: string;
    readonly names: { readonly plural: string };
    readonly versions: readonly { readonly name: string; readonly storage: boolean }[];
  };
}
