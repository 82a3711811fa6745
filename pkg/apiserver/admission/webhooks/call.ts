/** A question to a webhook over HTTPS: bounded in time and in the size of its answer. */
import { Agent, request } from "node:https";
import { isIP } from "node:net";
import type { Clock } from "../../../util/clock.ts";
import { own } from "../../../util/keys.ts";
import type { Endpoint } from "./endpoint.ts";

/** As large as any object may be. */
const MAX_BYTES = 3 * 1024 * 1024;

/** Idle connections are kept for the next question; they keep no process alive. */
const agent = new Agent({ keepAlive: true, maxFreeSockets: 8 });

export interface HttpAnswer {
  readonly code: number;
  readonly text: string;
}

/** Rejects with an Error whose message is Kubernetes' word for what went wrong. */
export async function post(to: Endpoint, body: string, o: { timeoutMs: number; clock: Clock }): Promise<HttpAnswer> {
  try {
    return await send(to, body, o).catch((error: unknown) => {
      // The other side closed the idle connection just as it was used again: nothing was asked yet.
      if (error instanceof StaleConnection) return send(to, body, o);
      throw error;
    });
  } catch (error) {
    throw new Error(`Post "${to.url}": ${explain(error, to)}`, { cause: error });
  }
}

class StaleConnection extends Error {}

function send(to: Endpoint, body: string, o: { timeoutMs: number; clock: Clock }): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const req = request({
      host: to.host,
      port: to.port,
      path: to.path,
      method: "POST",
      agent,
      // An IP address is no server name.
      servername: isIP(to.servername) ? "" : to.servername,
      ...(to.ca !== undefined && { ca: to.ca }),
      headers: {
        "Content-Type": "application/json",
        "Content-Length": Buffer.byteLength(body),
        Accept: "application/json, */*",
        "User-Agent": "kube-apiserver-admission",
        Host: hostHeader(to),
      },
    });
    const timer = o.clock.after(o.timeoutMs, () => req.destroy(new Error("context deadline exceeded")));
    const fail = (error: Error) => {
      timer[Symbol.dispose]();
      reject(req.reusedSocket && codeOf(error) === "ECONNRESET" ? new StaleConnection() : error);
    };
    req.once("error", fail);
    req.once("response", (res) => {
      const chunks: Buffer[] = [];
      let size = 0;
      res.on("data", (chunk: Buffer) => {
        chunks.push(chunk);
        size += chunk.length;
        if (size > MAX_BYTES) req.destroy(new Error(`response body too large, over ${MAX_BYTES} bytes`));
      });
      res.once("error", fail);
      res.once("end", () => {
        timer[Symbol.dispose]();
        resolve({ code: res.statusCode ?? 0, text: Buffer.concat(chunks).toString() });
      });
    });
    req.end(body);
  });
}

function hostHeader(to: Endpoint): string {
  return new URL(to.url).host;
}

const codeOf = (error: unknown) => (error as NodeJS.ErrnoException).code ?? "";

const UNTRUSTED = "tls: failed to verify certificate: x509: certificate signed by unknown authority";
const WORDS: Readonly<Record<string, (to: Endpoint) => string>> = {
  ECONNREFUSED: (to) => `dial tcp ${to.host}:${to.port}: connect: connection refused`,
  EHOSTUNREACH: (to) => `dial tcp ${to.host}:${to.port}: connect: no route to host`,
  ENOTFOUND: (to) => `dial tcp: lookup ${to.host}: no such host`,
  EAI_AGAIN: (to) => `dial tcp: lookup ${to.host}: no such host`,
  ECONNRESET: () => "EOF",
  DEPTH_ZERO_SELF_SIGNED_CERT: () => UNTRUSTED,
  SELF_SIGNED_CERT_IN_CHAIN: () => UNTRUSTED,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: () => UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: () => UNTRUSTED,
  CERT_HAS_EXPIRED: () => "tls: failed to verify certificate: x509: certificate has expired or is not yet valid",
  ERR_TLS_CERT_ALTNAME_INVALID: (to) =>
    `tls: failed to verify certificate: x509: certificate is not valid for any names, but wanted to match ${to.servername}`,
};

function explain(error: unknown, to: Endpoint): string {
  return own(WORDS, codeOf(error))?.(to) ?? (error as Error).message;
}
