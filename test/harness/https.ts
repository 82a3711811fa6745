/**
 * The API server over real HTTPS in this process, on a memory store: what is on the wire can be tested in milliseconds.
 * Requests are sent as written, by a bare client that hides nothing.
 */
import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import { connect as connectTcp, type Socket } from "node:net";
import { join } from "node:path";
import { connect, type TLSSocket } from "node:tls";
import { listen, type HttpListener, type ListenOptions } from "../../pkg/apiserver/http.ts";
import { ApiServer } from "../../pkg/apiserver/server.ts";
import { singleKubeconfig, writeKubeconfig } from "../../pkg/client/kubeconfig.ts";
import { MemoryStore } from "../../pkg/store/memory.ts";
import type { Store } from "../../pkg/store/store.ts";
import { seededRandom, systemClock } from "../../pkg/util/clock.ts";
import { silent } from "../../pkg/util/log.ts";
import { createCa, issueCert, type KeyPair } from "../../pkg/util/pki.ts";

export interface Asked {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** An object is sent as JSON, with its Content-Type where `headers` name none. */
  readonly body?: string | Uint8Array | object;
  /** Default: an administrator. Undefined: nobody. */
  readonly as?: KeyPair | undefined;
}

export interface Answered {
  readonly code: number;
  readonly headers: IncomingMessage["headers"];
  readonly bytes: Buffer;
  readonly text: string;
  /** Of the body; throws when it is none. */
  json<T = Record<string, unknown>>(): T;
}

/** One line of a watch. */
export interface WatchLine {
  readonly type: string;
  readonly object: {
    readonly kind: string;
    readonly metadata: { readonly name?: string; readonly resourceVersion?: string; readonly annotations?: object };
    readonly [field: string]: unknown;
  };
}

export class TestApi {
  readonly server: ApiServer;
  readonly listener: HttpListener;
  readonly ca: string;
  readonly admin: KeyPair;
  readonly #ca: KeyPair;
  readonly #store: Store;
  /** Where {@link socket} connects. */
  readonly #bare: HttpListener;

  private constructor(o: {
    server: ApiServer;
    listener: HttpListener;
    bare: HttpListener;
    ca: KeyPair;
    admin: KeyPair;
    store: Store;
  }) {
    this.server = o.server;
    this.listener = o.listener;
    this.#bare = o.bare;
    this.ca = o.ca.cert;
    this.admin = o.admin;
    this.#ca = o.ca;
    this.#store = o.store;
  }

  /**
   * `patienceMs`: only with bare connections, which have a port of their own then; a request of the test itself is not
   * cut off because the machine is busy.
   */
  static async start(o: { patienceMs?: number; watchQueueLimit?: number } = {}): Promise<TestApi> {
    const now = systemClock.now();
    const ca = await createCa("test-ca", now);
    const [serving, admin] = await Promise.all([
      issueCert(ca, { commonName: "apiserver", ips: ["127.0.0.1"], usages: ["server"] }, now),
      issueCert(ca, { commonName: "admin", organizations: ["system:masters"], usages: ["client"] }, now),
    ]);
    const store = new MemoryStore();
    const { patienceMs, watchQueueLimit } = o;
    const server = await ApiServer.open({
      store,
      clock: systemClock,
      random: seededRandom(1),
      log: silent,
      ...(watchQueueLimit !== undefined && { watchQueueLimit }),
    });
    const options: ListenOptions = {
      host: "127.0.0.1",
      port: 0,
      tls: { ...serving, clientCa: ca.cert },
      agentTls: { ...admin, ca: ca.cert },
      log: silent,
    };
    const listener = await listen(server, options);
    const bare =
      patienceMs === undefined ? listener : await listen(server, { ...options, patienceMs, idleMs: patienceMs });
    return new TestApi({ server, listener, bare, ca, admin, store });
  }

