/**
 * One Pod on this node: observe → plan → execute → report, again and again.
 *
 *  K1  Level-triggered: whatever wakes it, it looks at the Pod and the runtime as they are and plans anew.
 *  K2  Nothing is planned on a picture known to be wrong; between its own successful verbs it does not ask the runtime,
 *      and once nothing is left to do it does.
 *  K3  The same verb for the same thing is never under way twice.
 *  K4  While the runtime is away nothing is marked failed: the worker waits and begins with a fresh look.
 *  K5  It ends only when nothing of the Pod is left, on the node and in the API, or by its signal.
 */
import { pods } from "../api/kinds/core/pod.ts";
import type { PodStatus } from "../api/generated/types.ts";
import { RuntimeError, type RuntimePod } from "../runtime/runtime.ts";
import { backoffMs } from "../util/backoff.ts";
import { securityRefusal } from "./admit-security.ts";
import { type NodeContext, podEvent } from "./context.ts";
import { type Eviction, isTerminalPhase, newestOf, type Pod } from "./facts.ts";
import { PodMemory } from "./memory.ts";
import { planPod } from "./plan.ts";
import type { PodAction } from "./plan-action.ts";
import { viewOf } from "./pod-view.ts";
import { PodProber } from "./probes.ts";
import { podStatus } from "./status.ts";
import { isStatic } from "./static-pods/manifest.ts";
import { StatusWriter } from "./status-writer.ts";
import { StartSlot } from "./start-slot.ts";
import type { PodState, Step } from "./step-env.ts";
import { ASIDE, keyOfStep, STARTING } from "./step-kinds.ts";
import { PodSteps } from "./steps.ts";
import { READ_LIMIT_MS, withinLimit } from "./time-limit.ts";
import { readMessage } from "./termination-message.ts";
import { statusEvents } from "./transitions.ts";
import { unsummedLimits } from "./resources.ts";
import type { PendingResize } from "./resize/allocations.ts";
import { resizeEnd, resizeEvent, withResources } from "./resize/status.ts";
import { unsupportedFields } from "../api/unsupported.ts";

/** One change of a Pod makes several events: wait this long for the others before asking the runtime. */
const SETTLE_MS = 20;
const OBSERVE_RETRY = { initialMs: 100, maxMs: 10_000, jitter: 0.3 };

export class PodWorker {
  readonly #ctx: NodeContext;
  readonly #s: PodState;
  readonly #steps: PodSteps;
  readonly #prober: PodProber;
  readonly #underWay = new Map<string, Step>();
  readonly #owned = new Set<Promise<void>>();
  /** Counts completed verbs: an observation during which one completed tells nothing. */
  #epoch = 0;
  /** The runtime hinted at a change. */
  #hinted = false;
  #settling: Disposable | undefined;
  #timer: Disposable | undefined;
  readonly #slot: StartSlot;
  #suspended = false;
  /** As the API has it. */
  #asked: Pod | undefined;
  #pendingResize: PendingResize | undefined;
  #admitted = false;
  #observeFailures = 0;
  #wake: () => void = () => {};
  #awake = true;

