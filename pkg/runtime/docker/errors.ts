import { RuntimeError, type RuntimeErrorReason } from "../runtime.ts";

/** What docker-modem gives: the daemon's answer, or the system error of the connection. */
interface DockerFailure extends Error {
  readonly statusCode?: number;
  readonly json?: { readonly message?: string } | null;
  readonly code?: string;
}

/** A RuntimeError that knows the daemon's status, for the few places that decide on it. */
export class DockerError extends RuntimeError {
  readonly status: number | undefined;
  constructor(reason: RuntimeErrorReason, message: string, o: { status?: number; cause: unknown }) {
    super(reason, message, { cause: o.cause });
    this.status = o.status;
  }
}

/**
 * No answer means that the daemon is away, whatever the system calls it; 404 means NotFound; the rest is the verb's own
 * failure and gets its reason there ({@link failingAs}).
 */
export function asRuntimeError(error: DockerFailure): RuntimeError {
  if (error.statusCode === undefined) {
    return new DockerError("RuntimeUnavailable", `Docker does not answer: ${error.message}`, { cause: error });
  }
  const message = error.json?.message ?? error.message;
  const reason = error.statusCode === 404 ? "NotFound" : "RuntimeError";
  return new DockerError(reason, message, { status: error.statusCode, cause: error });
}

/** Gives the verb's own failures their reason; that the daemon is away stays what it is. */
export async function failingAs<T>(
  reason: RuntimeErrorReason,
  p: Promise<T>,
  statuses?: readonly number[],
): Promise<T> {
  try {
    return await p;
  } catch (e) {
    if (!(e instanceof DockerError) || e.status === undefined) throw e;
    if (statuses && !statuses.includes(e.status)) throw e;
    throw new RuntimeError(reason, e.message, { cause: e.cause, retryable: reason !== "InvalidImageName" });
  }
}

/** Undefined instead of an error with this status. */
export async function unless<T>(status: number, p: Promise<T>): Promise<T | undefined> {
  try {
    return await p;
  } catch (e) {
    if (e instanceof DockerError && e.status === status) return undefined;
    throw e;
  }
}