  async close(): Promise<void> {
    await Promise.all([...new Set([this.listener, this.#bare])].map((l) => l.close()));
    await this.server.close();
    await this.#store.close();
  }

  /** A user known by certificate. */
  user(commonName: string, organizations: string[] = []): Promise<KeyPair> {
    return issueCert(this.#ca, { commonName, organizations, usages: ["client"] }, systemClock.now());
  }

  /** For what the API server itself calls: an agent, a webhook. */
  serving(commonName: string): Promise<KeyPair> {
    return issueCert(this.#ca, { commonName, ips: ["127.0.0.1"], usages: ["server"] }, systemClock.now());
  }

  /** Writes a kubeconfig into the folder; its path. */
  kubeconfig(dir: string, user: KeyPair = this.admin): string {
    const path = join(dir, "kubeconfig");
    writeKubeconfig(path, singleKubeconfig("test", { server: this.listener.url, ca: this.ca, ...user }));
    return path;
  }

  /** The answer as soon as its headers are there. Each request has a connection of its own. */
  open(path: string, o: Asked = {}): Promise<IncomingMessage> {
    const { method = "GET", headers = {} } = o;
    const plain = typeof o.body === "string" || o.body instanceof Uint8Array || o.body === undefined;
    const body = plain ? (o.body as string | Uint8Array | undefined) : JSON.stringify(o.body);
    const json = plain || "Content-Type" in headers ? {} : { "Content-Type": "application/json" };
    const length = body === undefined ? {} : { "Content-Length": Buffer.byteLength(body) };
    const who = "as" in o ? o.as : this.admin;
    return new Promise((resolve, reject) => {
      const url = `${this.listener.url}${path}`;
      const req = request(
        url,
        { method, headers: { ...json, ...length, ...headers }, ca: this.ca, ...who, agent: false },
        resolve,
      );
      req.once("error", reject);
      req.end(body);
    });
  }

  async ask(path: string, o: Asked = {}): Promise<Answered> {
    return read(await this.open(path, o));
  }

  /** As {@link ask}; throws unless the answer is a success. */
  async ok(path: string, o: Asked = {}): Promise<Answered> {
    const answer = await this.ask(path, o);
    if (answer.code >= 300) throw new Error(`${o.method ?? "GET"} ${path}: ${answer.code} ${answer.text}`);
    return answer;
  }

  post(path: string, body: object, headers: Readonly<Record<string, string>> = {}): Promise<Answered> {
    return this.ask(path, { method: "POST", body, headers });
  }

  put(path: string, body: object): Promise<Answered> {
    return this.ask(path, { method: "PUT", body });
  }

  patch(path: string, type: "json" | "merge" | "strategic-merge", body: object): Promise<Answered> {
    return this.ask(path, { method: "PATCH", body, headers: { "Content-Type": `application/${type}-patch+json` } });
  }

  apply(path: string, body: object, query = "?fieldManager=test"): Promise<Answered> {
    return this.ask(path + query, {
      method: "PATCH",
      body,
      headers: { "Content-Type": "application/apply-patch+yaml" },
    });
  }

  delete(path: string, body?: object): Promise<Answered> {
    return this.ask(path, { method: "DELETE", ...(body && { body }) });
  }

  /** The lines of a watch, until `done` says that the last one is there or the server ends it. */
  async watch(path: string, done: (lines: readonly WatchLine[]) => boolean, o: Asked = {}): Promise<WatchLine[]> {
    const res = await this.open(path, o);
    const lines: WatchLine[] = [];
    let rest = "";
    for await (const chunk of res as AsyncIterable<Buffer>) {
      const pieces = (rest + chunk.toString()).split("\n");
      rest = pieces.pop() ?? "";
      lines.push(...pieces.map((line) => JSON.parse(line) as WatchLine));
      if (done(lines)) break;
    }
    res.destroy();
    return lines;
  }

  /** A bare connection that does not even speak TLS. */
  tcp(): Socket {
    return connectTcp(this.#bare.port, "127.0.0.1");
  }

  /** A bare connection, for what no HTTP client would send. */
  socket(user: KeyPair | undefined = this.admin): Promise<TLSSocket> {
    return new Promise((resolve, reject) => {
      const { port } = this.#bare;
      const socket = connect({ host: "127.0.0.1", port, ca: this.ca, ...user }, () => resolve(socket));
      socket.once("error", reject);
    });
  }
}

/** An answer to its end. */
export async function read(res: IncomingMessage): Promise<Answered> {
  const chunks: Buffer[] = [];
  for await (const chunk of res as AsyncIterable<Buffer>) chunks.push(chunk);
  const bytes = Buffer.concat(chunks);
  const text = bytes.toString();
  return { code: res.statusCode ?? 0, headers: res.headers, bytes, text, json: <T>() => JSON.parse(text) as T };
}
