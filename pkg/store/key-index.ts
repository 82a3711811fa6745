import { compareKeys, SortedKeys } from "./sorted-keys.ts";
import type { Revision } from "./store.ts";

/** One state of a key: written at `revision`; `createRevision` is 0n where it was deleted. */
export interface Version {
  readonly revision: Revision;
  readonly createRevision: Revision;
}

/** Versions that a compaction forgets. */
export type Superseded = ReadonlyMap<string, ReadonlySet<Revision>>;

/**
 * Which key had a value at which revision, as etcd's treeIndex: keys and numbers only, in memory; the values stay in
 * the {@link RevisionLog}, found by revision.
 */
export class KeyIndex {
  #keys = new SortedKeys();
  /** Per key: ascending by revision, never empty. */
  #versions = new Map<string, Version[]>();

  append(key: string, version: Version): void {
    const versions = this.#versions.get(key);
    if (versions) {
      versions.push(version);
    } else {
      this.#versions.set(key, [version]);
      this.#keys.add(key);
    }
  }

  /** The version visible at `revision`; undefined where the key does not exist then. */
  at(key: string, revision: Revision): Version | undefined {
    const versions = this.#versions.get(key);
    const version = versions?.[lastUpTo(versions, revision)];
    return version?.createRevision ? version : undefined;
  }

  /** Every key ever seen (and not compacted away) under the prefix and behind `after`, in byte order. */
  *range(prefix: string, after = ""): Generator<string, void, void> {
    // No key lies between `after` and `after` + NUL.
    const start = after !== "" && compareKeys(after, prefix) >= 0 ? `${after}\0` : prefix;
    for (const key of this.#keys.from(start)) {
      if (!key.startsWith(prefix)) return;
      yield key;
    }
  }

  /** Takes back what was appended above `revision`: the commit failed. */
  rollback(keys: Iterable<string>, revision: Revision): void {
    for (const key of keys) {
      const versions = this.#versions.get(key);
      if (!versions) continue;
      versions.length = lastUpTo(versions, revision) + 1;
      this.#dropIfEmpty(key, versions);
    }
  }

  /** What no read at or above `revision` can see: overwritten or deleted by then, and the deletions themselves. */
  supersededAt(revision: Revision): Superseded {
    const superseded = new Map<string, Set<Revision>>();
    for (const [key, versions] of this.#versions) {
      const visible = lastUpTo(versions, revision);
      const count = versions[visible]?.createRevision === 0n ? visible + 1 : visible;
      if (count > 0) superseded.set(key, new Set(versions.slice(0, count).map((v) => v.revision)));
    }
    return superseded;
  }

  forget(superseded: Superseded): void {
    for (const [key, revisions] of superseded) {
      const versions = this.#versions.get(key);
      if (!versions) continue;
      versions.splice(0, revisions.size);
      this.#dropIfEmpty(key, versions);
    }
  }

  #dropIfEmpty(key: string, versions: readonly Version[]): void {
    if (versions.length > 0) return;
    this.#versions.delete(key);
    this.#keys.delete(key);
  }
}

/** The index of the last version with a revision ≤ `revision`; -1 if there is none. Mostly that is the newest. */
function lastUpTo(versions: readonly Version[], revision: Revision): number {
  let i = versions.length - 1;
  if ((versions[i]?.revision ?? 0n) <= revision) return i;
  let lo = 0;
  while (lo < i) {
    const mid = (lo + i) >>> 1;
    if ((versions[mid]?.revision ?? 0n) <= revision) lo = mid + 1;
    else i = mid;
  }
  return lo - 1;
}
