/**
 * Clients that read and change registers through all API servers at once and write down what they saw, and a watcher at
 * each server. Each stays with its server whatever happens: what one server does is judged by itself, too.
 */
import type { ConfigMap } from "../../pkg/api/generated/types.ts";
import { configMaps } from "../../pkg/api/kinds/core/configmap.ts";
import { ApiError, isReason } from "../../pkg/api/status.ts";
import type { Client } from "../../pkg/client/client.ts";
import { systemClock } from "../../pkg/util/clock.ts";
import type { DeepReadonly } from "../../pkg/util/types.ts";
import type { Dice } from "../harness/dice.ts";
import type { Operation, Outcome, Watched } from "./history.ts";

export interface Server {
  readonly name: string;
  readonly client: Client;
}

const REGISTERS = 6;
const CLIENTS_PER_SERVER = 2;
/** Between two calls of one client. */
const THINK_MS = 40;
/** After a call that was not answered well. */
const PAUSE_MS = 150;
const READ_SHARE = 0.5;
const NEW_SHARE = 0.1;
/** What was acknowledged is with every watcher by then, once all is whole. */
const CATCH_UP_MS = 20_000;

export interface WorkloadOptions {
  readonly servers: readonly Server[];
  readonly namespace: string;
  readonly dice: Dice;
}

export class Workload implements AsyncDisposable {
  readonly history: Operation[] = [];
  readonly #o: WorkloadOptions;
  readonly #stop = new AbortController();
  readonly #stopWatching = new AbortController();
  readonly #watched: MutableWatched[] = [];
  readonly #running: Promise<void>[] = [];
  readonly #watching: Promise<void>[] = [];
  #made = 0;

  private constructor(o: WorkloadOptions) {
    this.#o = o;
  }

  /** The registers are there, and are watched, when this resolves. */
  static async start(o: WorkloadOptions): Promise<Workload> {
    const all = new Workload(o);
    const [first] = o.servers;
    if (!first) throw new Error("no servers");
    const { metadata } = await first.client.resource(configMaps, o.namespace).list();
    for (const server of o.servers) all.#watch(server, BigInt(metadata.resourceVersion ?? 0));
    for (let i = 0; i < REGISTERS; i++) await all.#write(0, first, undefined, `register-${i}`);
    for (const [i, server] of o.servers.entries())
      for (let n = 0; n < CLIENTS_PER_SERVER; n++)
        all.#running.push(all.#client(i * CLIENTS_PER_SERVER + n + 1, server));
    return all;
  }

