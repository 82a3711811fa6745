/**
 * Pods that stand in files of the node, not in the API. They run whether or not there is an API server; it is shown a
 * mirror of each.
 *
 *  M1  A file that cannot be read or run changes nothing: what it said before stays in force, and an event says why.
 *  M2  Who deletes a mirror deletes no Pod: it is shown again. Only the file decides.
 */
import { watch } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Pod as ApiPod } from "../../api/generated/types.ts";
import { nodes } from "../../api/kinds/core/node.ts";
import { pods } from "../../api/kinds/core/pod.ts";
import { MIRROR_ANNOTATION } from "../../api/pod-references.ts";
import { isReason } from "../../api/status.ts";
import type { Client } from "../../client/client.ts";
import { backoffMs } from "../../util/backoff.ts";
import type { Clock, Random } from "../../util/clock.ts";
import type { Logger } from "../../util/log.ts";
import type { Events } from "../context.ts";
import type { Pod } from "../facts.ts";
import { ManifestError, staticPod } from "./manifest.ts";
import { isMirror, type MirrorAction, mirrors, planMirrors } from "./plan.ts";

export interface StaticPodsOptions {
  readonly directory: string;
  readonly nodeName: string;
  /** Undefined before the Node is registered: until then nothing is mirrored. */
  readonly nodeUid: () => string | undefined;
  readonly client: Client;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly events: Events;
  /** What the API has of this node; undefined until it was heard. */
  readonly known: () => readonly Pod[] | undefined;
  /** As {@link StaticPods.pods} shows it; undefined: its file is gone. */
  readonly onChange: (uid: string, pod: Pod | undefined) => void;
}

/** The directory is watched; this is for what the kernel does not tell. As the kubelet's fileCheckFrequency. */
const LOOK_MS = 20_000;
const RETRY = { initialMs: 200, maxMs: 10_000, jitter: 0.3 };
const MANIFEST = /^[^.].*\.(ya?ml|json)$/;

export class StaticPods {
  readonly #o: StaticPodsOptions;
  /** By file. */
  #found = new Map<string, ApiPod>();
  /** What is wrong with files, told once. */
  #errors = new Map<string, string>();
  #wake: () => void = () => {};

  constructor(o: StaticPodsOptions) {
    this.#o = o;
  }

