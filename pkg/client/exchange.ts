/** One request to one server, and the beginning of its answer. */
import http, { type IncomingMessage } from "node:http";
import https from "node:https";
import { Readable } from "node:stream";
import { connectionError } from "./http-error.ts";

export interface Exchange {
  readonly server: URL;
  /** Path and query in it. */
  readonly url: URL;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array | Readable | undefined;
  readonly agent: http.Agent;
  readonly connectTimeoutMs: number;
  readonly answerTimeoutMs: number;
  /** Silence allowed in the answer's body; 0: for ever. */
  readonly idleMs: number;
  readonly signal: AbortSignal | undefined;
}

/**
 * Resolves as soon as an answer begins. Rejects with the signal's reason, with `Unreached`, or as Unauthorized where the
 * server's certificate is another cluster's. A read is sent again if it went out on a kept connection that the server had
 * closed; a write never is: whether it was done before the connection broke, nobody can tell.
 */
export function exchange(o: Exchange, retried = false): Promise<IncomingMessage> {
  const { server, method, body, signal } = o;
  const secure = server.protocol === "https:";
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason as Error);
    const sent = (secure ? https.request : http.request)(o.url, {
      method,
      agent: o.agent,
      // As an option it bounds connecting, too; `sent.setTimeout` would begin to count only once TCP has connected.
      timeout: o.connectTimeoutMs,
      headers: { ...o.headers, ...lengthOf(body) },
      ...(signal && { signal }),
    });
    let connected = false;
    let answered = false;
    // One timer per socket does for all deadlines: it is set anew as the exchange goes on.
    let late = `no connection within ${o.connectTimeoutMs / 1000} s`;
    sent.once("timeout", () => sent.destroy(new Error(late)));
    sent.once("socket", (socket) => {
      const ready = () => {
        connected = true;
        late = `no answer within ${o.answerTimeoutMs / 1000} s`;
        sent.setTimeout(o.answerTimeoutMs);
      };
      socket.setKeepAlive(true, 30_000);
      if (sent.reusedSocket || !socket.connecting) ready();
      else socket.once(secure ? "secureConnect" : "connect", ready);
    });
    sent.once("response", (response) => {
      answered = true;
      sent.setTimeout(o.idleMs);
      resolve(response);
    });
    sent.on("error", (error: NodeJS.ErrnoException) => {
      if (signal?.aborted) return reject(signal.reason as Error);
      // What breaks now breaks the answer's body, and its reader hears of it.
      if (answered) return;
      const stale = sent.reusedSocket && error.code === "ECONNRESET" && method === "GET" && !retried;
      if (stale) return resolve(exchange(o, true));
      reject(connectionError(error, server, connected));
    });
    if (body instanceof Readable) upload(body, sent);
    else sent.end(body);
  });
}

/** Node adds it for POST and PUT only, and sends the body of a DELETE without saying how long it is. */
function lengthOf(body: Exchange["body"]): Record<string, number> {
  return body === undefined || body instanceof Readable ? {} : { "content-length": Buffer.byteLength(body) };
}

/** What breaks the body breaks the request; the server's answer may come, and end, before all is sent. */
function upload(body: Readable, sent: http.ClientRequest): void {
  body.once("error", (error) => sent.destroy(error));
  body.pipe(sent);
}
