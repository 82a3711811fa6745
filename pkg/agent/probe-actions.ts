/** The ways to ask a container how it is: once, until the signal aborts. What cannot be asked rejects. */
import { type IncomingMessage, request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { connect, isIPv6 } from "node:net";
import type { ContainerRuntime } from "../runtime/runtime.ts";
import { own } from "../util/keys.ts";
import type { Container } from "./facts.ts";

export interface ProbeResult {
  readonly ok: boolean;
  /** Of a failure. */
  readonly message: string;
}

/** Healthy when the command succeeds; else its output tells why. */
export async function execProbe(
  runtime: Pick<ContainerRuntime, "exec">,
  { id, command }: { id: string; command: readonly string[] },
  signal: AbortSignal,
): Promise<ProbeResult> {
  const session = await runtime.exec(id, { command, tty: false, stdin: false }, signal);
  const onAbort = () => session.close();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    let output = "";
    for await (const chunk of session.output) if (output.length < 1024) output += Buffer.from(chunk.data).toString();
    signal.throwIfAborted();
    return { ok: (await session.exitCode) === 0, message: output.trim() || "command failed" };
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

export interface HttpProbe {
  readonly host: string;
  readonly port: number;
  readonly path?: string;
  readonly scheme?: string;
  readonly httpHeaders?: readonly { readonly name: string; readonly value: string }[];
  /** Default: `kube-probe/1.36`. */
  readonly agent?: string;
}

const MAX_REDIRECTS = 10;
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/**
 * Any code from 200 to 399 is healthy. Certificates are not checked, and redirects are followed as long as they stay on
 * the host; one that leads away is an answer like any other.
 */
export async function httpProbe(p: HttpProbe, signal: AbortSignal): Promise<ProbeResult> {
  let url = urlOf(p);
  try {
    for (let n = 0; n <= MAX_REDIRECTS; n++) {
      const { statusCode: code = 0, headers } = await get(url, p, signal);
      const next = REDIRECTS.has(code) && headers.location ? new URL(headers.location, url) : undefined;
      if (next?.hostname !== url.hostname)
        return { ok: code >= 200 && code < 400, message: `HTTP probe failed with statuscode: ${code}` };
      url = next;
    }
    return { ok: false, message: `Get "${url.href}": stopped after ${MAX_REDIRECTS} redirects` };
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw new Error(`Get "${url.href}": ${dialError(error, url.hostname, portNumberOf(url))}`, { cause: error });
  }
}

/** The head of the answer; its body is not waited for. */
function get(url: URL, p: HttpProbe, signal: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const headers = {
      "User-Agent": p.agent ?? "kube-probe/1.36",
      Accept: "*/*",
      ...Object.fromEntries((p.httpHeaders ?? []).map((h) => [h.name, h.value])),
    };
    const o = { headers, signal, agent: false as const };
    const send =
      url.protocol === "https:" ? httpsRequest(url, { ...o, rejectUnauthorized: false }) : httpRequest(url, o);
    send.once("response", (res) => {
      res.destroy();
      resolve(res);
    });
    send.once("error", reject);
    send.end();
  });
}

export function tcpProbe(host: string, port: number, signal: AbortSignal): Promise<ProbeResult> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, signal });
    socket.once("connect", () => {
      socket.destroy();
      resolve({ ok: true, message: "" });
    });
    socket.once("error", (e) =>
      reject(signal.aborted ? (signal.reason as Error) : new Error(dialError(e, host, port), { cause: e })),
    );
  });
}

/** A number, or the name of one of the container's ports. */
export function portOf(c: Container, port: number | string): number {
  const named = c.ports?.find((p) => p.name === port)?.containerPort;
  return named ?? Number(port);
}

export function urlOf(p: HttpProbe): URL {
  const path = p.path?.startsWith("/") ? p.path : `/${p.path ?? ""}`;
  return new URL(`${p.scheme === "HTTPS" ? "https" : "http"}://${bracketed(p.host)}:${p.port}${path}`);
}

/** In Go's words, which people know from the kubelet's events. */
const DIAL_ERRORS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connect: connection refused",
  EHOSTUNREACH: "connect: no route to host",
  ENETUNREACH: "connect: network is unreachable",
  ETIMEDOUT: "connect: connection timed out",
};

function dialError(error: unknown, host: string, port: number): string {
  const { code = "", message } = error as NodeJS.ErrnoException;
  if (code === "ECONNRESET") return "EOF";
  const known = own(DIAL_ERRORS, code);
  return known ? `dial tcp ${bracketed(host)}:${port}: ${known}` : message;
}

const bracketed = (host: string) => (isIPv6(host) ? `[${host}]` : host);

const portNumberOf = (url: URL) => Number(url.port || (url.protocol === "https:" ? 443 : 80));
