/** Asks containers how they are, and keeps what they answer as facts for the planner and the status. */
import type { Probe } from "../api/generated/types.ts";
import type { RuntimeContainer, RuntimePod } from "../runtime/runtime.ts";
import type { DeepReadonly } from "../util/types.ts";
import { type NodeContext, podEvent } from "./context.ts";
import { type Container, containersOf, type Pod, type ProbeFact } from "./facts.ts";
import { execProbe, httpProbe, type ProbeResult, tcpProbe } from "./probe-actions.ts";

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
 *  B3  Results belong to one container id; a restarted container begins anew.
 */
export class PodProber implements Disposable {
  readonly #ctx: NodeContext;
  readonly #facts: Map<string, ProbeFact>;
  readonly #changed: () => void;
  readonly #running = new Map<string, AbortController>();

  constructor(ctx: NodeContext, facts: Map<string, ProbeFact>, changed: () => void) {
    this.#ctx = ctx;
    this.#facts = facts;
    this.#changed = changed;
  }

  /** Probes exactly the running containers of a Pod that is to run. */
  sync(pod: Pod | undefined, actual: RuntimePod | undefined, signal: AbortSignal): void {
    const alive = new Map<string, RuntimeContainer>();
    if (pod && pod.metadata.deletionTimestamp === undefined) {
      for (const c of actual?.containers ?? []) if (c.state === "running") alive.set(c.id, c);
    }
    for (const [id, stop] of this.#running) if (!alive.has(id)) this.#forget(id, stop);
    for (const c of alive.values()) {
      const spec = pod ? containersOf(pod).find((x) => x.name === c.name) : undefined;
      if (pod && spec && !this.#running.has(c.id))
        this.#begin({ pod, spec, id: c.id, ip: actual?.sandbox?.ip }, signal);
    }
  }

  [Symbol.dispose](): void {
    for (const [id, stop] of this.#running) this.#forget(id, stop);
  }

  #forget(id: string, stop: AbortController): void {
    stop.abort();
    this.#running.delete(id);
    this.#facts.delete(id);
  }

  #begin(t: Target, parent: AbortSignal): void {
    const { startupProbe, livenessProbe, readinessProbe } = t.spec;
    if (!startupProbe && !livenessProbe && !readinessProbe) return;
    const stop = new AbortController();
    const signal = AbortSignal.any([stop.signal, parent]);
    this.#running.set(t.id, stop);
    this.#facts.set(t.id, { started: !startupProbe, ready: !readinessProbe });
    const later = () => {
      if (livenessProbe) void this.#loop(t, "liveness", livenessProbe, signal);
      if (readinessProbe) void this.#loop(t, "readiness", readinessProbe, signal);
    };
    if (startupProbe) void this.#loop(t, "startup", startupProbe, signal).then((ok) => ok && later());
    else later();
  }

  /** Ends by the signal, when the container has to be killed, or (startup) with its first success. */
  async #loop(t: Target, kind: ProbeKind, p: DeepReadonly<Probe>, signal: AbortSignal): Promise<boolean> {
    const tally = new ProbeTally(p);
    const { clock } = this.#ctx;
    try {
      await clock.sleep((p.initialDelaySeconds ?? 0) * 1000, signal);
      for (;;) {
        const result = await this.#ask(t, p, signal);
        if (signal.aborted) return false;
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
    using _timer = this.#ctx.clock.after(ms, () => limit.abort(new Error(`timeout: no answer within ${ms / 1000}s`)));
    const both = AbortSignal.any([signal, limit.signal]);
    try {
      if (p.exec) return await execProbe(this.#ctx.runtime, { id: t.id, command: p.exec.command ?? [] }, both);
      const host = t.ip ?? this.#ctx.hostIP;
      if (p.httpGet)
        return await httpProbe(
          { ...p.httpGet, host: p.httpGet.host || host, port: portOf(t.spec, p.httpGet.port) },
          both,
        );
      if (p.tcpSocket) return await tcpProbe(p.tcpSocket.host || host, portOf(t.spec, p.tcpSocket.port), both);
      return { ok: true, message: "" }; // gRPC: unsupported.ts tells of it
    } catch (error) {
      return { ok: false, message: error instanceof Error ? error.message : String(error) };
    }
  }
}

interface Target {
  readonly pod: Pod;
  readonly spec: Container;
  readonly id: string;
  readonly ip: string | undefined;
}

function portOf(c: Container, port: number | string): number {
  const named = c.ports?.find((p) => p.name === port)?.containerPort;
  return named ?? Number(port);
}
