/** The orderly end of a server: nobody who was let in goes without an answer, and nobody is let in any more. */
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { Server as NetServer } from "node:net";
import type { Clock } from "../util/clock.ts";
import type { Watcher } from "./watcher.ts";

export interface DrainOptions {
  /** What is under way has so long to end. Default 0: it is cut off. */
  readonly drainMs?: number;
  /**
   * For so long clients that keep a connection may still ask by it, and are told to look for another server: who has none
   * to go to need not be waited for. Default 0.
   */
  readonly quietMs?: number;
}

/**
 *  N1  From the beginning of the end, each answer says that its connection is the last one's; watches end as if their
 *      time was over.
 *  N2  It is over when nothing is under way: streams to containers, logs that are followed and watches do not count.
 */
export class Drain {
  readonly #short = new Set<ServerResponse>();
  readonly #watchers = new Set<Watcher>();
  #ending = false;
  #whenIdle: () => void = () => {};

  get ending(): boolean {
    return this.#ending;
  }

  /** A request has come; it is to be answered soon. */
  begins(res: ServerResponse): void {
    if (this.#ending) res.shouldKeepAlive = false;
    this.#short.add(res);
    res.once("close", () => this.lasts(res));
  }

  /** It turned out to be one that may last. */
  lasts(res: ServerResponse<IncomingMessage>): void {
    this.#short.delete(res);
    if (this.#short.size === 0) this.#whenIdle();
  }

  /** Ends it with the rest. */
  watches(watcher: Watcher, res: ServerResponse): void {
    this.lasts(res);
    if (this.#ending) return watcher.end();
    this.#watchers.add(watcher);
    res.once("close", () => this.#watchers.delete(watcher));
  }

  /** Resolves when it is over. Asked again, it asks anew: what has come since counts too. */
  end(): Promise<void> {
    this.#ending = true;
    for (const res of this.#short) res.shouldKeepAlive = false;
    for (const watcher of this.#watchers) watcher.end();
    return new Promise((done) => {
      this.#whenIdle = done;
      if (this.#short.size === 0) done();
    });
  }
}

/** No new connection; those there are stay, other than with http.Server's own close. */
export function stopAccepting(server: Server): void {
  NetServer.prototype.close.call(server);
}

/** Lets what is under way end, within the bounds of `o`; then everything is cut off, and what only `cutOff` knows. */
export async function endServers(
  servers: readonly Server[],
  drain: Drain,
  clock: Clock,
  o: DrainOptions,
  cutOff: () => void,
): Promise<void> {
  const { drainMs = 0, quietMs = 0 } = o;
  const closed = servers.map((server) => new Promise<unknown>((done) => server.once("close", done)));
  for (const server of servers) stopAccepting(server);
  const over = new AbortController();
  const pause = (ms: number) => clock.sleep(ms, over.signal).catch(() => undefined);
  void drain.end();
  // Only then is it asked whether it is over: who keeps a connection may still have asked in between.
  const quiet = pause(Math.min(quietMs, drainMs)).then(() => drain.end());
  await Promise.race([pause(drainMs), quiet, Promise.all(closed)]);
  over.abort();
  cutOff();
  for (const server of servers) {
    server.close(() => undefined); // its timers
    server.closeAllConnections();
  }
  await Promise.all(closed);
}
