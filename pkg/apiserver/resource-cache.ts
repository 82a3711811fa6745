/** All objects of one kind in memory, their recent changes, and who watches them. */
import type { ResourceDef } from "../api/resource.ts";
import { ApiError } from "../api/status.ts";
import type { Revision } from "../store/store.ts";
import { Change, type Entry, Notice } from "./entry.ts";
import { prefixOf } from "./keys.ts";
import { type Selection, fieldValue } from "./selection.ts";
import { WATCH_QUEUE_LIMIT, Watcher } from "./watcher.ts";

/** Changes younger than this are kept for watches that come back … */
const HISTORY_MS = 75_000;
/** … but at least so many, and at most so many. */
const HISTORY_MIN = 256;
const HISTORY_MAX = 16_384;
/** So many objects that cannot be read are named at once. */
const UNREADABLE_TOLD = 10;

interface Unreadable {
  readonly why: string;
  readonly revision: Revision;
}

interface Subscription {
  readonly selection: Selection;
  readonly watcher: Watcher;
}

export interface SubscribeOptions {
  readonly selection: Selection;
  /** Changes after this revision; undefined: what there is as ADDED first, then every change. */
  readonly from: Revision | undefined;
  /** Ends the initial part; only with `from` undefined. */
  readonly endOfInitial?: Notice;
  readonly onEnd?: () => void;
  /** The view under which the watcher sees the objects. */
  readonly shownAs?: ResourceDef | undefined;
}

/**
 *  C1  Entries are shared and never changed; a new revision is a new Entry.
 *  C2  A subscription misses nothing and repeats nothing: it is made in the same turn in which history or entries are read.
 *  C3  A change costs its own subscribers: those indexed under another field value are not looked at.
 *  C4  A change is applied at most once, however often the store tells it.
 *  C5  The history is in the order of revisions, and so is what `changedAt` says.
 */
export class ResourceCache {
  #def: ResourceDef;
  readonly #queueLimit: number;
  readonly #entries = new Map<string, Entry>();
  /** What is there but cannot be decoded, and why. */
  readonly #unreadable = new Map<string, Unreadable>();
  /** The keys in byte order, made when somebody lists. */
  #sorted: string[] | undefined;
  #history: Change[] = [];
  /** History is complete after this revision. */
  #since: Revision = 0n;
  #changedAt: Revision = 0n;
  readonly #subscriptions = new Set<Subscription>();
  readonly #unindexed = new Set<Subscription>();
  /** field → value → who watches only that. */
  readonly #indexed = new Map<string, Map<string, Set<Subscription>>>();

  constructor(def: ResourceDef, o: { queueLimit?: number } = {}) {
    this.#def = def;
    this.#queueLimit = o.queueLimit ?? WATCH_QUEUE_LIMIT;
  }

  get def(): ResourceDef {
    return this.#def;
  }

  /** The same kind with a new schema. */
  redefine(def: ResourceDef): void {
    this.#def = def;
  }

