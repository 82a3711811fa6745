/** `/containerLogs`: what is asked for, and the bytes. */
import { ApiError } from "../api/status.ts";
import type { ContainerRuntime, LogOptions, RuntimeContainer } from "../runtime/runtime.ts";

export interface LogQuery {
  readonly options: LogOptions;
  readonly previous: boolean;
  readonly limitBytes: number | undefined;
}

/** Throws ApiError for what makes no sense. */
export function parseLogQuery(q: URLSearchParams, now: number): LogQuery {
  const tail = integer(q, "tailLines");
  const seconds = integer(q, "sinceSeconds");
  const time = q.get("sinceTime");
  const since = seconds !== undefined ? now - seconds * 1000 : time ? Date.parse(time) : undefined;
  if (Number.isNaN(since)) throw new ApiError("BadRequest", `sinceTime is not a time: ${time}`);
  return {
    options: {
      follow: flag(q, "follow"),
      timestamps: flag(q, "timestamps"),
      ...(tail !== undefined && { tail }),
      ...(since !== undefined && { since }),
    },
    previous: flag(q, "previous"),
    limitBytes: integer(q, "limitBytes"),
  };
}

/** The attempt whose log is meant. */
export function chooseAttempt(
  attempts: readonly RuntimeContainer[],
  o: { container: string; pod: string; previous: boolean; waiting: string | undefined },
): RuntimeContainer {
  const [newest, ...older] = attempts.filter((c) => c.name === o.container).toSorted((a, b) => b.attempt - a.attempt);
  const dead = newest?.state === "exited" && o.waiting !== undefined ? newest : older.find((c) => c.state === "exited");
  const chosen = o.previous ? dead : newest?.state === "created" ? undefined : newest;
  if (chosen) return chosen;
  const what = `container "${o.container}" in pod "${o.pod}"`;
  if (o.previous) throw new ApiError("BadRequest", `previous terminated ${what} not found`);
  throw new ApiError("BadRequest", `${what} is waiting to start: ${o.waiting ?? "ContainerCreating"}`);
}

export async function* logBytes(
  runtime: ContainerRuntime,
  id: string,
  q: LogQuery,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  let left = q.limitBytes ?? Infinity;
  for await (const { data } of runtime.logs(id, q.options, signal)) {
    const part = data.byteLength > left ? data.subarray(0, left) : data;
    if (part.byteLength > 0) yield part;
    left -= part.byteLength;
    if (left <= 0) return;
  }
}

/** `True` and `1` too: as Go reads booleans. */
export function flag(q: URLSearchParams, name: string): boolean {
  return /^(1|t|true)$/i.test(q.get(name) ?? "");
}

function integer(q: URLSearchParams, name: string): number | undefined {
  const text = q.get(name);
  if (text === null) return undefined;
  if (!/^\d+$/.test(text)) throw new ApiError("BadRequest", `${name} is not a number: ${text}`);
  return Number(text);
}
