/** The one table of this cluster in the kernel: text in by the `nft` program, all of it or nothing. */
import { spawn } from "node:child_process";

/** What the loop needs of the kernel; tests bring their own. */
export interface NftTable {
  readonly name: string;
  /** Commands of `nft -f`, applied as one transaction. Rejects with {@link NftError}. */
  apply(commands: string, signal: AbortSignal): Promise<void>;
  /** Whether the table is still there: a firewall that is loaded anew flushes all of them. */
  exists(signal: AbortSignal): Promise<boolean>;
}

export class NftError extends Error {
  override readonly name = "NftError";
  /** The program is not installed, or not ours to use: trying again helps nobody. */
  readonly unavailable: boolean;

  constructor(message: string, o: { unavailable?: boolean } = {}) {
    super(message);
    this.unavailable = o.unavailable ?? false;
  }
}

/** A shell without root's PATH has no sbin. */
const PROGRAMS = ["nft", "/usr/sbin/nft"];
/** A ruleset that the kernel has not taken by then it will not take. */
const LIMIT_MS = 30_000;
/** Of what the program complains about: enough to see what it is. */
const MESSAGE_LENGTH = 2_000;

/** `id`: of the cluster; two clusters on one machine do not meet. */
export const tableName = (id: string) => `mini-kube-${id.slice(0, 8)}`;

export function nftTable(name: string): NftTable {
  return {
    name,
    async apply(commands, signal) {
      await nft(["-f", "-"], commands, signal);
    },
    async exists(signal) {
      const tables = await nft(["list", "tables", "ip"], "", signal);
      return tables.split("\n").includes(`table ip ${name}`);
    },
  };
}

/** Why there can be no table here, in words for the user; undefined when there can. */
export async function nftUnavailable(signal: AbortSignal): Promise<string | undefined> {
  try {
    // A listing needs the same rights as a change.
    await nft(["list", "tables"], "", signal);
    return undefined;
  } catch (error) {
    if (error instanceof NftError && error.unavailable) return error.message;
    throw error;
  }
}

/** Idempotent. */
export async function removeTable(name: string, signal: AbortSignal): Promise<void> {
  await nft(["-f", "-"], `add table ip ${name}\ndelete table ip ${name}\n`, signal);
}

async function nft(args: readonly string[], input: string, signal: AbortSignal): Promise<string> {
  const within = AbortSignal.any([signal, AbortSignal.timeout(LIMIT_MS)]);
  for (const program of PROGRAMS) {
    const answer = await run(program, args, input, within);
    if (answer === undefined) continue;
    if (answer.code === 0) return answer.out;
    const message = answer.err.trim().slice(0, MESSAGE_LENGTH);
    const forbidden = /Operation not permitted|must be root/i.test(message);
    throw new NftError(forbidden ? "nftables needs root (CAP_NET_ADMIN)" : `nft: ${message}`, {
      unavailable: forbidden,
    });
  }
  const missing = "the program nft is missing; install it with: apt-get install nftables";
  throw new NftError(missing, { unavailable: true });
}

interface Answer {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Undefined: there is no such program. */
function run(
  program: string,
  args: readonly string[],
  input: string,
  signal: AbortSignal,
): Promise<Answer | undefined> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: "pipe", signal });
    let [out, err] = ["", ""];
    child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (err += text));
    child.stdin.on("error", () => {}); // it ended before it had read all: its code tells
    child.once("error", (error: NodeJS.ErrnoException) =>
      error.code === "ENOENT" ? resolve(undefined) : reject(error),
    );
    child.once("close", (code) => resolve({ code, out, err }));
    child.stdin.end(input);
  });
}
