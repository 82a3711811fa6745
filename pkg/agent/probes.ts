/** Asks containers how they are, and keeps what they answer as facts for the planner and the status. */
import type { Probe } from "../api/generated/types.ts";
import type { RuntimeContainer, RuntimePod } from "../runtime/runtime.ts";
import type { DeepReadonly } from "../util/types.ts";
import { type NodeContext, podEvent } from "./context.ts";
import { allContainersOf, type Container, type Pod, type ProbeFact } from "./facts.ts";
import { grpcProbe } from "./grpc-probe.ts";
import { execProbe, httpProbe, portOf, type ProbeResult, tcpProbe, urlOf } from "./probe-actions.ts";

type ProbeKind = "startup" | "liveness" | "readiness";

/** Thresholds, as in the API's defaults. Pure: one answer more, the fact that follows. */
export class ProbeTally {
  readonly #success: number;
  readonly #failure: number;
  #streak = 0;
  #last: boolean | undefined;

  constructor(p: DeepReadonly<Probe>) {
    this.#success = p.successThreshold ?? 1;
    this.#failure = p.failureThreshold ?? 3;
  }

  /** Undefined: not yet enough of the same answer. */
  count(ok: boolean): boolean | undefined {
    this.#streak = this.#last === ok ? this.#streak + 1 : 1;
    this.#last = ok;
    return this.#streak >= (ok ? this.#success : this.#failure) ? ok : undefined;
  }
}

/**
 *  B1  A container with a startup probe is asked nothing else before that has succeeded, and is not ready.
 *  B2  A readiness probe makes unready until it has succeeded; without one a started container is ready.
 *  B3  Results belong to one container id; a restarted container begins anew. An agent that adopts a container goes on
 *      from what its status says: a Pod does not become unready because its agent was restarted.
 *  B4  A Pod that is being deleted is asked for its readiness only.
 */
export class PodProber implements Disposable {
  readonly #ctx: NodeContext;
  readonly #facts: Map<string, ProbeFact>;
  readonly #changed: () => void;
  readonly #running = new Map<string, Loops>();

  constructor(ctx: NodeContext, facts: Map<string, ProbeFact>, changed: () => void) {
    this.#ctx = ctx;
    this.#facts = facts;
    this.#changed = changed;
  }

  /** Probes exactly the running containers, those without the `waiting`, whose postStart hook comes first. */
  sync(
    pod: Pod | undefined,
    actual: RuntimePod | undefined,
    o: { readonly signal: AbortSignal; readonly waiting: ReadonlyMap<string, unknown> },
  ): void {
    const alive = new Map<string, RuntimeContainer>();
    for (const c of pod ? (actual?.containers ?? []) : []) {
      if (c.state === "running" && !o.waiting.has(c.id)) alive.set(c.id, c);
    }
    const ending = pod?.metadata.deletionTimestamp !== undefined;
    for (const [id, loops] of this.#running) {
      if (!alive.has(id)) this.#forget(id, loops);
      else if (ending) loops.untilEnding.abort();
    }
    for (const c of alive.values()) {
      const spec = pod && allContainersOf(pod).find((x) => x.name === c.name);
      if (!pod || !spec || this.#running.has(c.id)) continue;
      const { id, startedAt = c.createdAt } = c;
      this.#begin({ pod, spec, id, startedAt, ip: actual?.sandbox?.ip, ending }, o.signal);
    }
  }

  [Symbol.dispose](): void {
    for (const [id, loops] of this.#running) this.#forget(id, loops);
  }

  #forget(id: string, loops: Loops): void {
    loops.untilEnding.abort();
    loops.whileRunning.abort();
    this.#running.delete(id);
    this.#facts.delete(id);
  }

  #begin(t: Target & { readonly ending: boolean }, parent: AbortSignal): void {
    const { startupProbe, livenessProbe, readinessProbe } = t.spec;
    if (!startupProbe && !livenessProbe && !readinessProbe) return;
    const loops = { untilEnding: new AbortController(), whileRunning: new AbortController() };
    if (t.ending) loops.untilEnding.abort();
    this.#running.set(t.id, loops);
    const fact = adopted(t) ?? { started: !startupProbe, ready: !readinessProbe };
    this.#facts.set(t.id, fact);
    const signal = AbortSignal.any([loops.untilEnding.signal, parent]);
    const later = () => {
      if (livenessProbe) void this.#loop(t, "liveness", livenessProbe, signal);
      const running = AbortSignal.any([loops.whileRunning.signal, parent]);
      if (readinessProbe) void this.#loop(t, "readiness", readinessProbe, running);
    };
    if (startupProbe && !fact.started) void this.#loop(t, "startup", startupProbe, signal).then((ok) => ok && later());
    else later();
  }

