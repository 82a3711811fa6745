import type { ObjectKey } from "../api/object.ts";
import type { SchedulerCache, WhatIf } from "./cache.ts";
import type { PodInfo } from "./pod-info.ts";

/**
 * Pods that wait for room on a node which was made for them (`status.nominatedNodeName`).
 *
 *  O1  To Pods that are less important, a nominated one counts as if it stood there already.
 *  O2  What the scheduler decides counts at once; what the API shows counts when it changes there.
 */
export class Nominations {
  readonly #nominated = new Map<ObjectKey, { readonly info: PodInfo; readonly node: string }>();
  /** What the API showed last. */
  readonly #shown = new Map<ObjectKey, string>();

  of(key: ObjectKey): string | undefined {
    return this.#nominated.get(key)?.node;
  }

  set(info: PodInfo, node: string): void {
    this.#nominated.set(info.key, { info, node });
  }

  clear(key: ObjectKey): void {
    this.#nominated.delete(key);
  }

  /** The API shows the Pod, still without a node. */
  observe(info: PodInfo): void {
    const node = info.pod.status?.nominatedNodeName ?? "";
    const before = this.#shown.get(info.key) ?? "";
    this.#shown.set(info.key, node);
    const current = this.#nominated.get(info.key);
    if (before === node) {
      if (current) this.set(info, current.node);
    } else if (node === "") this.clear(info.key);
    else this.set(info, node);
  }

  /** It has its node, or is gone. Whether it was nominated. */
  forget(key: ObjectKey): boolean {
    this.#shown.delete(key);
    return this.#nominated.delete(key);
  }

  /** The less important ones that `node` was promised to. */
  below(pod: PodInfo, node: string): readonly PodInfo[] {
    return [...this.#nominated.values()].flatMap((n) =>
      n.node === node && n.info.priority < pod.priority ? [n.info] : [],
    );
  }

  /** Puts those of at least the Pod's importance where they will stand (O1); whether there are any. */
  seat(pod: PodInfo, cache: SchedulerCache, world: WhatIf): boolean {
    let any = false;
    for (const { info, node } of this.#nominated.values()) {
      const at = cache.node(node);
      if (!at || info.key === pod.key || info.priority < pod.priority || cache.isAssumed(info.key, info.uid)) continue;
      world.add(info, at);
      any = true;
    }
    return any;
  }
}
