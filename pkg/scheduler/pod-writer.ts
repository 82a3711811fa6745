/** What the scheduler writes about Pods, and what it tells their owners. */
import type { Pod, PodCondition, PodStatus } from "../api/generated/types.ts";
import { pods } from "../api/kinds/core/pod.ts";
import { nameOf, namespaceOf, splitKey, uidOf } from "../api/object.ts";
import { condition } from "../api/pod.ts";
import { isReason } from "../api/status.ts";
import type { Client } from "../client/client.ts";
import type { Cause } from "../client/transport.ts";
import { EventRecorder, subjectOf } from "../reconcile/events.ts";
import { rfc3339, type Clock, type Random } from "../util/clock.ts";
import type { Logger } from "../util/log.ts";
import type { DeepReadonly } from "../util/types.ts";
import type { PodInfo } from "./pod-info.ts";

export interface PodWriterOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: Random;
  readonly name: string;
}

/** No failure of a report ends or delays anything; a binding that fails throws. */
export class PodWriter implements Disposable {
  readonly #o: PodWriterOptions;
  readonly #recorder: EventRecorder;

  constructor(o: PodWriterOptions) {
    this.#o = o;
    this.#recorder = new EventRecorder({ ...o, component: o.name });
  }

  [Symbol.dispose](): void {
    this.#recorder[Symbol.dispose]();
  }

  causeOf({ metadata: m }: DeepReadonly<Pod>, reason: string): Cause {
    const object = `pods/${m.namespace ?? ""}/${m.name ?? ""}@${m.resourceVersion ?? ""}`;
    return { component: this.#o.name, reason, object };
  }

  async bind({ key, uid, pod }: PodInfo, node: string): Promise<void> {
    const { namespace, name } = splitKey(key);
    const binding = {
      apiVersion: "v1",
      kind: "Binding",
      metadata: { namespace, name, uid },
      target: { apiVersion: "v1", kind: "Node", name: node },
    };
    const cause = this.causeOf(pod, "Scheduled");
    await this.#o.client.resource(pods, namespace).subresource(name, "binding", binding, "create", cause);
    this.#recorder.event(subjectOf(pods, pod), "Normal", "Scheduled", `Successfully assigned ${key} to ${node}`);
  }

  /** An event each time. */
  failed({ pod }: PodInfo, message: string): void {
    this.#recorder.event(subjectOf(pods, pod), "Warning", "FailedScheduling", message);
  }

  /**
   * Condition and `nominatedNodeName` ("": none), where they are not as the Pod shows them. undefined: nothing to write.
   */
  unschedulable({ pod }: PodInfo, message: string, nominated: string): Promise<void> | undefined {
    const old = condition(pod.status?.conditions, "PodScheduled");
    const same = old?.status === "False" && old.reason === "Unschedulable" && old.message === message;
    const promised = (pod.status?.nominatedNodeName ?? "") === nominated;
    if (same && promised) return undefined;
    const said = {
      type: "PodScheduled",
      status: "False",
      reason: "Unschedulable",
      message,
      ...(old?.status !== "False" && { lastTransitionTime: rfc3339(this.#o.clock.now()) }),
    };
    return this.#patchStatus(pod, "Unschedulable", {
      ...(!same && { conditions: [said] }),
      ...(!promised && { nominatedNodeName: nominated }),
    });
  }

  /** Takes back what was promised. */
  async unnominate({ pod }: PodInfo): Promise<void> {
    if (pod.status?.nominatedNodeName) await this.#patchStatus(pod, "Preempted", { nominatedNodeName: "" });
  }

  /** Ends a Pod with the grace that it asks for. Whether it is ended, or gone already. */
  async preempt(victim: PodInfo, by: PodInfo, node: string): Promise<boolean> {
    const { pod } = victim;
    const said: PodCondition = {
      type: "DisruptionTarget",
      status: "True",
      reason: "PreemptionByScheduler",
      message: `${this.#o.name}: preempting to accommodate a higher priority pod`,
      lastTransitionTime: rfc3339(this.#o.clock.now()),
    };
    const api = this.#o.client.resource(pods, namespaceOf(pod));
    const cause = this.causeOf(by.pod, "PreemptionByScheduler");
    try {
      await api.patch(nameOf(pod), "application/strategic-merge-patch+json", statusPatch(pod, { conditions: [said] }), {
        subresource: "status",
        cause,
      });
      await api.delete(nameOf(pod), { preconditions: { uid: victim.uid }, cause });
    } catch (error) {
      // Another one of its name is none of our business.
      if (isReason(error, "NotFound", "Conflict")) return true;
      this.#o.log.warn({ err: error, pod: by.key, victim: victim.key }, "preemption failed, will retry");
      return false;
    }
    this.#o.log.info({ pod: by.key, victim: victim.key, node }, "pod preempted");
    this.#recorder.event(subjectOf(pods, pod), "Normal", "Preempted", `Preempted by pod ${by.uid} on node ${node}`);
    return true;
  }

  async #patchStatus(pod: DeepReadonly<Pod>, reason: string, status: Partial<PodStatus>): Promise<void> {
    const cause = this.causeOf(pod, reason);
    try {
      await this.#o.client
        .resource(pods, namespaceOf(pod))
        .patch(nameOf(pod), "application/strategic-merge-patch+json", statusPatch(pod, status), {
          subresource: "status",
          cause,
        });
    } catch (error) {
      if (isReason(error, "NotFound", "Conflict")) return;
      this.#o.log.warn({ err: error, pod: nameOf(pod) }, "could not report that a pod is unschedulable");
    }
  }
}

/** Of this very Pod: another one of its name refuses it. */
function statusPatch(pod: DeepReadonly<Pod>, status: Partial<PodStatus>): object {
  return { metadata: { uid: uidOf(pod) }, status };
}
