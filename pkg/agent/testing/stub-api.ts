/** The least of an API server that an agent needs, for its tests: objects, revisions, one watch log, faults on demand. */
import type { ApiObject, WatchEvent } from "../../api/object.ts";
import { alreadyExists, ApiError, conflict, notFound } from "../../api/status.ts";
import type { Call, Transport } from "../../client/transport.ts";
import { rfc3339, type Clock } from "../../util/clock.ts";

type Entry = WatchEvent<ApiObject> & { readonly resource: string; readonly revision: number };

export class StubApi implements Transport {
  readonly calls: Call[] = [];
  readonly #clock: Clock;
  readonly #objects = new Map<string, ApiObject>();
  readonly #log: Entry[] = [];
  readonly #watchers = new Set<() => void>();
  #revision = 1;
  /** Asked before each write; throw to refuse it. */
  fault: (c: Call) => void = () => {};

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** As a client would. */
  put(resource: string, o: ApiObject): ApiObject {
    const old = this.#objects.get(keyOf(resource, o.metadata.namespace, o.metadata.name));
    return this.#write(resource, o, old ? "MODIFIED" : "ADDED");
  }

  get<T extends ApiObject>(resource: string, namespace: string | undefined, name: string): T | undefined {
    return this.#objects.get(keyOf(resource, namespace, name)) as T | undefined;
  }

  list(resource: string): ApiObject[] {
    return [...this.#objects].filter(([k]) => k.startsWith(`${resource}/`)).map(([, o]) => o);
  }

  /** As `kubectl delete pod`. */
  deletePod(namespace: string, name: string, graceSeconds = 30): void {
    const pod = this.get("pods", namespace, name);
    if (!pod) throw new Error(`no Pod ${name}`);
    if (graceSeconds === 0) return this.#remove("pods", pod);
    const at = rfc3339(this.#clock.now() + graceSeconds * 1000);
    const metadata = { ...pod.metadata, deletionTimestamp: at, deletionGracePeriodSeconds: graceSeconds };
    this.#write("pods", { ...pod, metadata }, "MODIFIED");
  }

  async call(c: Call, signal?: AbortSignal): Promise<unknown> {
    await Promise.resolve();
    signal?.throwIfAborted();
    this.calls.push(c);
    this.fault(c);
    const at = keyOf(c.resource, c.namespace ?? (c.body as ApiObject | undefined)?.metadata?.namespace, c.name);
    const old = this.#objects.get(at);
    const body = c.body as ApiObject;
    if (c.verb === "list") return { metadata: { resourceVersion: String(this.#revision) }, items: this.#selected(c) };
    if (c.verb === "create") {
      if (this.#objects.has(keyOf(c.resource, body.metadata.namespace, body.metadata.name)))
        throw alreadyExists(nameOf(c), body.metadata.name ?? "");
      return this.#write(c.resource, body, "ADDED");
    }
    if (!old) throw notFound(nameOf(c), c.name ?? "");
    if (c.verb === "get") return old;
    if (c.verb === "delete") return this.#delete(c, old);
    if (c.verb === "patch")
      return this.#write(c.resource, { ...old, ...(c.body as object), metadata: old.metadata }, "MODIFIED");
    if (c.verb !== "update") throw new ApiError("MethodNotAllowed", c.verb);
    if (body.metadata.resourceVersion !== old.metadata.resourceVersion) throw conflict(nameOf(c), c.name ?? "");
    return this.#write(
      c.resource,
      c.subresource === "status" ? ({ ...old, status: statusOf(body) } as ApiObject) : body,
      "MODIFIED",
    );
  }

  async *watch(c: Call, signal: AbortSignal): AsyncGenerator<WatchEvent<ApiObject>> {
    this.fault(c);
    let seen = Number(c.params?.["resourceVersion"] ?? 0);
    let wake = () => {};
    const tell = () => wake();
    this.#watchers.add(tell);
    signal.addEventListener("abort", tell, { once: true });
    try {
      while (!signal.aborted) {
        const next = this.#log.filter((e) => e.resource === c.resource && e.revision > seen);
        for (const e of next) {
          seen = e.revision;
          if (matches(c, e.object)) yield { type: e.type, object: e.object };
        }
        if (next.length === 0) await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      this.#watchers.delete(tell);
    }
  }

  #selected(c: Call): ApiObject[] {
    return this.list(c.resource).filter((o) => matches(c, o));
  }

  #delete(c: Call, old: ApiObject): ApiObject {
    const { preconditions } = c.body as { preconditions?: { uid?: string } };
    if (preconditions?.uid !== undefined && preconditions.uid !== old.metadata.uid)
      throw conflict(nameOf(c), c.name ?? "");
    this.#remove(c.resource, old);
    return old;
  }

  #remove(resource: string, o: ApiObject): void {
    this.#objects.delete(keyOf(resource, o.metadata.namespace, o.metadata.name));
    this.#append({ type: "DELETED", object: o, resource, revision: ++this.#revision });
  }

  #write(resource: string, o: ApiObject, type: "ADDED" | "MODIFIED"): ApiObject {
    const revision = ++this.#revision;
    const uid = o.metadata.uid ?? `uid-${revision}`;
    const object = { ...o, metadata: { ...o.metadata, uid, resourceVersion: String(revision) } };
    this.#objects.set(keyOf(resource, o.metadata.namespace, o.metadata.name), object);
    this.#append({ type, object, resource, revision });
    return object;
  }

  #append(e: Entry): void {
    this.#log.push(e);
    for (const tell of this.#watchers) tell();
  }
}

function keyOf(resource: string, namespace: string | undefined, name: string | undefined): string {
  return `${resource}/${namespace ?? ""}/${name ?? ""}`;
}

const nameOf = (c: Call) => ({ group: c.group, resource: c.resource });

function statusOf(o: ApiObject): unknown {
  return (o as { status?: unknown }).status;
}

function matches(c: Call, o: ApiObject): boolean {
  const node = /^spec\.nodeName=(.*)$/.exec(c.params?.["fieldSelector"] ?? "")?.[1];
  return node === undefined || (o as { spec?: { nodeName?: string } }).spec?.nodeName === node;
}
