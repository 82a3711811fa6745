/** How hooks are run and containers brought to their end. */
import { Asides, runHook } from "./hooks.ts";
import { ENDINGS } from "./plan-action.ts";
import { mayRestart } from "./restart.ts";
import type { Action, Step, StepEnv } from "./step-env.ts";

/** Less than that is no chance to end in order, whatever hooks have left of the grace. As the kubelet. */
const MIN_GRACE_MS = 2_000;

const DRAIN = "drain";

export class EndSteps {
  readonly #env: StepEnv;
  /** Hooks by container id, and the wait for traffic to end. */
  readonly #asides = new Asides();

  constructor(env: StepEnv) {
    this.#env = env;
  }

  /** Nothing goes on for containers that run no more. */
  observed(): void {
    const running = (this.#env.s.actual?.containers ?? []).filter((c) => c.state === "running");
    this.#asides.keep((key) => (key === DRAIN ? running.length > 0 : running.some((c) => c.id === key)));
  }

  async postStart(a: Action<"postStart">, signal: AbortSignal): Promise<void> {
    const { memory } = this.#env.s;
    if (await this.#hook("postStart", a, signal)) memory.postStarts.delete(a.id);
  }

  /** Of the time it takes, the container loses as much. */
  async preStop(a: Action<"preStop">, signal: AbortSignal): Promise<void> {
    this.#killing(a);
    const { memory } = this.#env.s;
    try {
      await this.#hook("preStop", a, signal);
    } finally {
      const stop = memory.stops.get(a.id);
      if (stop) memory.stops.set(a.id, { ...stop, hooked: true });
    }
  }

  /** True when it has succeeded; false when the container ended, or has to, before the hook did. */
  #hook(kind: "postStart" | "preStop", a: Action<"postStart" | "preStop">, signal: AbortSignal): Promise<boolean> {
    const container = this.#env.container(a.container);
    const hook = container.lifecycle?.[kind];
    const host = this.#env.podIP(this.#env.pod()) ?? this.#env.ctx.hostIP;
    const { runtime, clock } = this.#env.ctx;
    return this.#asides.run(a.id, signal, async (s) => {
      if (hook) await runHook(hook, { container, id: a.id, host }, { runtime, clock, signal: s });
    });
  }

  async drain(a: Action<"drain">, signal: AbortSignal): Promise<void> {
    const { memory } = this.#env.s;
    this.#begins(a);
    const pod = this.#env.pod();
    try {
      await this.#asides.run(DRAIN, signal, async (s) => this.#env.ctx.drained?.(pod, s));
    } finally {
      memory.drained = true; // whatever came of it: the Pod must go
    }
  }

  async stopContainer(a: Action<"stopContainer">, signal: AbortSignal): Promise<void> {
    const { since } = this.#killing(a);
    this.#asides.keep((key) => key !== a.id);
    const left = a.graceSeconds * 1000 - (this.#env.now() - since);
    try {
      await this.#env.ctx.runtime.stopContainer(a.id, Math.max(MIN_GRACE_MS, left) / 1000, signal);
    } finally {
      this.#env.s.stale = true; // how it ended only the runtime knows
    }
  }

  /** Said once, by the first step of a container's end. */
  #killing(a: Action<"preStop" | "stopContainer">): { readonly since: number } {
    const { memory } = this.#env.s;
    this.#begins(a);
    if (!memory.stops.has(a.id)) this.#env.event("Normal", "Killing", this.#killingMessage(a), a.container);
    return memory.stopping(a.id, this.#env.now());
  }

  #begins({ reason }: Step): void {
    if (ENDINGS.has(reason)) this.#env.s.memory.endingSince ??= this.#env.now();
  }

  #killingMessage({ container, id, reason }: Action<"preStop" | "stopContainer">): string {
    if (reason === "SpecChanged") return `Container ${container} definition changed, will be restarted`;
    if (reason === "Resized") return `Container ${container} resize requires restart`;
    if (reason === "PostStartFailed") return "FailedPostStartHook";
    const unhealthy = this.#env.s.memory.probes.get(id)?.unhealthy;
    if (reason !== "Unhealthy" || !unhealthy) return `Stopping container ${container}`;
    const next = mayRestart(this.#env.pod(), this.#env.container(container), { exitCode: 137 })
      ? ", will be restarted"
      : "";
    return `Container ${container} failed ${unhealthy.probe} probe${next}`;
  }
}
