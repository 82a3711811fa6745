/**
 * Which images this node's agent has pulled, and when each was last used. What is not in it is somebody's own (built
 * here, pulled by hand, loaded) and is never cleared away; so if the file is lost, nothing else is.
 */
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { Logger } from "../../util/log.ts";

export interface Pulled {
  /** As Pods call it. */
  readonly names: readonly string[];
  /** Milliseconds since the epoch. */
  readonly pulledAt: number;
  /** Absent: never yet. */
  readonly usedAt?: number;
}

export class PulledImages {
  readonly #file: string;
  readonly #log: Logger;
  readonly #images = new Map<string, Pulled>();
  #changed = false;
  #saving = Promise.resolve();

  constructor(o: { readonly file: string; readonly log: Logger }) {
    this.#file = o.file;
    this.#log = o.log;
  }

  /** By the image's id. */
  get images(): ReadonlyMap<string, Pulled> {
    return this.#images;
  }

  /** What an earlier agent has written. Never fails: an unreadable file is none. */
  async load(): Promise<void> {
    try {
      const kept = JSON.parse(await readFile(this.#file, "utf8")) as Record<string, Pulled>;
      for (const [id, image] of Object.entries(kept)) this.#images.set(id, image);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") this.#log.warn({ err: error }, "pulled images forgotten");
    }
  }

  has(id: string): boolean {
    return this.#images.has(id);
  }

  pulled(id: string, name: string, now: number): void {
    const known = this.#images.get(id);
    const names = [...new Set([...(known?.names ?? []), name])];
    this.#set(id, { ...known, names, pulledAt: known?.pulledAt ?? now });
    void this.save();
  }

  /** Written with the next {@link save}. */
  used(id: string, now: number): void {
    const known = this.#images.get(id);
    if (known) this.#set(id, { ...known, usedAt: now });
  }

  forget(id: string): void {
    this.#changed = this.#images.delete(id) || this.#changed;
  }

  /** Resolves when all is written, or has failed and was logged. */
  save(): Promise<void> {
    this.#saving = this.#saving.then(async () => {
      if (!this.#changed) return;
      this.#changed = false;
      try {
        await mkdir(dirname(this.#file), { recursive: true });
        await writeFile(`${this.#file}.new`, JSON.stringify(Object.fromEntries(this.#images)));
        await rename(`${this.#file}.new`, this.#file);
      } catch (error) {
        this.#log.debug({ err: error }, "pulled images not written down; they would stay for ever");
      }
    });
    return this.#saving;
  }

  #set(id: string, image: Pulled): void {
    this.#images.set(id, image);
    this.#changed = true;
  }
}
