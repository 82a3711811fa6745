/** The ways to ask a container how it is: once, until the signal aborts. What cannot be asked rejects. */
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { connect } from "node:net";
import type { ContainerRuntime } from "../runtime/runtime.ts";

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
}

/** Any code from 200 to 399 is healthy. Certificates are not checked, as in the kubelet. */
export function httpProbe(p: HttpProbe, signal: AbortSignal): Promise<ProbeResult> {
  return new Promise((resolve, reject) => {
    const headers = {
      "User-Agent": "kube-probe/1.36",
      ...Object.fromEntries((p.httpHeaders ?? []).map((h) => [h.name, h.value])),
    };
    const o = { host: p.host, port: p.port, path: p.path ?? "/", headers, signal, agent: false as const };
    const send = p.scheme === "HTTPS" ? httpsRequest({ ...o, rejectUnauthorized: false }) : httpRequest(o);
    send.once("response", (res) => {
      res.destroy();
      const code = res.statusCode ?? 0;
      resolve({ ok: code >= 200 && code < 400, message: `HTTP probe failed with statuscode: ${code}` });
    });
    send.once("error", (e) => reject(signal.aborted ? (signal.reason as Error) : e));
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
    socket.once("error", (e) => reject(signal.aborted ? (signal.reason as Error) : e));
  });
}
