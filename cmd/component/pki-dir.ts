/** What a program reads from the folder that `mini-kube pki init` has made. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { UsageError } from "../../pkg/cli/io.ts";
import type { KeyPair } from "../../pkg/util/pki.ts";

/** The cluster's CA with its key. Rejects with what to do when it is not there. */
export async function readCa(dir: string | undefined): Promise<KeyPair> {
  if (dir === undefined) throw new UsageError("--pki-dir DIR is needed: the folder that mini-kube pki init has made");
  const [cert, key] = await Promise.all(["ca.crt", "ca.key"].map((name) => read(join(dir, name))));
  return { cert: cert ?? "", key: key ?? "" };
}

async function read(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code === "ENOENT" ? "is not there" : (error as Error).message;
    throw new Error(`${file}: ${why}; make the cluster's keys with: mini-kube pki init DIR`, { cause: error });
  }
}
