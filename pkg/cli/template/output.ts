/** The file that a template makes, and the program that reads it. */
import { spawn } from "node:child_process";
import { chmod, chown, link, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { CliError } from "../io.ts";
import type { Session } from "../session.ts";

export interface OutputOptions {
  readonly file: string;
  /** With `{}` for the new file's name it sees that before it is put in force; without, it looks at all there is. */
  readonly check?: string | undefined;
  readonly reload?: string | undefined;
}

const COMMAND_LIMIT_MS = 60_000;

/**
 * Guarantees:
 *
 *  T1  Who reads the file sees the old content or the new one, whole; its mode and owner stay.
 *  T2  Equal content is not written, and nothing is reloaded.
 *  T3  Content that the check refuses does not stay in force: the old one is there, and nothing is reloaded.
 */
export class Output {
  readonly #session: Session;
  readonly #o: OutputOptions;
  /** The program has not yet been told of what is in force. */
  #reloadDue = false;

  constructor(session: Session, o: OutputOptions) {
    this.#session = session;
    this.#o = o;
  }

  /** True when something has changed. Rejects with what the check, or the reload, had to say. */
  async put(text: string): Promise<boolean> {
    const changed = await this.#write(text);
    this.#reloadDue ||= changed;
    if (this.#reloadDue && this.#o.reload !== undefined) {
      await this.#run(this.#o.reload, "the reload command");
    }
    this.#reloadDue = false;
    return changed;
  }

  async #write(text: string): Promise<boolean> {
    const { file, check } = this.#o;
    const old = await readFile(file, "utf8").catch(missing);
    if (old === text) return false;
    const [next, kept] = [beside(file, "new"), beside(file, "old")];
    try {
      await writeFile(next, text, { mode: 0o644 });
      await keepMode(file, next);
      if (check?.includes("{}")) await this.#run(check.replaceAll("{}", quoted(next)), "the check");
      if (check === undefined || check.includes("{}")) await rename(next, file);
      else await this.#swapAndCheck(check, { next, kept, isNew: old === undefined });
      return true;
    } finally {
      await rm(next, { force: true });
      await rm(kept, { force: true });
    }
  }

  /** A check that reads the whole configuration has to find the new file in its place. */
  async #swapAndCheck(check: string, o: { next: string; kept: string; isNew: boolean }): Promise<void> {
    const { file } = this.#o;
    await rm(o.kept, { force: true });
    if (!o.isNew) await link(file, o.kept);
    await rename(o.next, file);
    try {
      await this.#run(check, "the check");
    } catch (error) {
      if (o.isNew) await rm(file, { force: true });
      else await rename(o.kept, file);
      throw error;
    }
  }

  #run(command: string, what: string): Promise<void> {
    const { clock, env } = this.#session.io;
    return new Promise((resolve, reject) => {
      const child = spawn("sh", ["-c", command], { stdio: ["ignore", "pipe", "pipe"], env: env as NodeJS.ProcessEnv });
      let said = "";
      for (const stream of [child.stdout, child.stderr]) {
        stream.on("data", (d: Buffer) => (said = (said + d.toString()).slice(-4_096)));
      }
      const late = clock.after(COMMAND_LIMIT_MS, () => child.kill("SIGKILL"));
      child.once("error", reject).once("close", (code, signal) => {
        late[Symbol.dispose]();
        if (code === 0) return resolve();
        const end = code === null ? `was ended by ${signal ?? "a signal"}` : `failed with exit code ${code}`;
        reject(new CliError(`${what} ${JSON.stringify(command)} ${end}${said.trim() && `:\n${said.trim()}`}`));
      });
    });
  }
}

/** In the same directory, or it could not take the file's place in one step. */
const beside = (file: string, what: string) => join(dirname(file), `.${basename(file)}.${what}`);
const quoted = (word: string) => `'${word.replaceAll("'", `'\\''`)}'`;

function missing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT") throw new CliError(error.message);
}

async function keepMode(file: string, next: string): Promise<void> {
  const found = await stat(file).catch(() => undefined);
  if (!found) return;
  await chmod(next, found.mode & 0o7777);
  await chown(next, found.uid, found.gid).catch(() => {}); // of another user, without the right to give it away
}
