/**
 * Objects as the server holds them: in the store as JSON without resourceVersion (the revision is the truth), in memory
 * as an {@link Entry}.
 */
import { withSharedFields } from "../api/apply/managers.ts";
import type { ApiObject, WatchEventType } from "../api/object.ts";
import type { ResourceDef } from "../api/resource.ts";
import type { KeyValue, Revision } from "../store/store.ts";
import type { DeepReadonly } from "../util/types.ts";
import { isEncrypted, unreadable } from "./encryption/ciphers.ts";
import { viewed } from "./view.ts";

/** One object at one revision with its encoding, made at most once and shared by every get, list and watch. */
export class Entry {
  readonly key: string;
  /** Keys in the order apiVersion, kind, metadata, rest; metadata.resourceVersion filled in. Shared: never changed. */
  readonly object: DeepReadonly<ApiObject>;
  readonly revision: Revision;
  #json: Buffer | undefined;
  /** As other versions or groups of the kind show it, or a newer schema. Definitions come and go. */
  #views: WeakMap<ResourceDef, Entry> | undefined;
  /** Shows it as it is. */
  #plain: ResourceDef | undefined;

  constructor(key: string, object: DeepReadonly<ApiObject>, revision: Revision) {
    const { apiVersion = "", kind = "", metadata, ...rest } = object;
    this.key = key;
    this.revision = revision;
    this.object = { apiVersion, kind, metadata: { ...metadata, resourceVersion: revision.toString() }, ...rest };
  }

  /** As `def` shows it; itself unless that is a view of what is stored. */
  as(def: ResourceDef): Entry {
    if (def === this.#plain) return this;
    const known = this.#views?.get(def);
    if (known) return known;
    const object = viewed(def, this.object);
    if (object === this.object) {
      this.#plain = def;
      return this;
    }
    const entry = new Entry(this.key, object, this.revision);
    this.#views ??= new WeakMap();
    this.#views.set(def, entry);
    return entry;
  }

  get json(): Buffer {
    this.#json ??= Buffer.from(JSON.stringify(this.object));
    return this.#json;
  }

  /** The encoding as a list holds it, without apiVersion and kind, and without the opening brace. */
  get item(): Buffer {
    const { apiVersion, kind } = this.object;
    return this.json.subarray(Buffer.byteLength(JSON.stringify({ apiVersion, kind })));
  }
}

/** What the store keeps; reads well in `etcdctl get`. */
export function encodeStored(o: DeepReadonly<ApiObject>): Uint8Array {
  const { apiVersion, kind, metadata, ...rest } = o;
  const { name, namespace, uid, resourceVersion: _, ...meta } = metadata;
  return Buffer.from(JSON.stringify({ apiVersion, kind, metadata: { name, namespace, uid, ...meta }, ...rest }));
}

/** An object is there, but the key to it is not. */
export class UnreadableError extends Error {}

/** Throws SyntaxError, TypeError or {@link UnreadableError} when the value is not an object of ours. */
export function decodeStored(kv: Pick<KeyValue, "key" | "value" | "modRevision">): Entry {
  if (isEncrypted(kv.value)) throw new UnreadableError(unreadable(kv.key, kv.value));
  const value: unknown = JSON.parse(Buffer.from(kv.value.buffer, kv.value.byteOffset, kv.value.byteLength).toString());
  if (typeof value !== "object" || value === null || !("metadata" in value)) {
    throw new TypeError("not an API object");
  }
  const object = value as ApiObject;
  const { managedFields } = object.metadata;
  if (!managedFields) return new Entry(kv.key, object, kv.modRevision);
  const metadata = { ...object.metadata, managedFields: withSharedFields(managedFields) };
  return new Entry(kv.key, { ...object, metadata }, kv.modRevision);
}

const PREFIX: Readonly<Record<WatchEventType, Buffer>> = {
  ADDED: Buffer.from('{"type":"ADDED","object":'),
  MODIFIED: Buffer.from('{"type":"MODIFIED","object":'),
  DELETED: Buffer.from('{"type":"DELETED","object":'),
  BOOKMARK: Buffer.from('{"type":"BOOKMARK","object":'),
};
const END = Buffer.from("}\n");

/** What a watcher is told. Watchers of the same change share it, and the object's encoding. */
export class Notice {
  readonly type: WatchEventType;
  readonly entry: Entry;
  #views: Map<ResourceDef, Notice> | undefined;

  constructor(type: WatchEventType, entry: Entry) {
    this.type = type;
    this.entry = entry;
  }

  /** As `def` shows it, see {@link Entry.as}. A bookmark is made for one watcher, as it should be. */
  as(def: ResourceDef): Notice {
    const entry = this.type === "BOOKMARK" ? this.entry : this.entry.as(def);
    if (entry === this.entry) return this;
    let notice = this.#views?.get(def);
    if (!notice) {
      notice = new Notice(this.type, entry);
      this.#views ??= new Map();
      this.#views.set(def, notice);
    }
    return notice;
  }

  /** As on the wire, newline included; in parts, for the encoding is not kept twice. */
  get line(): readonly Buffer[] {
    return [PREFIX[this.type], this.entry.json, END];
  }
}

/** One change of one object: `old` undefined for a new one, `now` undefined for a deletion. */
export class Change {
  readonly revision: Revision;
  readonly old: Entry | undefined;
  readonly now: Entry | undefined;
  /** When the server learnt of it. */
  readonly seenAt: number;
  readonly #notices = new Map<WatchEventType, Notice>();

  constructor(change: { revision: Revision; old: Entry | undefined; now: Entry | undefined; seenAt: number }) {
    this.revision = change.revision;
    this.old = change.old;
    this.now = change.now;
    this.seenAt = change.seenAt;
  }

  /** It shows what was written before: who has already seen all of its revision may still not know it. */
  get late(): boolean {
    return this.now !== undefined && this.now.revision < this.revision;
  }

  /** What a watcher learns to whom the object was (`before`) and is (`after`) visible. */
  noticeFor(before: boolean, after: boolean): Notice | undefined {
    if (after && this.now) return this.#notice(before ? "MODIFIED" : "ADDED", this.now);
    return before && this.old ? this.#notice("DELETED", this.old) : undefined;
  }

  #notice(type: WatchEventType, entry: Entry): Notice {
    let notice = this.#notices.get(type);
    if (!notice) {
      // A deletion shows the last state under the revision of the deletion, so that a watch can continue from it.
      notice = new Notice(type, type === "DELETED" ? new Entry(entry.key, entry.object, this.revision) : entry);
      this.#notices.set(type, notice);
    }
    return notice;
  }
}
