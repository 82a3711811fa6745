/**
 * One exec or attach session, whatever protocol carries it: WebSocket (websocket.ts) or SPDY (spdy.ts).
 *
 *  X1  Bytes arrive in order and complete; the final status comes after the last of them.
 *  X2  Neither side piles up in memory: output waits for the remote, stdin for the process.
 *  X3  When the remote goes, the session is closed; when the process ends, the remote learns its exit code.
 */
import type { ExecSession } from "../../runtime/runtime.ts";

export interface SessionStatus {
  readonly metadata: Record<string, never>;
  readonly status: "Success" | "Failure";
  readonly message?: string;
  readonly reason?: string;
  readonly code?: number;
  readonly details?: { readonly causes: readonly { readonly reason: string; readonly message: string }[] };
}

export interface TerminalSize {
  readonly width: number;
  readonly height: number;
}

/** The remote end, as a protocol adapter offers it. */
export interface Remote {
  /** Ends with the remote's EOF. Absent: the process gets no stdin. */
  readonly stdin?: AsyncIterable<Uint8Array>;
  readonly resizes: AsyncIterable<TerminalSize>;
  /** Resolves when more may be written. */
  write(stream: "stdout" | "stderr", data: Uint8Array): Promise<void>;
  finish(status: SessionStatus): Promise<void>;
  /** Aborts when the remote has gone. */
  readonly gone: AbortSignal;
}

export async function runSession(open: () => Promise<ExecSession>, remote: Remote): Promise<void> {
  let session: ExecSession;
  try {
    session = await open();
  } catch (error) {
    return remote.finish(failure(error instanceof Error ? error.message : String(error)));
  }
  const onGone = () => session.close();
  if (remote.gone.aborted) onGone();
  remote.gone.addEventListener("abort", onGone, { once: true });
  try {
    // Their ends are the remote's affair: the session is over when the process is.
    void feed(session, remote).catch(onGone);
    void resize(session, remote).catch(() => {}); // a terminal of the wrong size is no reason to end
    for await (const chunk of session.output) await remote.write(chunk.stream, chunk.data);
    await remote.finish(exitStatus(await session.exitCode));
  } catch (error) {
    if (!remote.gone.aborted) await remote.finish(failure(error instanceof Error ? error.message : String(error)));
  } finally {
    remote.gone.removeEventListener("abort", onGone);
    session.close();
  }
}

async function feed(session: ExecSession, remote: Remote): Promise<void> {
  if (!remote.stdin) return;
  for await (const data of remote.stdin) await session.write(data);
  session.end();
}

async function resize(session: ExecSession, remote: Remote): Promise<void> {
  for await (const size of remote.resizes) await session.resize(size);
}

/** `{"Width":80,"Height":24}`. Undefined: not a size, which the kubelet ignores too. */
export function parseTerminalSize(text: string): TerminalSize | undefined {
  try {
    const { Width, Height } = JSON.parse(text) as { Width?: unknown; Height?: unknown };
    return isSize(Width) && isSize(Height) ? { width: Width, height: Height } : undefined;
  } catch {
    return undefined;
  }
}

function isSize(n: unknown): n is number {
  return Number.isInteger(n) && Number(n) >= 0 && Number(n) <= 0xffff;
}

/** What kubectl makes its own exit code of. */
export function exitStatus(code: number): SessionStatus {
  if (code === 0) return { metadata: {}, status: "Success" };
  return {
    metadata: {},
    status: "Failure",
    message: `command terminated with non-zero exit code: exit status ${code}`,
    reason: "NonZeroExitCode",
    details: { causes: [{ reason: "ExitCode", message: String(code) }] },
  };
}

export function failure(message: string): SessionStatus {
  return { metadata: {}, status: "Failure", message, reason: "InternalError", code: 500 };
}
