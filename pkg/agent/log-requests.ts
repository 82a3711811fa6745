/** `/containerLogs` of Pods that are here, and of those that were; `/keptLogs`: which these are. */
import type { ServerResponse } from "node:http";
import { ApiError } from "../api/status.ts";
import type { ContainerRuntime } from "../runtime/runtime.ts";
import type { Clock } from "../util/clock.ts";
import { sendJson, sendPart } from "./answers.ts";
import { selected } from "./kept-logs/lines.ts";
import { chooseKept } from "./kept-logs/plan.ts";
import type { KeptLogs } from "./kept-logs/store.ts";
import { chooseAttempt, logBytes, type LogQuery, parseLogQuery } from "./logs.ts";
import type { PodWorker } from "./worker.ts";

export interface LogContext {
  readonly runtime: ContainerRuntime;
  readonly clock: Clock;
  readonly keptLogs: Pick<KeptLogs, "list" | "lines">;
}

export interface LogRequest {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  readonly query: URLSearchParams;
  readonly res: ServerResponse;
  readonly signal: AbortSignal;
}

/** Until then a runtime that refuses can still answer with its error; after it, whoever follows a silent log must know that he is heard. */
const HEADERS_MS = 200;

/** `worker`: undefined when no Pod of that name is here. */
export async function serveLogs(ctx: LogContext, r: LogRequest, worker: PodWorker | undefined): Promise<void> {
  const query = parseLogQuery(r.query, { pod: r.pod, now: ctx.clock.now() });
  const uid = r.query.get("uid");
  // Another Pod may have its name by now.
  const live = worker && (uid === null || worker.pod?.metadata.uid === uid);
  return live ? serveLive(ctx, { ...r, log: query }, worker) : serveKept(ctx, { ...r, log: query });
}

async function serveLive(ctx: LogContext, r: LogRequest & { log: LogQuery }, worker: PodWorker): Promise<void> {
  const { res, signal, log } = r;
  const waiting = waitingReason(worker, r.container);
  const { id } = chooseAttempt(worker.actual?.containers ?? [], { ...r, previous: log.previous, waiting });
  const begin = () => {
    if (!res.headersSent) res.writeHead(200, { "Content-Type": "text/plain" }).flushHeaders();
  };
  using _soon = ctx.clock.after(HEADERS_MS, begin);
  for await (const part of logBytes(ctx.runtime, id, log, signal)) {
    begin();
    await sendPart(res, part, signal);
    if (signal.aborted) return;
  }
  begin();
  res.end();
}

/** A dead Pod says no more, so there is nothing to follow. */
async function serveKept({ keptLogs }: LogContext, r: LogRequest & { log: LogQuery }): Promise<void> {
  const { namespace, pod, container, log } = r;
  const kept = keptLogs.list({ namespace, pod });
  const uid = r.query.get("uid") ?? undefined;
  const chosen = chooseKept(kept, { container, previous: log.previous, uid });
  if (!chosen) throw new ApiError("NotFound", notKept(r, kept.length > 0));
  const text = selected(await keptLogs.lines(chosen), { ...log.options, only: log.stream });
  const bytes = Buffer.from(text).subarray(0, log.limitBytes);
  r.res.writeHead(200, { "Content-Type": "text/plain" }).end(bytes);
}

function notKept({ pod, container }: LogRequest, others: boolean): string {
  if (!others) return `pod "${pod}" does not run on this node`;
  return `pod "${pod}" is gone, and of its container "${container}" no log was kept`;
}

export function serveKeptLogList({ keptLogs }: LogContext, q: URLSearchParams, res: ServerResponse): void {
  const of = (name: string) => q.get(name) ?? undefined;
  sendJson(res, { logs: keptLogs.list({ namespace: of("namespace"), pod: of("pod") }) });
}

function waitingReason(worker: PodWorker, container: string): string | undefined {
  const all = [...(worker.status?.initContainerStatuses ?? []), ...(worker.status?.containerStatuses ?? [])];
  return all.find((s) => s.name === container)?.state?.waiting?.reason;
}