  /** Ends the clients, and the watchers when they have seen all; everything is to be whole again. What is there then. */
  async stop(): Promise<{ readonly watched: readonly Watched[]; readonly final: ReadonlyMap<string, string> }> {
    this.#stop.abort();
    await Promise.all(this.#running);
    const final = new Map<string, string>();
    for (const server of this.#o.servers) {
      const { items, metadata } = await server.client.resource(configMaps, this.#o.namespace).list();
      for (const item of items) final.set(item.metadata.name ?? "", item.data?.["value"] ?? "");
      await this.#untilSeen(BigInt(items.reduce((m, i) => max(m, i.metadata.resourceVersion), "0")));
      if (metadata.resourceVersion === undefined) throw new Error("a list without a resourceVersion");
    }
    await this[Symbol.asyncDispose]();
    return { watched: this.#watched, final };
  }

  /** Ends clients and watchers, whatever they have seen. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    this.#stopWatching.abort();
    await Promise.all([...this.#running, ...this.#watching]);
  }

  async #untilSeen(revision: bigint): Promise<void> {
    const end = performance.now() + CATCH_UP_MS;
    while (this.#watched.some((w) => (w.events.at(-1)?.revision ?? 0n) < revision)) {
      // Who has not seen all by then is told of as incomplete.
      if (performance.now() > end) return;
      await pause(50);
    }
  }

  async #client(id: number, server: Server): Promise<void> {
    const { dice } = this.#o;
    while (!this.#stop.signal.aborted) {
      const register = `register-${dice.upTo(REGISTERS)}`;
      let well: boolean;
      if (dice.chance(NEW_SHARE)) well = await this.#write(id, server, undefined, `new-${id}-${this.#made++}`);
      else {
        const found = await this.#read(id, server, register);
        well = found !== undefined;
        if (found && !dice.chance(READ_SHARE)) well = await this.#write(id, server, found, register);
      }
      await pause(well ? THINK_MS * 2 * dice.random() : PAUSE_MS);
    }
  }

  async #read(client: number, server: Server, key: string): Promise<DeepReadonly<ConfigMap> | undefined> {
    const { value: found, ...rest } = await timed(() => this.#configMaps(server).get(key));
    const answered = { client, server: server.name, key, ...rest, revision: revisionOf(found) };
    this.history.push({ ...answered, op: "read", value: found?.data?.["value"] });
    return found;
  }

  async #write(
    client: number,
    server: Server,
    old: DeepReadonly<ConfigMap> | undefined,
    key: string,
  ): Promise<boolean> {
    const value = `${client}.${this.history.length}`;
    const api = this.#configMaps(server);
    const { value: written, ...rest } = await timed(() =>
      old ? api.update({ ...old, data: { value } }) : api.create({ metadata: { name: key }, data: { value } }),
    );
    const answered = { client, server: server.name, key, ...rest, revision: revisionOf(written) };
    this.history.push({ ...answered, op: "write", expected: old?.data?.["value"], value });
    return rest.outcome !== "unknown";
  }

  #configMaps(server: Server) {
    return server.client.resource(configMaps, this.#o.namespace);
  }

  #watch(server: Server, from: bigint): void {
    const watched: MutableWatched = { watcher: `a watch at ${server.name}`, events: [], gaps: [] };
    this.#watched.push(watched);
    this.#watching.push(this.#watchOn(server, watched, from));
  }

  /** Goes on where it was whenever it is cut; lists again where the server cannot. */
  async #watchOn(server: Server, watched: MutableWatched, from: bigint): Promise<void> {
    const { signal } = this.#stopWatching;
    let at = from;
    while (!signal.aborted) {
      try {
        const o = { resourceVersion: String(at), allowWatchBookmarks: true };
        for await (const { type, object } of this.#configMaps(server).watch(o, signal)) {
          at = BigInt(object.metadata.resourceVersion ?? 0);
          if (type !== "BOOKMARK") watched.events.push(eventOf(object));
        }
      } catch (error) {
        if (isReason(error, "Expired", "Gone")) at = await this.#listAgain(server, watched, at);
      }
      await pause(PAUSE_MS);
    }
  }

  /** From where to go on. */
  async #listAgain(server: Server, watched: MutableWatched, from: bigint): Promise<bigint> {
    const found = await this.#configMaps(server)
      .list()
      .catch(() => undefined);
    if (!found) return from;
    const to = BigInt(found.metadata.resourceVersion ?? 0);
    const news = found.items.map(eventOf).filter((e) => e.revision > from);
    watched.events.push(...news.toSorted((a, b) => Number(a.revision - b.revision)));
    watched.gaps.push({ from, to });
    return to;
  }
}

interface MutableWatched extends Watched {
  readonly events: { key: string; value: string; revision: bigint }[];
  readonly gaps: { from: bigint; to: bigint }[];
}

const eventOf = ({ metadata, data }: DeepReadonly<ConfigMap>) => ({
  key: metadata.name ?? "",
  value: data?.["value"] ?? "",
  revision: BigInt(metadata.resourceVersion ?? 0),
});

interface Timed<T> {
  readonly start: number;
  readonly end: number;
  readonly outcome: Outcome;
  readonly value?: T;
  readonly error?: string;
}

async function timed<T>(call: () => Promise<T>): Promise<Timed<T>> {
  const start = performance.now();
  try {
    const value = await call();
    return { start, end: performance.now(), outcome: "ok", value };
  } catch (error) {
    const refused = error instanceof ApiError && error.code >= 400 && error.code < 500 && error.reason !== "Timeout";
    return { start, end: performance.now(), outcome: refused ? "failed" : "unknown", error: String(error) };
  }
}

const revisionOf = (o: DeepReadonly<ConfigMap> | undefined) =>
  o?.metadata.resourceVersion === undefined ? undefined : BigInt(o.metadata.resourceVersion);

const max = (a: string, b = "0") => (BigInt(b) > BigInt(a) ? b : a);

export const pause = (ms: number): Promise<void> => systemClock.sleep(ms, new AbortController().signal);
