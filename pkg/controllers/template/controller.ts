/** Keeps the outputs of Templates as their objects say. */
import { deepEqual } from "../../api/equal.ts";
import { configMaps } from "../../api/kinds/core/configmap.ts";
import { secrets } from "../../api/kinds/core/secret.ts";
import { type ApiObject, keyOf, namespaceOf } from "../../api/object.ts";
import type { ResourceRef } from "../../api/resource.ts";
import { isReason } from "../../api/status.ts";
import { splitResource, type TemplateObject, templates } from "../../api/template/kind.ts";
import type { Cause } from "../../client/transport.ts";
import type { Informer } from "../../informer/informer.ts";
import { onAbort, type Outcome, type ReconcileRun, runController } from "../../reconcile/controller.ts";
import { EventRecorder, subjectOf } from "../../reconcile/events.ts";
import { WorkQueue } from "../../reconcile/workqueue.ts";
import { rfc3339 } from "../../util/clock.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { ControllerParts } from "../parts.ts";
import { withCondition } from "../workload/conditions.ts";
import {
  conditionOf,
  type Failure,
  type Output,
  type ReadonlyTemplate,
  refusedWatch,
  render,
  writeOf,
} from "./plan.ts";

const NAME = "template-controller";
/** The first change is written at once; those that follow within this time make one. */
const QUIET_MS = 50;

/** Nothing is watched before the kind is served. */
export async function runTemplates(o: ControllerParts, signal: AbortSignal): Promise<void> {
  await whenServed(o, signal);
  if (signal.aborted) return;
  const queue = new WorkQueue(o);
  using recorder = new EventRecorder({ ...o, component: NAME });
  const controller = new TemplateController(o, queue, recorder);
  const after = [controller.templates, o.kinds];
  await runController(
    { ...o, name: NAME, queue, workers: 4, after, reconcile: (key, s, run) => controller.reconcile(key, s, run) },
    signal,
  );
}

function whenServed({ kinds }: ControllerParts, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const look = () => {
      if (kinds.all().some((k) => k.group === templates.group && k.plural === templates.plural)) resolve();
    };
    kinds.onChange(look);
    look();
    onAbort(signal, resolve);
  });
}

class TemplateController {
  readonly templates: Informer<TemplateObject>;
  readonly #o: ControllerParts;
  readonly #queue: WorkQueue;
  readonly #recorder: EventRecorder;
  /** Kinds whose changes are heard of, by `PLURAL.GROUP`. */
  readonly #heard = new Set<string>();
  readonly #writtenAt = new Map<string, number>();

  constructor(o: ControllerParts, queue: WorkQueue, recorder: EventRecorder) {
    this.#o = o;
    this.#queue = queue;
    this.#recorder = recorder;
    this.templates = o.informers.of(templates);
    this.templates.onChange((key) => queue.add(key));
    // A kind that was missing may be there now.
    o.kinds.onChange(() => {
      for (const t of this.templates.list()) queue.add(keyOf(t));
    });
  }

  async reconcile(key: string, signal: AbortSignal, { reconcileId }: ReconcileRun): Promise<Outcome> {
    const t = this.templates.get(key);
    if (!t || t.metadata.deletionTimestamp !== undefined) {
      this.#writtenAt.delete(key);
      return "done";
    }
    const quietUntil = (this.#writtenAt.get(key) ?? -Infinity) + QUIET_MS;
    if (quietUntil > this.#o.clock.now()) return { againAfterMs: quietUntil - this.#o.clock.now() };
    const object = `templates.mini-kube.io/${key}@${t.metadata.resourceVersion ?? ""}`;
    const cause: Cause = { component: NAME, reconcileId, reason: "ObjectsChanged", object };
    const done = await this.#renderAndWrite(t, cause, signal);
    await this.#report(t, done, cause, signal);
    return "done";
  }

  async #renderAndWrite(
    t: ReadonlyTemplate,
    cause: Cause,
    signal: AbortSignal,
  ): Promise<{ failure?: Failure; changed?: boolean }> {
    const refused = refusedWatch(t);
    if (refused) return { failure: refused };
    const lists = new Map<string, readonly DeepReadonly<ApiObject>[]>();
    for (const { resource } of t.spec.watch ?? []) {
      const informer = this.#informerOf(resource);
      if (!informer)
        return { failure: { reason: "UnknownResource", message: `the server has no resource ${resource}` } };
      await informer.whenSynced(signal);
      lists.set(resource, informer.byIndex("namespace", namespaceOf(t)));
    }
    const rendered = render(t, (w) => lists.get(w.resource) ?? []);
    if ("failure" in rendered) return rendered;
    const api = this.#o.client.resource(t.spec.output.kind === "Secret" ? secrets : configMaps, namespaceOf(t));
    const old = await api.get(t.spec.output.name, signal).catch((error: unknown) => {
      if (!isReason(error, "NotFound")) throw error;
    });
    const write = writeOf(t, rendered.data, old as DeepReadonly<Output> | undefined);
    if (write.type === "refuse") return { failure: write.failure };
    if (write.type === "create") await api.create(write.object, { cause });
    if (write.type === "replace") await api.update(write.object, { cause });
    return { changed: write.type !== "none" };
  }

  /** Undefined: there is no such kind (yet). */
  #informerOf(resource: string): Informer<ApiObject> | undefined {
    const { plural, group } = splitResource(resource);
    const ref = this.#o.kinds.all().find((k) => k.plural === plural && k.group === group);
    if (!ref) return undefined;
    const informer = this.#o.informers.of(ref as ResourceRef);
    if (!this.#heard.has(resource)) {
      this.#heard.add(resource);
      informer.onChange((_, now, old) => {
        const namespace = namespaceOf((now ?? old) as DeepReadonly<ApiObject>);
        for (const t of this.templates.byIndex("namespace", namespace)) {
          if (t.spec.watch?.some((w) => w.resource === resource)) this.#queue.add(keyOf(t));
        }
      });
    }
    return informer;
  }

  async #report(
    t: ReadonlyTemplate,
    { failure, changed }: { failure?: Failure; changed?: boolean },
    cause: Cause,
    signal: AbortSignal,
  ): Promise<void> {
    const now = this.#o.clock.now();
    if (changed) this.#writtenAt.set(keyOf(t), now);
    const before = t.status?.conditions?.find((c) => c.type === "Ready");
    const conditions = withCondition(t.status?.conditions, conditionOf(t, failure), now);
    const { generation: observedGeneration = 0 } = t.metadata;
    const status = { ...t.status, observedGeneration, conditions, ...(changed && { renderedAt: rfc3339(now) }) };
    const subject = subjectOf(templates, t);
    if (failure && before?.message !== failure.message)
      this.#recorder.event(subject, "Warning", failure.reason, failure.message);
    if (changed) {
      const { kind = "ConfigMap", name } = t.spec.output;
      this.#recorder.event(
        subject,
        "Normal",
        "Rendered",
        `Rendered ${Object.keys(t.spec.data).join(", ")} into ${kind} ${name}`,
      );
    }
    if (deepEqual(t.status, status)) return;
    try {
      const written = await this.#o.client
        .resource(templates, namespaceOf(t))
        .updateStatus({ ...t, status }, { cause });
      await this.templates.whenShows(written, signal);
    } catch (error) {
      if (!isReason(error, "NotFound")) throw error;
    }
  }
}