  /** Each with the status that its mirror shows. */
  pods(): readonly Pod[] {
    return [...this.#found.values()].map((pod) => this.#withStatus(pod));
  }

  /** What the API has of a Pod of this node: of a static one the mirror, if there is one. */
  shownAs(pod: Pod): Pod | undefined {
    return this.#byUid(pod.metadata.uid) ? this.#mirrorOf(pod) : pod;
  }

  has(uid: string): boolean {
    return this.#byUid(uid) !== undefined;
  }

  /** The API's word on a mirror. */
  mirrorChanged(mirror: Pod): void {
    const pod = [...this.#found.values()].find((p) => mirrors(mirror, p));
    if (pod) this.#o.onChange(pod.metadata.uid ?? "", this.#withStatus(pod));
    this.#wake();
  }

  /** Reads the directory. Never rejects: one that is missing holds nothing. */
  async read(): Promise<void> {
    const before = new Map(this.#found);
    const files = await this.#list();
    this.#found = new Map();
    for (const file of files) {
      const pod = (await this.#readFile(file)) ?? before.get(file);
      if (pod) this.#found.set(file, pod);
    }
    const uids = (of: ReadonlyMap<string, ApiPod>) => [...of.values()].map((p) => p.metadata.uid ?? "");
    for (const uid of uids(before)) if (!this.has(uid)) this.#o.onChange(uid, undefined);
    for (const pod of this.pods()) {
      const uid = pod.metadata.uid ?? "";
      if (!uids(before).includes(uid)) this.#o.onChange(uid, pod);
    }
  }

  /** Follows the directory and keeps the mirrors until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    this.#watchDirectory(signal);
    let failures = 0;
    while (!signal.aborted) {
      const { clock, random, log } = this.#o;
      const woken = new AbortController();
      this.#wake = () => woken.abort();
      await this.read();
      try {
        await this.#mirror();
        failures = 0;
      } catch (error) {
        log.warn({ err: error, failures: ++failures }, "static pods are not shown, will retry");
      }
      const ms = failures > 0 ? Math.min(LOOK_MS, backoffMs(failures, RETRY, random)) : LOOK_MS;
      await clock.sleep(ms, AbortSignal.any([signal, woken.signal])).catch(() => {}); // woken, or the end: the loop sees it
    }
  }

  #watchDirectory(signal: AbortSignal): void {
    try {
      const watcher = watch(this.#o.directory, { signal }, () => this.#wake());
      watcher.on("error", (error) => this.#o.log.debug({ err: error }, "the directory of static pods is not watched"));
    } catch (error) {
      this.#o.log.debug({ err: error }, "the directory of static pods is not watched: looked at now and then");
    }
  }

  async #list(): Promise<readonly string[]> {
    try {
      return (await readdir(this.#o.directory)).filter((name) => MANIFEST.test(name)).toSorted();
    } catch {
      return [];
    }
  }

  /** Undefined: nothing to be made of it now. */
  async #readFile(file: string): Promise<ApiPod | undefined> {
    try {
      const text = await readFile(join(this.#o.directory, file), "utf8");
      const pod = staticPod(text, file, this.#o.nodeName);
      this.#errors.delete(file);
      return pod;
    } catch (error) {
      this.#complain(file, error instanceof ManifestError ? error.message : String(error));
      return undefined;
    }
  }

  #complain(file: string, why: string): void {
    if (this.#errors.get(file) === why) return;
    this.#errors.set(file, why);
    const message = `${join(this.#o.directory, file)} is no static Pod: ${why}`;
    this.#o.log.warn({ file }, message);
    const { nodeName } = this.#o;
    const node = { apiVersion: "v1", kind: nodes.kind, name: nodeName, uid: nodeName };
    this.#o.events.event(node, "Warning", "FailedStaticPod", message);
  }

  async #mirror(): Promise<void> {
    const known = this.#o.known();
    const uid = this.#o.nodeUid();
    if (!known || uid === undefined) return this.#again();
    const found = known.filter(isMirror);
    for (const action of planMirrors([...this.#found.values()], found)) await this.#do(action, uid);
  }

  /** The API, or the Node in it, is not there yet. */
  #again(): void {
    if (this.#found.size > 0) throw new Error("the API has not been heard yet");
  }

  async #do(action: MirrorAction, nodeUid: string): Promise<void> {
    if (action.type === "create") return this.#create(action.pod, nodeUid);
    const { namespace, name = "", uid = "" } = action.mirror.metadata;
    try {
      const api = this.#o.client.resource(pods, namespace);
      await api.delete(name, { gracePeriodSeconds: 0, preconditions: { uid } });
    } catch (error) {
      if (!isReason(error, "NotFound", "Conflict")) throw error;
    }
  }

  async #create(pod: Pod, uid: string): Promise<void> {
    const { name, namespace, labels, annotations, uid: hash = "" } = pod.metadata;
    const owner = { apiVersion: "v1", kind: nodes.kind, name: this.#o.nodeName, uid, controller: true };
    try {
      await this.#o.client.resource<ApiPod>(pods, namespace).create({
        ...(pod as ApiPod),
        metadata: {
          ...(name !== undefined && { name }),
          ...(namespace !== undefined && { namespace }),
          ...(labels && { labels }),
          annotations: { ...annotations, [MIRROR_ANNOTATION]: hash },
          ownerReferences: [owner],
        },
      });
    } catch (error) {
      if (!isReason(error, "AlreadyExists")) throw error; // the watch will show which
    }
  }

  #withStatus(pod: ApiPod): Pod {
    const status = this.#mirrorOf(pod)?.status;
    return status ? { ...pod, status } : pod;
  }

  /** Of the present content of the file. */
  #mirrorOf(pod: Pod): Pod | undefined {
    const hash = pod.metadata.uid;
    return this.#o.known()?.find((m) => mirrors(m, pod) && m.metadata.annotations?.[MIRROR_ANNOTATION] === hash);
  }

  #byUid(uid: string | undefined): ApiPod | undefined {
    return [...this.#found.values()].find((p) => p.metadata.uid === uid);
  }
}
