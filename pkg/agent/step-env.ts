/** What every step of a Pod works with. */
import type { RuntimePod } from "../runtime/runtime.ts";
import { type NodeContext, podEvent } from "./context.ts";
import { allContainersOf, type Container, type Pod, type StepError } from "./facts.ts";
import type { PodMemory } from "./memory.ts";
import type { PodAction } from "./plan-action.ts";
import type { StatusWriter } from "./status-writer.ts";

/** The worker's state, as its steps see it. */
export interface PodState {
  readonly uid: string;
  /** Undefined: the API object is gone. */
  pod: Pod | undefined;
  actual: RuntimePod | undefined;
  /** `actual` is known to be wrong: ask the runtime before planning on. */
  stale: boolean;
  /** Clearing away failed: no more steps before its retryAt. */
  pause: StepError | undefined;
  readonly memory: PodMemory;
  status: StatusWriter | undefined;
}

export type Action<T extends PodAction["type"]> = Extract<PodAction, { type: T }>;
export type Step = Exclude<PodAction, { type: "wait" }>;

export class StepEnv {
  readonly ctx: NodeContext;
  readonly s: PodState;

  constructor(ctx: NodeContext, state: PodState) {
    this.ctx = ctx;
    this.s = state;
  }

  now(): number {
    return this.ctx.clock.now();
  }

  event(type: "Normal" | "Warning", reason: string, message: string, container?: string): void {
    podEvent(this.ctx, this.s.pod, { type, reason, message, ...(container !== undefined && { container }) });
  }

  /** Throws when it is gone. */
  pod(): Pod {
    if (!this.s.pod) throw new Error("the Pod is gone");
    return this.s.pod;
  }

  container(name: string): Container {
    const found = allContainersOf(this.pod()).find((c) => c.name === name);
    if (!found) throw new Error(`no container ${name} in the Pod`);
    return found;
  }

  podIP(pod: Pod): string | undefined {
    return this.s.actual?.sandbox?.ip ?? (pod.spec?.hostNetwork ? this.ctx.hostIP : undefined);
  }
}
