/** What happened to whom, written down as Event objects for `kubectl describe` and `get events`. */
import type { ApiObject, ObjectMeta, Time } from "../api/object.ts";
import { apiVersionOf } from "../api/object.ts";
import type { ResourceRef } from "../api/resource.ts";
import { ApiError, isReason } from "../api/status.ts";
import type { Client } from "../client/client.ts";
import { backoffMs } from "../util/backoff.ts";
import { rfc3339, type Clock, type Random } from "../util/clock.ts";
import type { Logger } from "../util/log.ts";
import type { DeepReadonly } from "../util/types.ts";
import { BoundedMap, SpamFilter } from "./correlate.ts";

/** `v1.ObjectReference`: what an Event is about. */
export interface EventSubject {
  readonly apiVersion?: string;
  readonly kind: string;
  readonly namespace?: string;
  readonly name: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  /** `spec.containers{web}` */
  readonly fieldPath?: string;
}

export type EventType = "Normal" | "Warning";

export interface EventRecorderOptions {
  readonly client: Client;
  /** `default-scheduler`, `kubelet`: who reports. */
  readonly component: string;
  /** The node, for an agent. */
  readonly instance?: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: Random;
}

interface CoreEvent extends ApiObject {
  metadata: ObjectMeta;
  involvedObject: EventSubject;
  type: EventType;
  reason: string;
  message: string;
  source: { component: string; host?: string };
  reportingComponent: string;
  reportingInstance: string;
  count: number;
  firstTimestamp: Time;
  lastTimestamp: Time;
}

const events: ResourceRef<CoreEvent> = { group: "", version: "v1", kind: "Event", plural: "events", namespaced: true };

const QUEUE_LIMIT = 1_000;
const REMEMBERED = 4_096;
const SPAM = { burst: 25, refillMs: 5 * 60_000, keys: REMEMBERED };
const RETRY = { initialMs: 200, maxMs: 10_000, jitter: 0.5 };
const ATTEMPTS = 6;

/** Says what an object is: objects from a list do not carry their own kind. */
export function subjectOf(ref: ResourceRef, o: DeepReadonly<ApiObject>, fieldPath?: string): EventSubject {
  const { namespace, name, uid, resourceVersion } = o.metadata;
  return {
    apiVersion: apiVersionOf(ref),
    kind: ref.kind,
    ...(namespace && { namespace }),
    name: name ?? "",
    ...(uid && { uid }),
    ...(resourceVersion && { resourceVersion }),
    ...(fieldPath && { fieldPath }),
  };
}

/**
 * Writes Events, as client-go's EventRecorder does.
 *
 *  V1  `event` returns at once and never fails; an API server that is slow or away delays nobody. What does not fit
 *      into the queue drops the oldest waiting event.
 *  V2  Equal events (all but the time) are one object, whose count and lastTimestamp grow.
 *  V3  One object gets at most 25 events at once and one per five minutes after; the rest is dropped.
 *  V4  One write is under way at a time, in the order of the calls.
 */
export class EventRecorder implements Disposable {
  readonly #o: EventRecorderOptions;
  readonly #spam: SpamFilter;
  readonly #written = new BoundedMap<string, { name: string; count: number }>(REMEMBERED);
  readonly #queue: CoreEvent[] = [];
  readonly #stop = new AbortController();
  #sending: Promise<void> | undefined;
  #lastNumber = 0n;

  constructor(o: EventRecorderOptions) {
    this.#o = o;
    this.#spam = new SpamFilter({ clock: o.clock, ...SPAM });
  }

  event(subject: EventSubject, type: EventType, reason: string, message: string): void {
    if (this.#stop.signal.aborted) return;
    if (!this.#spam.allow(`${subject.kind}/${subject.namespace ?? ""}/${subject.name}/${subject.uid ?? ""}`)) {
      this.#o.log.debug({ subject, reason }, "event dropped: too many about one object");
      return;
    }
    if (this.#queue.length >= QUEUE_LIMIT) this.#queue.shift();
    this.#queue.push(this.#make(subject, type, reason, message));
    this.#sending ??= this.#drain();
  }

  /** Waits until all is written or given up, or the signal aborts. */
  async flush(signal: AbortSignal): Promise<void> {
    const aborted = new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener("abort", () => resolve(), { once: true });
    });
    await Promise.race([this.#sending, aborted]);
  }

  /** Drops what is not yet written. */
  [Symbol.dispose](): void {
    this.#queue.length = 0;
    this.#stop.abort(new Error("event recorder disposed"));
  }

  #make(involvedObject: EventSubject, type: EventType, reason: string, message: string): CoreEvent {
    const { component, instance } = this.#o;
    const now = rfc3339(this.#o.clock.now());
    return {
      metadata: { name: this.#newName(involvedObject.name), namespace: involvedObject.namespace ?? "default" },
      involvedObject,
      type,
      reason,
      message: message.length > 1024 ? `${message.slice(0, 1021)}...` : message,
      source: { component, ...(instance && { host: instance }) },
      reportingComponent: component,
      reportingInstance: instance ?? "",
      count: 1,
      firstTimestamp: now,
      lastTimestamp: now,
    };
  }

  /** `web.17f3…`: nanoseconds since the epoch, as client-go names them; distinct within this recorder. */
  #newName(subject: string): string {
    const now = BigInt(Math.floor(this.#o.clock.now())) * 1_000_000n + BigInt(Math.floor(this.#o.random() * 1_000_000));
    this.#lastNumber = now > this.#lastNumber ? now : this.#lastNumber + 1n;
    const suffix = `.${this.#lastNumber.toString(16)}`;
    return subject.slice(0, 253 - suffix.length).replace(/[-.]+$/, "") + suffix;
  }

  async #drain(): Promise<void> {
    await Promise.resolve(); // let #sending be set before it is cleared
    for (let next = this.#queue.shift(); next; next = this.#queue.shift()) await this.#write(next);
    this.#sending = undefined;
  }

  async #write(event: CoreEvent): Promise<void> {
    for (let attempt = 1; !this.#stop.signal.aborted; attempt++) {
      try {
        return await this.#record(event);
      } catch (error) {
        const again = error instanceof ApiError && error.retryable && attempt < ATTEMPTS;
        const { reason, involvedObject } = event;
        // A namespace on its way out takes no new objects, and a dry well needs no alarm.
        if (isReason(error, "Forbidden", "NotFound")) this.#o.log.debug({ err: error, reason }, "event refused");
        else if (!again) this.#o.log.warn({ err: error, reason, involvedObject }, "event lost");
        if (!again) return;
        await this.#o.clock.sleep(backoffMs(attempt, RETRY, this.#o.random), this.#stop.signal).catch(() => {}); // disposed; the loop sees it
      }
    }
  }

  async #record(event: CoreEvent): Promise<void> {
    const api = this.#o.client.resource(events, event.metadata.namespace);
    const { involvedObject: s, type, reason, message } = event;
    const key = JSON.stringify([s.kind, s.namespace, s.name, s.uid, s.fieldPath, type, reason, message]);
    const earlier = this.#written.get(key);
    if (earlier) {
      const count = earlier.count + 1;
      const patch = { count, lastTimestamp: event.lastTimestamp };
      try {
        await api.patch(earlier.name, "application/merge-patch+json", patch);
        this.#written.set(key, { name: earlier.name, count });
        return;
      } catch (error) {
        if (!isReason(error, "NotFound")) throw error; // expired meanwhile: begin anew
      }
    }
    await api.create(event);
    this.#written.set(key, { name: event.metadata.name ?? "", count: 1 });
  }
}
