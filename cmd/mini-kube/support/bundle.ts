/**
 * `mini-kube support-bundle`: what somebody needs who is to help, in one file.
 *
 *  B1  No Secret's value, token or key is in it (redact.ts).
 *  B2  It takes a bounded time and has a bounded size, whatever does not answer; what is missing is named in it.
 */
import { createWriteStream } from "node:fs";
import { mkdir, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import type { ApiObject } from "../../../pkg/api/object.ts";
import { packDirectory } from "../../../pkg/cli/build-context.ts";
import { CliError } from "../../../pkg/cli/io.ts";
import { CLIENT_VERSION, type GlobalFlags, type Session } from "../../../pkg/cli/session.ts";
import { humanSize } from "../../../pkg/cli/commands/images.ts";
import { factLines, verdictLines } from "../../../pkg/cli/status/print.ts";
import { HttpTransport } from "../../../pkg/client/http.ts";
import type { Connection } from "../../../pkg/client/kubeconfig.ts";
import { rfc3339 } from "../../../pkg/util/clock.ts";
import { askStatus, type Home, openHome } from "../home.ts";
import { connectionOf, reportOf } from "../status.ts";
import { clusterParts, homeParts, machineParts, type Part, podParts } from "./parts.ts";
import { redact, secretValues, type Values } from "./redact.ts";

export interface BundleFlags extends GlobalFlags {
  readonly output?: string;
}

const PART_MS = 10_000;
const ALL_MS = 60_000;
const AT_A_TIME = 4;
const PART_BYTES = 8 * 1024 * 1024;
const ALL_BYTES = 128 * 1024 * 1024;
const CONNECT_MS = 3_000;
/** Who may not read them sees none of them in logs either way; what looks like one is taken out all the same. */
const NO_SECRETS = "the values of Secrets, to look for them in logs";

export async function supportBundle(session: Session, flags: BundleFlags): Promise<void> {
  const { io } = session;
  const env = io.env as NodeJS.ProcessEnv;
  const home = openHome({ env });
  const at = rfc3339(io.clock.now());
  const file = resolve(flags.output ?? `mini-kube-support-${at.replaceAll(/[:]/g, "-")}.tar.gz`);
  const scratch = await mkdtemp(join(tmpdir(), "mini-kube-support-"));
  const bundle = new Bundle(
    join(scratch, "mini-kube-support"),
    AbortSignal.any([io.signal, AbortSignal.timeout(ALL_MS)]),
  );
  try {
    const connection = await connectionFor(session, flags, home);
    // Before anything else: from here on none of their values is written down.
    if (connection) bundle.hidden = await bundle.tried(NO_SECRETS, new Map(), () => secretsOf(connection));
    // What is here is there in any case; a cluster that is half dead may take all the time that is left.
    await bundle.add([...homeParts(home), ...machineParts(env)]);
    if (connection) await addCluster(bundle, session, connection, home);
    else await bundle.failed("cluster", "no cluster runs here, and no kubeconfig names one");
    await bundle.finish({ at, version: CLIENT_VERSION, node: process.version });
    await pipeline(packDirectory(scratch), createGzip(), createWriteStream(file, { mode: 0o600 }));
  } catch (error) {
    throw new CliError(`the bundle could not be written: ${(error as Error).message}`);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  const missing = bundle.failures.length;
  await session.say(`${file}: ${bundle.files} files, ${humanSize((await stat(file)).size)}`);
  if (missing > 0) session.note(`${missing} parts could not be had; they are named in it, in missing.txt`);
  session.note("values of Secrets, tokens and keys are taken out; look through it before you give it away");
}

/** Undefined: there is none. */
async function connectionFor(session: Session, flags: GlobalFlags, home: Home): Promise<Connection | undefined> {
  const named = flags.kubeconfig ?? flags.context ?? session.io.env["KUBECONFIG"];
  try {
    if (named === undefined && (await askStatus(home).catch(() => null)) !== undefined) return connectionOf(home);
    return session.context.connection;
  } catch (error) {
    if (named !== undefined) throw error;
    return undefined;
  }
}

async function addCluster(bundle: Bundle, session: Session, connection: Connection, home: Home): Promise<void> {
  const transport = transportTo(connection);
  try {
    const running = await askStatus(home).catch(() => undefined);
    const own = running && running.server === connection.server ? running : undefined;
    const report = await reportOf(session, connection, own, own && home);
    const lines = [...(report.cluster ? factLines(report.cluster) : []), ...verdictLines(report.verdicts)];
    await bundle.add([
      { file: "status.txt", read: async () => `${lines.join("\n")}\n` },
      { file: "status.json", read: async () => JSON.stringify(report, undefined, 2) },
    ]);
    if (!report.cluster) return await bundle.failed("objects, events, metrics", report.verdicts[0]?.text ?? "");
    await bundle.add(clusterParts(transport));
    await bundle.addFrom("logs/pods", (signal) => podParts(transport, signal));
  } finally {
    transport.close();
  }
}

const transportTo = (connection: Connection) =>
  new HttpTransport({
    connection,
    userAgent: `mini-kube/${CLIENT_VERSION} support-bundle`,
    connectTimeoutMs: CONNECT_MS,
    answerTimeoutMs: PART_MS,
  });

async function secretsOf(connection: Connection): Promise<Values> {
  const transport = transportTo(connection);
  try {
    const { items } = JSON.parse(await transport.text("/api/v1/secrets")) as { items: ApiObject[] };
    return secretValues(items);
  } finally {
    transport.close();
  }
}

/** A directory that fills. Never rejects for what a part does. */
export class Bundle {
  readonly failures: string[] = [];
  files = 0;
  /** Values that must not be in any file from here on. */
  hidden: Values = new Map();
  readonly #dir: string;
  readonly #signal: AbortSignal;
  #bytes = 0;

  constructor(dir: string, signal: AbortSignal) {
    this.#dir = dir;
    this.#signal = signal;
  }

  /** What `how` gives; `otherwise`, if it does not. */
  async tried<T>(what: string, otherwise: T, how: () => Promise<T>): Promise<T> {
    try {
      return await how();
    } catch (error) {
      await this.failed(what, (error as Error).message);
      return otherwise;
    }
  }

  async add(parts: readonly Part[]): Promise<void> {
    const waiting = [...parts];
    const worker = async () => {
      for (let part = waiting.shift(); part; part = waiting.shift()) await this.#one(part);
    };
    await Promise.all(Array.from({ length: AT_A_TIME }, worker));
  }

  /** Parts that have to be found out themselves. */
  async addFrom(what: string, find: (signal: AbortSignal) => Promise<readonly Part[]>): Promise<void> {
    await this.add(await this.tried(what, [], () => find(this.#limit())));
  }

  async failed(what: string, why: string): Promise<void> {
    this.failures.push(`${what}: ${redact(why, this.hidden).split("\n")[0] ?? ""}`);
  }

  async finish(about: object): Promise<void> {
    await this.#write("about.json", JSON.stringify(about, undefined, 2));
    await this.#write("missing.txt", this.failures.map((f) => `${f}\n`).join("") || "nothing\n");
  }

  async #one({ file, read }: Part): Promise<void> {
    try {
      if (this.#bytes > ALL_BYTES) throw new Error(`left out: the bundle has ${humanSize(this.#bytes)} already`);
      const signal = this.#limit();
      const text = await Promise.race([read(signal), aborted(signal)]);
      await this.#write(file, redact(text, this.hidden));
    } catch (error) {
      await this.failed(file, (error as Error).message);
    }
  }

  #limit(): AbortSignal {
    return AbortSignal.any([this.#signal, AbortSignal.timeout(PART_MS)]);
  }

  async #write(file: string, text: string): Promise<void> {
    const path = join(this.#dir, file);
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    // The end of it: what happened last.
    const kept =
      text.length > PART_BYTES
        ? `[the first ${text.length - PART_BYTES} characters are left out]\n${text.slice(-PART_BYTES)}`
        : text;
    await writeFile(path, kept, { mode: 0o600 });
    this.files++;
    this.#bytes += kept.length;
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, fail) => {
    const late = () => fail(new Error("it took too long"));
    if (signal.aborted) late();
    else signal.addEventListener("abort", late, { once: true });
  });
}
