/** How the agent's endpoint answers: errors as Statuses, bodies no faster than they are taken. */
import type { ServerResponse } from "node:http";
import { ApiError } from "../api/status.ts";
import { RuntimeError, type RuntimeErrorReason } from "../runtime/runtime.ts";

const REASONS: Partial<Record<RuntimeErrorReason, ApiError["reason"]>> = {
  NotFound: "NotFound",
  RuntimeUnavailable: "ServiceUnavailable",
  InvalidImageName: "BadRequest",
};

export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof URIError) return new ApiError("BadRequest", message);
  const reason = error instanceof RuntimeError ? REASONS[error.reason] : undefined;
  return new ApiError(reason ?? "InternalError", message);
}

export function sendJson(res: ServerResponse, value: object): void {
  res.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify(value));
}

/** Resolves when more may be written, or nobody is there to read it. */
export async function sendPart(res: ServerResponse, part: Uint8Array | string, signal: AbortSignal): Promise<void> {
  if (res.write(part)) return;
  await new Promise<void>((resolve) => {
    const done = () => {
      res.off("drain", done);
      signal.removeEventListener("abort", done);
      resolve();
    };
    res.once("drain", done);
    signal.addEventListener("abort", done, { once: true });
    if (signal.aborted) done();
  });
}