  /** The revision of the last change of any object of this kind. */
  get changedAt(): Revision {
    return this.#changedAt;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** How many watch. */
  get watchers(): number {
    return this.#subscriptions.size;
  }

  get(key: string): Entry | undefined {
    return this.#entries.get(key);
  }

  entries(): IterableIterator<Entry> {
    return this.#entries.values();
  }

  /** Throws InternalError when one of the objects below `prefix` (or the one of that key) is there but cannot be read. */
  checkReadable(prefix: string): void {
    if (this.#unreadable.size === 0) return;
    const whys = [...this.#unreadable]
      .filter(([key]) => (prefix.endsWith("/") ? key.startsWith(prefix) : key === prefix))
      .map(([, { why }]) => why);
    const more = whys.length > UNREADABLE_TOLD ? [`and ${whys.length - UNREADABLE_TOLD} more`] : [];
    const told = [...whys.slice(0, UNREADABLE_TOLD), ...more].join("; ");
    if (whys.length > 0) throw new ApiError("InternalError", `Internal error occurred: ${told}`);
  }

  /** It is there, and cannot be shown: neither what it was before. */
  hide(key: string, what: Unreadable, seenAt: number): void {
    this.delete(key, what.revision, seenAt);
    this.#unreadable.set(key, what);
  }

  get hidden(): readonly string[] {
    return [...this.#unreadable.keys()];
  }

  /** What was hidden at the entry's revision, and still is, can be read after all: a change as of `at`, the present. */
  show(entry: Entry, at: Revision, seenAt: number): void {
    if (this.#unreadable.get(entry.key)?.revision === entry.revision) this.#put(entry, at, seenAt);
  }

  /** In key order, those of one namespace or ("") all, behind the key `after`. */
  *sorted(namespace: string, after?: string): Generator<Entry, void, void> {
    this.#sorted ??= [...this.#entries.keys()].sort();
    const keys = this.#sorted;
    const prefix = prefixOf(this.def, namespace);
    let i = after === undefined ? lowerBound(keys, prefix) : lowerBound(keys, after);
    if (after !== undefined && keys[i] === after) i++;
    for (; i < keys.length; i++) {
      const key = keys[i] ?? "";
      if (!key.startsWith(prefix)) return;
      const entry = this.#entries.get(key);
      if (entry) yield entry;
    }
  }

  /** Everything anew, as of `revision`: what was known before is no longer connected to it, so all watches end. */
  reset(entries: readonly Entry[], revision: Revision): void {
    this.#entries.clear();
    this.#unreadable.clear();
    for (const entry of entries) this.#entries.set(entry.key, entry);
    this.#sorted = undefined;
    this.#history = [];
    this.#since = revision;
    this.#changedAt = revision;
    for (const { watcher } of this.#subscriptions) watcher.end();
  }

  put(entry: Entry, seenAt: number): void {
    this.#put(entry, entry.revision, seenAt);
  }

  #put(entry: Entry, revision: Revision, seenAt: number): void {
    this.#unreadable.delete(entry.key);
    const old = this.#entries.get(entry.key);
    if (old && old.revision >= entry.revision) return;
    this.#entries.set(entry.key, entry);
    if (!old) this.#sorted = undefined;
    this.#changed(new Change({ revision, old, now: entry, seenAt }));
  }

  delete(key: string, revision: Revision, seenAt: number): void {
    this.#unreadable.delete(key);
    const old = this.#entries.get(key);
    if (!old || old.revision > revision) return;
    this.#entries.delete(key);
    this.#sorted = undefined;
    this.#changed(new Change({ revision, old, now: undefined, seenAt }));
  }

  /** Throws Expired when `from` is older than the history. */
  subscribe(o: SubscribeOptions): Watcher {
    const watcher = new Watcher({
      initial: this.#initial(o),
      limit: this.#queueLimit,
      shownAs: o.shownAs,
      onEnd: () => {
        this.#forget(subscription);
        o.onEnd?.();
      },
    });
    const subscription: Subscription = { selection: o.selection, watcher };
    this.#subscriptions.add(subscription);
    this.#bucket(o.selection).add(subscription);
    return watcher;
  }

  /** All watches end; for shutdown. */
  close(): void {
    for (const { watcher } of this.#subscriptions) watcher.end();
  }

  #initial(o: SubscribeOptions): Notice[] {
    const notices: Notice[] = [];
    if (o.from === undefined) {
      for (const entry of this.sorted(o.selection.namespace)) {
        if (o.selection.matches(entry.object)) notices.push(new Notice("ADDED", entry));
      }
      if (o.endOfInitial) notices.push(o.endOfInitial);
      return notices;
    }
    const { from } = o;
    if (from < this.#since) throw new ApiError("Expired", `too old resource version: ${from} (${this.#since})`);
    const first = this.#history.findLastIndex((c) => c.revision < from || (c.revision === from && !c.late)) + 1;
    for (let i = first; i < this.#history.length; i++) {
      const change = this.#history[i];
      const notice = change && noticeFor(o.selection, change);
      if (notice) notices.push(notice);
    }
    return notices;
  }

  #changed(change: Change): void {
    this.#changedAt = change.revision;
    this.#remember(change);
    for (const s of this.#unindexed) tell(s, change);
    for (const [field, byValue] of this.#indexed) {
      const before = change.old && fieldValue(this.def, field, change.old.object);
      const after = change.now && fieldValue(this.def, field, change.now.object);
      if (after !== undefined) for (const s of byValue.get(after) ?? []) tell(s, change);
      if (before !== undefined && before !== after) for (const s of byValue.get(before) ?? []) tell(s, change);
    }
  }

  #remember(change: Change): void {
    const history = this.#history;
    history.push(change);
    // Looked at in blocks, so that the cost of one change stays constant.
    if (history.length % HISTORY_MIN === 0) this.forget(change.seenAt);
  }

  /** Drops what of the history nobody needs any more: to be called now and then, for the time after the last change. */
  forget(now: number): void {
    const history = this.#history;
    const old = history.findIndex((c) => c.seenAt >= now - HISTORY_MS);
    const young = old < 0 ? 0 : history.length - old;
    const drop = history.length - Math.min(Math.max(young, HISTORY_MIN), HISTORY_MAX);
    if (drop <= 0) return;
    this.#since = history[drop - 1]?.revision ?? this.#since;
    this.#history = history.slice(drop);
  }

  #bucket(selection: Selection): Set<Subscription> {
    if (!selection.index) return this.#unindexed;
    const { field, value } = selection.index;
    const byValue = this.#indexed.get(field) ?? new Map<string, Set<Subscription>>();
    this.#indexed.set(field, byValue);
    const bucket = byValue.get(value) ?? new Set<Subscription>();
    byValue.set(value, bucket);
    return bucket;
  }

  #forget(s: Subscription): void {
    this.#subscriptions.delete(s);
    const bucket = this.#bucket(s.selection);
    bucket.delete(s);
    if (bucket.size > 0 || !s.selection.index) return;
    const { field, value } = s.selection.index;
    const byValue = this.#indexed.get(field);
    byValue?.delete(value);
    if (byValue?.size === 0) this.#indexed.delete(field);
  }
}

function noticeFor(selection: Selection, change: Change): Notice | undefined {
  const before = change.old !== undefined && selection.matches(change.old.object);
  const after = change.now !== undefined && selection.matches(change.now.object);
  return change.noticeFor(before, after);
}

function tell(s: Subscription, change: Change): void {
  const notice = noticeFor(s.selection, change);
  if (notice) s.watcher.push(notice);
}

/** The index of the first key ≥ `key`. */
function lowerBound(keys: readonly string[], key: string): number {
  let [low, high] = [0, keys.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] ?? "") < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
