/** `/containerLogs`: what is asked for, and the bytes. */
import { ApiError, type FieldError, invalid } from "../api/status.ts";
import type { ContainerRuntime, LogChunk, LogOptions, RuntimeContainer } from "../runtime/runtime.ts";
import { own } from "../util/keys.ts";

export interface LogQuery {
  readonly options: LogOptions;
  readonly previous: boolean;
  readonly limitBytes: number | undefined;
  /** Undefined: both. */
  readonly stream: LogChunk["stream"] | undefined;
}

const STREAMS: Readonly<Record<string, LogChunk["stream"] | undefined>> = {
  All: undefined,
  Stdout: "stdout",
  Stderr: "stderr",
};

/** Throws ApiError for what makes no sense, in Kubernetes' words. `pod` is its name. */
export function parseLogQuery(q: URLSearchParams, o: { pod: string; now: number }): LogQuery {
  const tail = integer(q, "tailLines");
  const limitBytes = integer(q, "limitBytes");
  const seconds = integer(q, "sinceSeconds");
  const time = q.get("sinceTime");
  const stream = q.get("stream") ?? "All";
  const errors = [
    ...atLeast("tailLines", tail, 0),
    ...atLeast("limitBytes", limitBytes, 1),
    ...(seconds !== undefined && time !== null ? [BOTH] : atLeast("sinceSeconds", seconds, 1)),
    ...streamErrors(stream, tail),
  ];
  if (errors.length > 0) throw invalid({ group: "", kind: "PodLogOptions" }, o.pod, errors);
  const since = seconds !== undefined ? o.now - seconds * 1000 : time !== null ? Date.parse(time) : undefined;
  if (Number.isNaN(since)) throw new ApiError("BadRequest", `sinceTime is not a time: ${time}`);
  return {
    options: {
      follow: flag(q, "follow"),
      timestamps: flag(q, "timestamps"),
      ...(tail !== undefined && { tail }),
      ...(since !== undefined && { since }),
    },
    previous: flag(q, "previous"),
    limitBytes,
    stream: own(STREAMS, stream),
  };
}

const BOTH: FieldError = {
  type: "Forbidden",
  field: "sinceSeconds",
  detail: "at most one of `sinceTime` or `sinceSeconds` may be specified",
};

function atLeast(field: string, value: number | undefined, least: 0 | 1): FieldError[] {
  if (value === undefined || value >= least) return [];
  const detail = least === 1 ? "must be greater than 0" : "must be greater than or equal to 0";
  return [{ type: "Invalid", field, value, detail }];
}

function streamErrors(stream: string, tail: number | undefined): FieldError[] {
  if (!Object.hasOwn(STREAMS, stream)) {
    const supported = Object.keys(STREAMS).map((s) => JSON.stringify(s));
    return [
      { type: "NotSupported", field: "stream", value: stream, detail: `supported values: ${supported.join(", ")}` },
    ];
  }
  if (tail === undefined || stream === "All") return [];
  const detail = "`tailLines` and specific `stream` are mutually exclusive for now";
  return [{ type: "Forbidden", field: "tailLines", detail }];
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
  for await (const { stream, data } of runtime.logs(id, q.options, signal)) {
    if (q.stream && stream !== q.stream) continue;
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
  if (text === null || text === "") return undefined;
  if (!/^-?\d+$/.test(text)) throw new ApiError("BadRequest", `${name} is not a number: ${text}`);
  return Number(text);
}