  /** Ends by the signal, when the container has to be killed, or (startup) with its first success. */
  async #loop(t: Target, kind: ProbeKind, p: DeepReadonly<Probe>, signal: AbortSignal): Promise<boolean> {
    const tally = new ProbeTally(p);
    const { clock } = this.#ctx;
    try {
      signal.throwIfAborted();
      const begins = t.startedAt + (p.initialDelaySeconds ?? 0) * 1000;
      await clock.sleep(Math.max(0, begins - clock.now()), signal);
      for (;;) {
        const result = await this.#ask(t, p, signal);
        if (signal.aborted) return false;
        this.#ctx.metrics.probed({ pod: t.pod, container: t.spec.name, kind, ok: result.ok });
        if (!result.ok) this.#report(t, kind, result.message);
        const verdict = tally.count(result.ok);
        if (verdict !== undefined) this.#learn(t.id, kind, verdict, result.message);
        if (kind === "startup" && verdict === true) return true;
        if (kind !== "readiness" && verdict === false) return false;
        await clock.sleep((p.periodSeconds ?? 10) * 1000, signal);
      }
    } catch {
      return false; // the only rejection is the signal's
    }
  }

  #learn(id: string, kind: ProbeKind, ok: boolean, message: string): void {
    const old = this.#facts.get(id);
    if (!old) return;
    const next: ProbeFact =
      kind === "readiness"
        ? { ...old, ready: ok }
        : ok
          ? { ...old, started: true }
          : { ...old, unhealthy: { probe: kind, message } };
    this.#facts.set(id, next);
    if (next.ready !== old.ready || next.started !== old.started || next.unhealthy !== old.unhealthy) this.#changed();
  }

  #report(t: Target, kind: ProbeKind, message: string): void {
    const title = kind.charAt(0).toUpperCase() + kind.slice(1);
    podEvent(this.#ctx, t.pod, {
      type: "Warning",
      reason: "Unhealthy",
      message: `${title} probe failed: ${message}`,
      container: t.spec.name,
    });
  }

  async #ask(t: Target, p: DeepReadonly<Probe>, signal: AbortSignal): Promise<ProbeResult> {
    const limit = new AbortController();
    const ms = (p.timeoutSeconds ?? 1) * 1000;
    const host = t.ip ?? this.#ctx.hostIP;
    using _timer = this.#ctx.clock.after(ms, () => limit.abort(new Error(timeoutMessage(t, p, { host, ms }))));
    const both = AbortSignal.any([signal, limit.signal]);
    try {
      return await askOnce(t, p, { runtime: this.#ctx.runtime, host, signal: both });
    } catch (error) {
      return { ok: false, message: error instanceof Error ? error.message : String(error) };
    }
  }
}

/** What a probed container's loops end by. */
interface Loops {
  /** Startup and liveness. */
  readonly untilEnding: AbortController;
  /** Readiness. */
  readonly whileRunning: AbortController;
}

interface Target {
  readonly pod: Pod;
  readonly spec: Container;
  readonly id: string;
  /** Delays count from then, also for an agent that comes later. */
  readonly startedAt: number;
  readonly ip: string | undefined;
}

type ReadonlyProbe = DeepReadonly<Probe>;

function askOnce(
  t: Target,
  p: ReadonlyProbe,
  o: { readonly runtime: NodeContext["runtime"]; readonly host: string; readonly signal: AbortSignal },
): Promise<ProbeResult> {
  const { host, signal } = o;
  if (p.exec) return execProbe(o.runtime, { id: t.id, command: p.exec.command ?? [] }, signal);
  if (p.httpGet) return httpProbe(httpTarget(t.spec, p.httpGet, host), signal);
  if (p.tcpSocket) return tcpProbe(p.tcpSocket.host || host, portOf(t.spec, p.tcpSocket.port), signal);
  return grpcProbe({ host, port: p.grpc?.port ?? 0, service: p.grpc?.service ?? "" }, signal);
}

function httpTarget(c: Container, get: NonNullable<ReadonlyProbe["httpGet"]>, host: string) {
  return { ...get, host: get.host || host, port: portOf(c, get.port) };
}

/** In the words of what the kubelet asks with. */
function timeoutMessage(t: Target, p: ReadonlyProbe, o: { readonly host: string; readonly ms: number }): string {
  const late = `${o.ms / 1000}s`;
  if (p.exec) return `command timed out: "${(p.exec.command ?? []).join(" ")}" timed out after ${late}`;
  if (p.tcpSocket) return `dial tcp ${p.tcpSocket.host || o.host}:${portOf(t.spec, p.tcpSocket.port)}: i/o timeout`;
  if (!p.httpGet) return `timeout: health rpc did not complete within ${late}`;
  const url = urlOf(httpTarget(t.spec, p.httpGet, o.host)).href;
  return `Get "${url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)`;
}

/** B3. One that has not started yet is asked as if it were new. */
function adopted({ pod, spec, id }: Target): ProbeFact | undefined {
  const { initContainerStatuses = [], containerStatuses = [] } = pod.status ?? {};
  const status = [...initContainerStatuses, ...containerStatuses].find((s) => s.name === spec.name);
  if (status?.containerID !== `docker://${id}` || !status.state?.running || !status.started) return undefined;
  return { started: true, ready: status.ready };
}
