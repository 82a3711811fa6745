import { setMaxListeners } from "node:events";
import type { IncomingMessage } from "node:http";
import type { Duplex, Readable } from "node:stream";
import Docker from "dockerode";
import { asRuntimeError } from "./errors.ts";

export interface DockerApiOptions {
  /** Default: /var/run/docker.sock, when no host is given. */
  readonly socketPath?: string;
  /** As in DOCKER_HOST: `unix:///path` or `tcp://host:port`. */
  readonly host?: string;
}

export interface Call {
  readonly method?: "GET" | "POST" | "DELETE";
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;
  readonly body?: object | Buffer;
  /** In place of a body: sent as it is read. */
  readonly upload?: Readable;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  /** Statuses which say that the thing is done already. */
  readonly alsoOk?: readonly number[];
}

const DONE = [200, 201, 204];
/** The decision is ours, with the whole answer in hand. */
const ANY_STATUS = Array.from({ length: 500 }, (_, n) => 100 + n);

/**
 * The daemon's HTTP API, one call at a time: a promise that rejects with the signal's reason or with a RuntimeError, and
 * nothing kept. Of dockerode it uses the connection only; its convenience calls buffer streams and hide statuses.
 */
export class DockerApi {
  readonly #modem: Docker["modem"];
  /** Calls made so far: the headline cost of a Pod. */
  calls = 0;

  constructor(o: DockerApiOptions) {
    this.#modem = new Docker(connection(o)).modem;
  }

  /** The whole answer; one that breaks off in the middle is none (docker-modem itself would wait for the rest for ever). */
  async request<T>(c: Call): Promise<T> {
    const answer = await this.#dial<IncomingMessage>(c, { isStream: true }, ANY_STATUS);
    const text = await whole(answer, c.signal);
    if (isDone(c, answer.statusCode)) return parsed(text) as T;
    throw failure(answer.statusCode ?? 0, text);
  }

  /** The answer's body as it comes; the signal ends it. */
  async stream(c: Call): Promise<Readable> {
    const answer = await this.#dial<IncomingMessage>(c, { isStream: true }, ANY_STATUS);
    if (isDone(c, answer.statusCode)) return ended(answer, c.signal);
    throw failure(answer.statusCode ?? 0, await whole(answer, c.signal));
  }

  /** The bare connection, both ways. */
  async hijack(c: Call): Promise<Duplex> {
    return ended(
      await this.#dial<Duplex>(c, { isStream: true, hijack: true, openStdin: true, allowEmpty: true }),
      c.signal,
    );
  }

  #dial<T>(
    c: Call,
    how: { isStream: true; hijack?: boolean; openStdin?: boolean; allowEmpty?: boolean },
    statuses: readonly number[] = [...DONE, ...(c.alsoOk ?? [])],
  ): Promise<T> {
    this.calls++;
    const { method = "GET", signal } = c;
    return new Promise<T>((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason as Error);
      // A worker's signal serves many calls at once; each takes its listener away when it is done.
      setMaxListeners(0, signal);
      const dial = {
        ...how,
        path: c.path + queryString(c.query),
        method,
        abortSignal: signal,
        statusCodes: Object.fromEntries(statuses.map((code) => [code, true])),
        ...(c.headers && { headers: { ...c.headers } }),
        ...(c.upload || Buffer.isBuffer(c.body)
          ? { file: c.upload ?? (c.body as Buffer) }
          : method === "POST"
            ? { options: { _query: {}, _body: c.body ?? {} } }
            : {}),
      };
      this.#modem.dial(dial, (error, result) => {
        if (error) return reject(signal.aborted ? (signal.reason as Error) : asRuntimeError(error));
        resolve(result as T);
      });
    });
  }
}

function isDone(c: Call, status = 0): boolean {
  return DONE.includes(status) || (c.alsoOk?.includes(status) ?? false);
}

function failure(statusCode: number, text: string): Error {
  return asRuntimeError(
    Object.assign(new Error(`HTTP code ${statusCode}: ${text}`), { statusCode, json: parsed(text) }),
  );
}

async function whole(answer: IncomingMessage, signal: AbortSignal): Promise<string> {
  const parts: Buffer[] = [];
  try {
    for await (const part of answer as AsyncIterable<Buffer>) parts.push(part);
  } catch (error) {
    signal.throwIfAborted();
    throw asRuntimeError(error as Error);
  }
  return Buffer.concat(parts).toString();
}

/** Null for what is no JSON: an empty answer, lines of progress. */
function parsed(text: string): { readonly message?: string } | null {
  try {
    return JSON.parse(text) as { readonly message?: string };
  } catch {
    return null;
  }
}

function connection({ socketPath, host }: DockerApiOptions): Docker.DockerOptions {
  if (socketPath !== undefined || host === undefined) return { socketPath: socketPath ?? "/var/run/docker.sock" };
  const url = new URL(host);
  if (url.protocol === "unix:") return { socketPath: url.pathname };
  return { protocol: "http", host: url.hostname, port: url.port || 2375 };
}

/** docker-modem cuts the last character off a path with a query, or appends to it: an `&` serves both. */
function queryString(query: Call["query"] = {}): string {
  const given = Object.entries(query).flatMap(([k, v]): [string, string][] => {
    if (Array.isArray(v)) return v.map((one: string) => [k, one]);
    return v === undefined ? [] : [[k, String(v)]];
  });
  return `?${new URLSearchParams(given).toString()}&`;
}

/** The stream goes when the signal says so, and its signal's listener when it goes. */
function ended<T extends Readable>(stream: T, signal: AbortSignal): T {
  const destroy = () => stream.destroy();
  if (signal.aborted) destroy();
  signal.addEventListener("abort", destroy, { once: true });
  stream.once("close", () => signal.removeEventListener("abort", destroy));
  // Whoever reads it learns of the error; when nobody does any more, it must not end the process.
  stream.on("error", () => {});
  return stream;
}
