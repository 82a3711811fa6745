/** Encryption at rest, put together: the key file, the proof that it fits, the store that uses it, and its changes. */
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import type { Store } from "../../store/store.ts";
import type { Clock } from "../../util/clock.ts";
import type { Logger } from "../../util/log.ts";
import type { Metrics } from "../../util/metrics.ts";
import { readIfThere, replaceFile } from "../../util/files.ts";
import { Ciphers } from "./ciphers.ts";
import { type EncryptionConfig, newEncryptionConfig, readEncryptionConfig } from "./config.ts";
import { EncryptedStore } from "./encrypted-store.ts";
import { type KeyPlace, keysNeeded, MissingKeys, proveKeys } from "./proof.ts";

const LOOK_MS = 2_000;

export interface EncryptionOptions {
  /** An EncryptionConfiguration. Undefined: nothing is encrypted. */
  readonly file: string | undefined;
  /** Where the file is not there, and the store needs none yet, it is made. */
  readonly create: boolean;
  /** What this machine is called where it is to be found. */
  readonly machine: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** How often the file is looked at; default every 2 seconds. */
  readonly lookMs?: number;
}

export interface Encryption {
  readonly store: Store;
  /** `changed` is called after other keys are in force; until it succeeds. */
  onReload(changed: () => Promise<void>): void;
  metrics(m: Metrics): void;
  /** Ends the look at the file; the store stays open. */
  close(): void;
}

/**
 * What is used in place of `store`. Rejects with a sentence that says what to do when the file cannot be read or
 * understood, or when its keys are not those of the store; then nothing was written.
 */
export async function openEncryption(store: Store, o: EncryptionOptions): Promise<Encryption> {
  const { file } = o;
  if (file === undefined) {
    const needed = await keysNeeded(store);
    if (needed) throw new MissingKeys(needed.from, undefined);
    return { store, onReload: () => {}, metrics: () => {}, close: () => {} };
  }
  const text = (await textOf(file)) ?? (await firstText(store, { machine: o.machine, file }, o.create));
  const place = { machine: o.machine, file };
  const config = parse(text, file);
  await proveKeys(store, config, place);
  const encrypted = new EncryptedStore(store, new Ciphers(config));
  let inForce = config.hash;
  const reload = new Reload(o.log, file, async (next) => {
    await proveKeys(store, next, place);
    await encrypted.use(new Ciphers(next));
    inForce = next.hash;
  });
  void reload.run(text, o.clock, o.lookMs ?? LOOK_MS);
  return {
    store: encrypted,
    onReload: (changed) => void (reload.changed = changed),
    metrics: (m) => reload.metrics(m, () => inForce),
    close: () => reload.stop(),
  };
}

async function textOf(file: string): Promise<string | undefined> {
  try {
    return await readIfThere(file);
  } catch (error) {
    throw new Error(`${file}: ${(error as Error).message}`, { cause: error });
  }
}

async function firstText(store: Store, place: KeyPlace, create: boolean): Promise<string> {
  const needed = await keysNeeded(store);
  if (needed) throw new MissingKeys(needed.from, place);
  const { file } = place;
  if (!create) throw new Error(`${file}: there is no such file; make one with: mini-kube encryption init ${file}`);
  const text = newEncryptionConfig();
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await replaceFile(file, text, 0o600);
  return text;
}

function parse(text: string, file: string): EncryptionConfig {
  try {
    return readEncryptionConfig(text);
  } catch (error) {
    throw new Error(`${file}: ${(error as Error).message}`, { cause: error });
  }
}

/** Looks at the file now and then. What cannot be used changes nothing, and is said; what may pass is tried again. */
class Reload {
  readonly #log: Logger;
  readonly #file: string;
  readonly #use: (next: EncryptionConfig) => Promise<void>;
  readonly #stop = new AbortController();
  #text = "";
  #counts = { success: 0, failure: 0 };
  #changed: () => Promise<void> = () => Promise.resolve();
  /** Nobody has been told of a change that is in force. */
  #untold = false;

  constructor(log: Logger, file: string, use: (next: EncryptionConfig) => Promise<void>) {
    this.#log = log;
    this.#file = file;
    this.#use = use;
  }

  set changed(tell: () => Promise<void>) {
    this.#changed = tell;
  }

  async run(text: string, clock: Clock, everyMs: number): Promise<void> {
    this.#text = text;
    const { signal } = this.#stop;
    for (;;) {
      await clock.sleep(everyMs, signal).catch(() => {}); // an abort
      if (signal.aborted) return;
      await this.#read();
      await this.#tell();
    }
  }

  stop(): void {
    this.#stop.abort();
  }

  metrics(m: Metrics, hash: () => string): void {
    const name = "apiserver_encryption_config_controller_";
    m.gauge(
      {
        name: `${name}last_config_info`,
        help: "The encryption configuration in force, by its hash.",
        labels: ["hash"],
      },
      () => [[{ hash: hash() }, 1]],
    );
    m.gauge(
      {
        name: `${name}automatic_reloads_total`,
        help: "How often a changed encryption configuration was read, by success.",
        labels: ["status"],
      },
      () => Object.entries(this.#counts).map(([status, n]) => [{ status }, n] as const),
    );
  }

  async #read(): Promise<void> {
    const text = await textOf(this.#file).catch(() => undefined);
    if (text === undefined || text === this.#text) return;
    let next: EncryptionConfig | undefined;
    try {
      next = parse(text, this.#file);
      await this.#use(next);
      this.#text = text;
      this.#counts.success += 1;
      this.#untold = true;
      this.#log.info({ file: this.#file }, "the encryption configuration has changed and is in force");
    } catch (error) {
      // What else fails is the store, which comes back.
      if (!next || error instanceof MissingKeys) this.#text = text;
      this.#counts.failure += 1;
      this.#log.error({ file: this.#file, error }, "the changed encryption configuration is not used");
    }
  }

  async #tell(): Promise<void> {
    if (!this.#untold) return;
    try {
      await this.#changed();
      this.#untold = false;
    } catch (error) {
      this.#log.warn({ error }, "what could not be decrypted was not read again, will retry");
    }
  }
}
