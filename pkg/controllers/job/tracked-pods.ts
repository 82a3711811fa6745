/** Takes the tracking finalizer off Pods. */
import type { Pod } from "../../api/generated/types.ts";
import { pods } from "../../api/kinds/core/pod.ts";
import { keyOf, nameOf, namespaceOf, uidOf } from "../../api/object.ts";
import { isReason } from "../../api/status.ts";
import type { Client } from "../../client/client.ts";
import type { Cause } from "../../client/transport.ts";
import type { Informer } from "../../informer/informer.ts";
import { type ReadonlyPod } from "../workload/pods.ts";
import { isTracked, TRACKING_FINALIZER } from "./job-pods.ts";

export class TrackedPods {
  readonly #client: Client;
  readonly #informer: Informer<Pod>;

  constructor(o: { client: Client; informer: Informer<Pod> }) {
    this.#client = o.client;
    this.#informer = o.informer;
  }

  /**
   * Ends when the informer shows the Pod without it, or not at all. Whatever else changes in the Pod meanwhile is no
   * obstacle: its agent writes often.
   */
  async release(pod: ReadonlyPod, cause: Cause, signal: AbortSignal): Promise<void> {
    const uid = uidOf(pod);
    const holds = () => {
      const seen = this.#informer.get(keyOf(pod));
      return seen !== undefined && uidOf(seen) === uid && isTracked(seen);
    };
    if (!holds()) return;
    const metadata = { uid, "$deleteFromPrimitiveList/finalizers": [TRACKING_FINALIZER] };
    const api = this.#client.resource(pods, namespaceOf(pod));
    try {
      await api.patch(nameOf(pod), "application/strategic-merge-patch+json", { metadata }, { cause });
    } catch (error) {
      // Gone, or replaced by another of its name.
      if (!isReason(error, "NotFound", "Conflict", "Invalid")) throw error;
      if (isReason(error, "Invalid") && holds()) throw error;
    }
    await this.#informer.until(() => !holds(), signal);
  }
}
