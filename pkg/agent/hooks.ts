/** Lifecycle hooks: what a container is asked to do right after its start and before its end. */
import type { LifecycleHandler } from "../api/generated/types.ts";
import type { ContainerRuntime } from "../runtime/runtime.ts";
import type { Clock } from "../util/clock.ts";
import type { DeepReadonly } from "../util/types.ts";
import type { Container } from "./facts.ts";
import { execProbe, httpProbe, portOf, tcpProbe } from "./probe-actions.ts";

export interface HookTarget {
  readonly container: Container;
  readonly id: string;
  /** Where the Pod is reached. */
  readonly host: string;
}

/** Resolves when the hook has done its work; rejects when it failed, or with the signal's reason. */
export async function runHook(
  hook: DeepReadonly<LifecycleHandler>,
  t: HookTarget,
  o: { readonly runtime: ContainerRuntime; readonly clock: Clock; readonly signal: AbortSignal },
): Promise<void> {
  const { signal } = o;
  if (hook.sleep) return o.clock.sleep(hook.sleep.seconds * 1000, signal);
  if (hook.exec) {
    const { ok, message } = await execProbe(o.runtime, { id: t.id, command: hook.exec.command ?? [] }, signal);
    if (!ok) throw new Error(message);
    return;
  }
  if (hook.httpGet) {
    const { host, port } = hook.httpGet;
    // Any answer will do, as for the kubelet: the hook was heard.
    await httpProbe(
      { ...hook.httpGet, host: host || t.host, port: portOf(t.container, port), agent: "kube-lifecycle/1.36" },
      signal,
    );
    return;
  }
  if (hook.tcpSocket) {
    await tcpProbe(hook.tcpSocket.host || t.host, portOf(t.container, hook.tcpSocket.port), signal);
  }
}

/**
 * Work beside the steps, by key, that nobody waits for any more once it is forgotten: a hook of a container that has
 * ended meanwhile.
 */
export class Asides {
  readonly #running = new Map<string, AbortController>();

  /** True when it came to its end; false when it was forgotten, or followed by other work of the same key, before. */
  async run(key: string, parent: AbortSignal, work: (signal: AbortSignal) => Promise<void>): Promise<boolean> {
    const stop = new AbortController();
    this.#running.get(key)?.abort(new Error("something else is asked of it"));
    this.#running.set(key, stop);
    try {
      await work(AbortSignal.any([parent, stop.signal]));
      return !stop.signal.aborted;
    } catch (error) {
      if (stop.signal.aborted) return false;
      throw error;
    } finally {
      if (this.#running.get(key) === stop) this.#running.delete(key);
    }
  }

  keep(wanted: (key: string) => boolean): void {
    for (const [key, stop] of this.#running) if (!wanted(key)) stop.abort(new Error("nobody waits for it any more"));
  }
}
