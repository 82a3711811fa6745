/** `/containerLogs` of Pods that are here, and of those that were; `/keptLogs`: which these are. */
import type { ServerResponse } from "node:http";
import type { KeptLogEntry } from "../api/kept-logs.ts";
import { ApiError } from "../api/status.ts";
import type { ContainerRuntime } from "../runtime/runtime.ts";
import type { Clock } from "../util/clock.ts";
import type { Fleet } from "./fleet.ts";
import { sendJson, sendPart } from "./answers.ts";
import { selected } from "./kept-logs/lines.ts";
import { chooseKept } from "./kept-logs/plan.ts";
import type { KeptLogs } from "./kept-logs/store.ts";
import { chooseAttempt, logBytes, type LogQuery, parseLogQuery } from "./logs.ts";
import type { PodWorker } from "./worker.ts";

export interface LogContext {
  readonly runtime: ContainerRuntime;
  readonly pods: Pick<Fleet, "find" | "workers">;
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

export async function serveLogs(ctx: LogContext, r: LogRequest): Promise<void> {
  const log = parseLogQuery(r.query, { pod: r.pod, now: ctx.clock.now() });
  const worker = workerOf(ctx, r);
  return worker ? serveLive(ctx, { ...r, log }, worker) : serveKept(ctx, { ...r, log });
}

/** Of the Pod that has the name, or of one whose containers outlive it for a moment. Undefined: kept or lost. */
function workerOf({ pods }: LogContext, { namespace, pod, query }: LogRequest): PodWorker | undefined {
  const uid = query.get("uid");
  const meant = (w: PodWorker | undefined) => w && (uid === null || uidOf(w) === uid);
  const named = pods.find(namespace, pod);
  if (meant(named)) return named;
  return leaving(pods).find((w) => w.actual?.namespace === namespace && w.actual.name === pod && meant(w));
}

const uidOf = (w: PodWorker) => w.pod?.metadata.uid ?? w.actual?.uid;

const leaving = (pods: LogContext["pods"]) => [...pods.workers()].filter((w) => !w.pod && w.actual);

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

/** With those that will be kept as soon as their containers are removed. */
export function serveKeptLogList(ctx: LogContext, q: URLSearchParams, res: ServerResponse): void {
  const [namespace, pod] = [q.get("namespace") ?? undefined, q.get("pod") ?? undefined];
  const endedAt = ctx.clock.now();
  const soon = leaving(ctx.pods).flatMap(({ actual }): KeptLogEntry[] => {
    if (!actual || (namespace ?? actual.namespace) !== actual.namespace || (pod ?? actual.name) !== actual.name)
      return [];
    const of = { namespace: actual.namespace, pod: actual.name, uid: actual.uid };
    return actual.containers.map((c) => ({ ...of, container: c.name, attempt: c.attempt, endedAt, sizeBytes: 0 }));
  });
  sendJson(res, { logs: [...soon, ...ctx.keptLogs.list({ namespace, pod })] });
}

function waitingReason(worker: PodWorker, container: string): string | undefined {
  const all = [...(worker.status?.initContainerStatuses ?? []), ...(worker.status?.containerStatuses ?? [])];
  return all.find((s) => s.name === container)?.state?.waiting?.reason;
}
