/**
 * `reload.mini-kube.io/CONTAINER: nginx -s reload`: an annotation of a Pod that names what to run in a container when files
 * of its ConfigMaps, Secrets and projected volumes have changed. Such a Pod's files follow within moments, not within a
 * minute: what they come from is watched.
 */
import type { ConfigMap, Secret } from "../api/generated/types.ts";
import { configMaps } from "../api/kinds/core/configmap.ts";
import { secrets } from "../api/kinds/core/secret.ts";
import type { ResourceRef } from "../api/resource.ts";
import type { Client } from "../client/client.ts";
import { Informer } from "../informer/informer.ts";
import { onAbort } from "../reconcile/controller.ts";
import type { RuntimePod } from "../runtime/runtime.ts";
import type { Clock, Random } from "../util/clock.ts";
import type { Logger } from "../util/log.ts";
import { type NodeContext, podEvent } from "./context.ts";
import type { Pod } from "./facts.ts";
import { execProbe } from "./probe-actions.ts";
import { withinLimit } from "./time-limit.ts";
import { volumeReferences } from "./volumes.ts";

const PREFIX = "reload.mini-kube.io/";
const RELOAD_LIMIT_MS = 30_000;

/** By container: words at blanks, or a JSON array where a word has blanks. */
export function reloadCommands({ metadata }: Pod): ReadonlyMap<string, readonly string[]> {
  const all = Object.entries(metadata.annotations ?? {}).filter(([key]) => key.startsWith(PREFIX));
  return new Map(all.map(([key, text]) => [key.slice(PREFIX.length), wordsOf(text)]));
}

function wordsOf(text: string): readonly string[] {
  if (!text.trimStart().startsWith("[")) return text.split(/\s+/).filter(Boolean);
  try {
    const words: unknown = JSON.parse(text);
    return Array.isArray(words) ? words.map(String) : [];
  } catch {
    return [];
  }
}

/** Runs them in the containers that run; never rejects. What becomes of each is told in an event. */
export async function reloadContainers(
  ctx: Pick<NodeContext, "runtime" | "clock" | "events">,
  pod: Pod,
  actual: RuntimePod | undefined,
  signal: AbortSignal,
): Promise<void> {
  const told = ctx as NodeContext;
  const reload = async ([container, command]: [string, readonly string[]]) => {
    const running = actual?.containers.find((c) => c.name === container && c.state === "running");
    if (!running) return;
    const limit = { clock: ctx.clock, ms: RELOAD_LIMIT_MS, what: "reload", signal };
    const failed = (message: string) =>
      podEvent(told, pod, { type: "Warning", reason: "FailedReload", message, container });
    if (command.length === 0) return failed(`annotation ${PREFIX}${container}: no command`);
    try {
      const { ok, message } = await withinLimit(limit, (s) => execProbe(ctx.runtime, { id: running.id, command }, s));
      if (!ok) return failed(`${command.join(" ")}: ${message}`);
      podEvent(told, pod, { type: "Normal", reason: "Reloaded", message: `Ran ${command.join(" ")}`, container });
    } catch (error) {
      if (!signal.aborted) failed(`${command.join(" ")}: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  await Promise.all([...reloadCommands(pod)].map(reload));
}

interface Watched {
  readonly uids: Set<string>;
  readonly stop: AbortController;
}

export interface LiveVolumesOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** What the volumes of this Pod come from has changed. */
  readonly onChange: (uid: string) => void;
}

/** Watches what the volumes of Pods come from that ask for a reload: one watch an object, however many Pods. */
export class LiveVolumes {
  readonly #o: LiveVolumesOptions;
  readonly #watched = new Map<string, Watched>();
  readonly #running = new Set<Promise<void>>();
  #ended = false;

  constructor(o: LiveVolumesOptions) {
    this.#o = o;
  }

  podChanged(uid: string, pod: Pod | undefined): void {
    const live = pod && !this.#ended && pod.metadata.deletionTimestamp === undefined && reloadCommands(pod).size > 0;
    const namespace = pod?.metadata.namespace ?? "";
    const wanted = new Map(live ? volumeReferences(pod).map((r) => [`${r.kind}/${namespace}/${r.name}`, r]) : []);
    for (const [key, { uids, stop }] of this.#watched) {
      if (wanted.has(key) || !uids.delete(uid) || uids.size > 0) continue;
      this.#watched.delete(key);
      stop.abort();
    }
    for (const [key, { kind, name }] of wanted) {
      const watched = this.#watched.get(key) ?? this.#watch(key, { kind, namespace, name });
      watched.uids.add(uid);
    }
  }

  /** Until the signal aborts; then all watches end. */
  async run(signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => void onAbort(signal, resolve));
    this.#ended = true;
    for (const { stop } of this.#watched.values()) stop.abort();
    await Promise.all(this.#running);
  }

  #watch(key: string, of: { kind: "ConfigMap" | "Secret"; namespace: string; name: string }): Watched {
    const ref = (of.kind === "Secret" ? secrets : configMaps) as ResourceRef<ConfigMap | Secret>;
    const resource = this.#o.client.resource(ref, of.namespace);
    const listOptions = { fieldSelector: `metadata.name=${of.name}` };
    const informer = new Informer({ ...this.#o, resource, listOptions });
    const watched = { uids: new Set<string>(), stop: new AbortController() };
    this.#watched.set(key, watched);
    informer.onChange((_, now) => {
      if (now) for (const uid of watched.uids) this.#o.onChange(uid);
    });
    const done = informer.run(watched.stop.signal).finally(() => this.#running.delete(done));
    this.#running.add(done);
    return watched;
  }
}