  /** `actual`, where the runtime already has something of the Pod: adopted, not started anew. */
  constructor(ctx: NodeContext, o: { uid: string; pod?: Pod; actual?: RuntimePod; orphanGraceSeconds?: number }) {
    this.#ctx = ctx;
    const memory = new PodMemory({ drained: ctx.drained === undefined });
    if (o.orphanGraceSeconds !== undefined) memory.orphanGraceSeconds = o.orphanGraceSeconds;
    this.#s = {
      uid: o.uid,
      pod: undefined,
      actual: o.actual,
      stale: false,
      pause: undefined,
      memory,
      status: undefined,
    };
    this.#admitted = o.actual !== undefined;
    this.#steps = new PodSteps(ctx, this.#s);
    this.#slot = new StartSlot(ctx.starts, () => this.#poke());
    this.#prober = new PodProber(ctx, memory.probes, () => this.#poke());
    if (o.pod) this.setPod(o.pod);
    memory.observed(o.pod, o.actual);
  }

  get uid(): string {
    return this.#s.uid;
  }

  get pod(): Pod | undefined {
    return this.#s.pod;
  }

  get actual(): RuntimePod | undefined {
    return this.#s.actual;
  }

  /** As of the last step; what the agent's /pods shows. */
  get status(): PodStatus | undefined {
    return this.#s.status?.wanted;
  }

  /** Admitted, and not yet at its end. */
  get holdsResources(): boolean {
    const { memory, status, pod } = this.#s;
    return this.#admitted && !memory.refused && !isTerminalPhase(status?.wanted?.phase ?? pod?.status?.phase);
  }

  /** Undefined: deleted. One removed without grace gets little, for its API object is gone already. */
  setPod(pod: Pod | undefined): void {
    const { memory } = this.#s;
    if (!pod && this.#s.pod) memory.orphanGraceSeconds = graceOfGone(this.#s.pod);
    if (pod && !this.#s.pod) memory.adopt(pod);
    this.#asked = pod;
    this.#s.pod = pod && this.#granted(pod);
    const shown = pod && this.#ctx.shownAs(pod);
    if (shown) {
      if (this.#s.status?.isOf(shown)) this.#s.status.observed(shown);
      else this.#s.status = this.#newWriter(shown);
    }
    this.#poke();
  }

  /** A resize that had to wait may fit by now. */
  reconsider(): void {
    if (this.#asked) this.setPod(this.#asked);
  }

  /** The Pod with the resources that the node gives it. */
  #granted(asked: Pod): Pod {
    const { pod, pending, decided } = this.#ctx.room.offer(asked);
    this.#pendingResize = pending;
    if (decided) podEvent(this.#ctx, pod, resizeEvent(decided, asked, pending));
    return pod;
  }

  /** There are others on the node: what waits for one looks again at once. */
  imagesChanged(): void {
    const { images } = this.#s.memory;
    const retryAt = this.#ctx.clock.now();
    for (const [name, fact] of images)
      if (fact.state === "failed") images.set(name, { ...fact, error: { ...fact.error, retryAt } });
    this.#poke();
  }

  /** The runtime hints that something of the Pod changed. */
  runtimeChanged(): void {
    this.#settling ??= this.#ctx.clock.after(SETTLE_MS, () => {
      this.#settling = undefined;
      this.#hinted = true;
      this.#poke();
    });
  }

  /** Ends it as Failed, in order, and for good: the first word counts. */
  evict(e: Eviction): void {
    this.#s.memory.evicted ??= e;
    this.#poke();
  }

  /** What its volumes come from has changed: their files follow at once. */
  refreshVolumes(): void {
    const { volumes } = this.#s.memory;
    if (typeof volumes !== "object" || !("refreshAt" in volumes)) return;
    this.#s.memory.volumes = { refreshAt: this.#ctx.clock.now() };
    this.#poke();
  }

  suspend(): void {
    this.#suspended = true;
  }

  resume(): void {
    this.#suspended = false;
    this.#s.stale = true;
    this.#poke();
  }

  async run(signal: AbortSignal): Promise<void> {
    const onAbort = () => this.#poke();
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      while (!signal.aborted && !this.#finished()) {
        this.#awake = false;
        if (!this.#suspended) await this.#look(signal);
        if (!signal.aborted && !this.#awake) await this.#sleep();
      }
    } finally {
      signal.removeEventListener("abort", onAbort);
      this.#dispose();
      this.#ctx.room.left(this.#s.uid);
      await Promise.allSettled([...this.#owned, this.#s.status?.flushed()]);
    }
  }

  #finished(): boolean {
    const { pod, actual, memory } = this.#s;
    const nothing = !actual || (!actual.sandbox && actual.containers.length === 0);
    return !pod && nothing && memory.volumesRemoved && this.#underWay.size === 0;
  }

  async #look(signal: AbortSignal): Promise<void> {
    const wrong = this.#s.stale || (this.#hinted && !this.#changing());
    if (wrong && !(await this.#observe(signal))) return;
    if (this.#s.stale || signal.aborted) return;
    const pause = (this.#s.pause?.retryAt ?? 0) - this.#ctx.clock.now();
    if (pause > 0) return this.#wakeAfter(pause);
    this.#admit();
    this.#step(signal);
  }

  /** Verbs other than stopping, which can take long and whose end is observed, are left to finish first. */
  #changing(): boolean {
    return [...this.#underWay.values()].some((a) => a.type !== "stopContainer" && !ASIDE.has(a.type));
  }

  /** True when the picture is right now. */
  async #observe(signal: AbortSignal): Promise<boolean> {
    if (this.#changing()) return false; // their end wakes us
    this.#hinted = false;
    const epoch = this.#epoch;
    try {
      const limit = { clock: this.#ctx.clock, ms: READ_LIMIT_MS, what: "getPod", signal };
      const actual = await withinLimit(limit, (s) => this.#ctx.runtime.getPod(this.#s.uid, s));
      this.#observeFailures = 0;
      if (epoch !== this.#epoch) {
        this.#s.stale = true;
        this.#poke();
        return false;
      }
      this.#s.actual = actual;
      this.#s.stale = false;
      this.#s.memory.observed(this.#s.pod, actual);
      this.#steps.ends.observed();
      await this.#readMessages(signal);
      return true;
    } catch (error) {
      if (!signal.aborted) this.#observeFailed(error);
      return false;
    }
  }

  /** What containers that have ended have to say, once for each. */
  async #readMessages(signal: AbortSignal): Promise<void> {
    const { pod, actual, memory } = this.#s;
    if (!pod) return;
    for (const c of actual?.containers ?? []) {
      if (c.state !== "exited" || memory.messages.has(c.id)) continue;
      const limit = { clock: this.#ctx.clock, ms: READ_LIMIT_MS, what: "logs", signal };
      const reading = withinLimit(limit, (s) => readMessage({ ...this.#ctx, pod }, c, s));
      memory.messages.set(c.id, await reading.catch(() => "")); // without is better than not at all
    }
  }

  #observeFailed(error: unknown): void {
    this.#s.stale = true;
    if (error instanceof RuntimeError && error.reason === "RuntimeUnavailable") return this.#ctx.runtimeFailed(error);
    this.#ctx.log.warn({ err: error, pod: this.#s.uid }, "cannot look at the pod, will retry");
    this.#wakeAfter(backoffMs(++this.#observeFailures, OBSERVE_RETRY, this.#ctx.random));
  }

  /** Once, before anything of a new Pod is started. */
  #admit(): void {
    const { pod, memory } = this.#s;
    if (!pod || this.#admitted) return;
    this.#admitted = true;
    if (pod.status?.startTime !== undefined || pod.metadata.deletionTimestamp !== undefined) return;
    memory.refused = securityRefusal(pod, this.#ctx.abilities) ?? this.#ctx.room.admit(pod);
    if (memory.refused) return podEvent(this.#ctx, pod, { type: "Warning", ...memory.refused });
    const unsummed = unsummedLimits(pod);
    if (unsummed !== undefined)
      podEvent(this.#ctx, pod, { type: "Warning", reason: "LimitsNotSummed", message: unsummed });
    const unsupported = unsupportedFields(pod);
    if (unsupported.length === 0) return;
    const message = `these fields are not honoured yet and were ignored: ${unsupported.join(", ")}`;
    podEvent(this.#ctx, pod, { type: "Warning", reason: "UnsupportedFields", message });
  }

  #step(signal: AbortSignal): void {
    const now = this.#ctx.clock.now();
    // Before the report, which would take what nobody has asked yet for unready.
    this.#prober.sync(this.#view(), this.#s.actual, { signal, waiting: this.#s.memory.postStarts });
    this.#report(now, signal);
    const facts = this.#s.memory.facts([...this.#underWay.values()].some((a) => !ASIDE.has(a.type)));
    const plan = planPod(this.#view(), this.#s.actual, facts, now);
    const steps = plan.filter((a) => a.type !== "wait");
    const starting = steps.some((a) => STARTING.has(a.type));
    const mayStart = starting && this.#slot.held(signal);
    if (!starting && ![...this.#underWay.values()].some((a) => STARTING.has(a.type))) this.#slot.release();
    for (const a of steps) if (mayStart || !STARTING.has(a.type)) this.#launch(a, signal);
    this.#setTimer(plan, now);
  }

  #view(): Pod | undefined {
    const { pod, status, memory } = this.#s;
    return pod && viewOf(pod, status?.wanted, memory.evicted);
  }

  #report(now: number, signal: AbortSignal): void {
    const pod = this.#view();
    if (!pod || !this.#s.status) return;
    const facts = this.#s.memory.facts(false);
    const { actual } = this.#s;
    const own = podStatus({ pod, actual, facts, hostIP: this.#ctx.hostIP, now });
    const pending = this.#pendingResize;
    const status = withResources(own, { pod, actual, pending, errors: facts.resizes, now });
    for (const e of statusEvents(pod, pod.status, status)) podEvent(this.#ctx, pod, e);
    for (const e of resizeEnd(pod, status)) podEvent(this.#ctx, pod, e);
    this.#ctx.metrics.status(pod, status, now);
    this.#s.status.set(status, signal);
  }

  #launch(a: Step, signal: AbortSignal): void {
    const key = keyOfStep(a);
    if (this.#underWay.has(key)) return;
    this.#underWay.set(key, a);
    this.#ctx.log.debug({ pod: this.#s.uid, action: a }, "step");
    const done = this.#steps.run(a, signal).then(() => {
      this.#underWay.delete(key);
      this.#owned.delete(done);
      this.#epoch++;
      this.#poke();
    });
    this.#owned.add(done);
  }

  #setTimer(plan: readonly PodAction[], now: number): void {
    const times = plan.flatMap((a) => (a.type === "wait" ? [a.until] : []));
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    if (times.length > 0) this.#wakeAfter(Math.max(1, Math.min(...times) - now));
  }

  #wakeAfter(ms: number): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = this.#ctx.clock.after(ms, () => this.#poke());
  }

  #poke(): void {
    this.#awake = true;
    this.#wake();
  }

  #sleep(): Promise<void> {
    return new Promise((resolve) => (this.#wake = resolve));
  }

  #dispose(): void {
    this.#timer?.[Symbol.dispose]();
    this.#settling?.[Symbol.dispose]();
    this.#prober[Symbol.dispose]();
    this.#slot[Symbol.dispose]();
  }

  /** The running container of that name, or the newest attempt; for logs and exec. */
  container(name: string) {
    return newestOf(this.#s.actual, name);
  }

  #newWriter(pod: Pod): StatusWriter {
    const { client, clock, random, log } = this.#ctx;
    return new StatusWriter({ pods: client.resource(pods, pod.metadata.namespace), clock, random, log, pod });
  }
}

/** The file of a static Pod was its order to run, and its end is one to stop; of others the time for that is over. */
function graceOfGone(pod: Pod): number {
  return isStatic(pod) ? (pod.spec?.terminationGracePeriodSeconds ?? 30) : 2;
}
