/**
 * What clients saw of the cluster. A register is a ConfigMap that all of them read and change (by compare-and-swap on its
 * resourceVersion); its values are written once each, so that a value says which write it is of.
 */

/**
 * What became of a call: `ok`; `failed`: the server said no, nothing happened; `unknown`: no answer came, so it may have
 * happened, or may yet happen.
 */
export type Outcome = "ok" | "failed" | "unknown";

interface Call {
  readonly client: number;
  /** The server asked. */
  readonly server: string;
  readonly key: string;
  /** Milliseconds, one clock for all; `end` of an unknown one: when the client gave up. */
  readonly start: number;
  readonly end: number;
  readonly outcome: Outcome;
  /** The resourceVersion of the answer, where there is one. */
  readonly revision?: bigint | undefined;
  readonly error?: string | undefined;
}

export interface ReadCall extends Call {
  readonly op: "read";
  /** Undefined: there is no such object. */
  readonly value: string | undefined;
}

export interface WriteCall extends Call {
  readonly op: "write";
  /** What it replaces; undefined: it makes the object. */
  readonly expected: string | undefined;
  readonly value: string;
}

export type Operation = ReadCall | WriteCall;

/** What one watcher was told, in the order it was told. */
export interface Watched {
  readonly watcher: string;
  readonly events: readonly { readonly key: string; readonly value: string; readonly revision: bigint }[];
  /**
   * Where the server could not go on (it was started anew, say, and knows nothing so old) and the watcher listed again, as
   * every client must: of what was written within, `from` < revision ≤ `to`, it was told the last of each register only.
   */
  readonly gaps: readonly { readonly from: bigint; readonly to: bigint }[];
}

export const isWrite = (o: Operation): o is WriteCall => o.op === "write";

export function byKey<T extends { readonly key: string }>(all: readonly T[]): Map<string, T[]> {
  const found = new Map<string, T[]>();
  for (const one of all) {
    const list = found.get(one.key);
    if (list) list.push(one);
    else found.set(one.key, [one]);
  }
  return found;
}
