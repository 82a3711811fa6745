/** The files of Docker's json-file driver, seen from beside the daemon: a look at them asks nobody. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { DockerApi } from "./api.ts";

const ASK_LIMIT_MS = 10_000;

export class LogFiles {
  readonly #api: DockerApi;
  #root: Promise<string | undefined> | undefined;

  constructor(api: DockerApi) {
    this.#api = api;
  }

  /** Of all rotated files of a container, together; undefined on another machine than the daemon's, or without the right. */
  async size(id: string): Promise<number | undefined> {
    const root = await (this.#root ??= this.#ask());
    if (root === undefined) return undefined;
    const directory = join(root, "containers", id);
    try {
      const files = (await readdir(directory)).filter((f) => f.startsWith(`${id}-json.log`));
      const sizes = await Promise.all(files.map(async (f) => (await stat(join(directory, f))).size));
      return sizes.reduce((sum, n) => sum + n, 0);
    } catch {
      return undefined;
    }
  }

  async #ask(): Promise<string | undefined> {
    try {
      const signal = AbortSignal.timeout(ASK_LIMIT_MS);
      const { DockerRootDir } = await this.#api.request<{ DockerRootDir: string }>({ path: "/info", signal });
      return DockerRootDir;
    } catch {
      this.#root = undefined;
      return undefined;
    }
  }
}
