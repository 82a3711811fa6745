/** A Pod, a runtime and an agent's memory as plain data, for walks at random: what a plan says is done at once. */
import type { Pod as ApiPod } from "../../api/generated/types.ts";
import type { RuntimeContainer, RuntimePod } from "../../runtime/runtime.ts";
import { allContainersOf, type Pod, roleOf } from "../facts.ts";
import { PodMemory } from "../memory.ts";
import { emptyPod, withContainer, withoutContainer, withoutSandbox, withSandbox } from "../model.ts";
import { planPod } from "../plan.ts";
import type { PodAction } from "../plan-action.ts";
import { specHash } from "../restart.ts";
import { podStatus } from "../status.ts";

export type Step = Exclude<PodAction, { type: "wait" }>;

export class PodWorld {
  now = 1_000_000;
  pod: ApiPod;
  actual: RuntimePod | undefined;
  readonly memory = new PodMemory({ drained: false });
  /** Init containers that have done their part in the present sandbox, by what was seen. */
  readonly done = new Set<string>();
  readonly created = new Map<string, number>();
  #ids = 0;

  constructor(pod: ApiPod) {
    this.pod = pod;
  }

  get view(): Pod {
    return this.pod;
  }

  plan(): readonly PodAction[] {
    this.memory.observed(this.view, this.actual);
    const facts = this.memory.facts(false);
    const { actual, now } = this;
    this.pod = { ...this.pod, status: podStatus({ pod: this.view, actual, facts, hostIP: "192.168.0.1", now }) };
    for (const c of this.running()) if (this.hasStarted(c)) this.done.add(c.name);
    return planPod(this.view, actual, this.memory.facts(false), now);
  }

  running(): readonly RuntimeContainer[] {
    return (this.actual?.containers ?? []).filter((c) => c.state === "running");
  }

  spec(name: string) {
    return allContainersOf(this.view).find((c) => c.name === name);
  }

  hasStarted(c: RuntimeContainer): boolean {
    if (roleOf(this.view, c.name) === "init" || this.memory.postStarts.has(c.id)) return false;
    return this.memory.probes.get(c.id)?.started ?? true;
  }

  exit(c: RuntimeContainer, exitCode: number): void {
    this.#set({ ...c, state: "exited", exitCode, finishedAt: this.now });
    if (exitCode === 0 && roleOf(this.view, c.name) === "init") this.done.add(c.name);
  }

  killSandbox(): void {
    const { actual } = this;
    if (actual?.sandbox) this.actual = withSandbox(actual, { ...actual.sandbox, state: "exited" });
  }

  delete(graceSeconds: number): void {
    const metadata = { ...this.pod.metadata, deletionGracePeriodSeconds: graceSeconds };
    this.pod = { ...this.pod, metadata: { ...metadata, deletionTimestamp: "2026-01-01T00:00:00Z" } };
  }

  do(a: Step): void {
    const actual = this.actual ?? emptyPod(this.view);
    this.now += 1;
    switch (a.type) {
      case "createSandbox":
        this.done.clear();
        this.memory.endingSince = undefined;
        this.actual = withSandbox(actual, {
          id: this.#id(),
          state: "created",
          createdAt: this.now,
          attempt: a.attempt,
        });
        return;
      case "startSandbox":
        if (actual.sandbox) this.actual = withSandbox(actual, { ...actual.sandbox, state: "running", ip: "10.0.0.2" });
        return;
      case "removeSandbox":
        this.actual = withoutSandbox(actual);
        return;
      case "ensureImage":
        this.memory.images.set(a.container, { state: "present", attempt: a.attempt, id: "sha256:x" });
        return;
      case "createContainer":
        return this.#create(a.container, a.attempt);
      case "startContainer":
        return this.#start(a.id);
      case "postStart":
        this.memory.postStarts.delete(a.id);
        return;
      case "preStop":
        this.#ends(a);
        this.memory.stops.set(a.id, { ...this.memory.stopping(a.id, this.now), hooked: true });
        return;
      case "drain":
        this.#ends(a);
        this.memory.drained = true;
        return;
      case "stopContainer":
        this.#ends(a);
        for (const c of this.running()) if (c.id === a.id) this.exit(c, 143);
        return;
      case "removeContainer":
        this.actual = withoutContainer(actual, a.id);
        return;
      case "removeVolumes":
        this.memory.volumesRemoved = true;
        return;
      case "deletePod":
        this.memory.deleted = true;
        return;
      case "prepareVolumes":
      case "updateContainer":
        throw new Error(`no Pod of this world asks for ${a.type}`);
    }
  }

  #create(name: string, attempt: number): void {
    const c = this.spec(name);
    this.created.set(name, (this.created.get(name) ?? 0) + 1);
    const hash = c ? specHash(c) : "";
    const times = { createdAt: this.now, specHash: hash, image: c?.image ?? "", imageId: "sha256:x" };
    this.#set({ id: this.#id(), name, attempt, state: "created", ...times });
  }

  #start(id: string): void {
    const c = this.actual?.containers.find((x) => x.id === id);
    const spec = c && this.spec(c.name);
    if (!c || !spec) return;
    this.#set({ ...c, state: "running", startedAt: this.now });
    if (spec.lifecycle?.postStart) this.memory.postStarts.set(id, "due");
    if (spec.startupProbe) this.memory.probes.set(id, { started: false, ready: false });
  }

  #ends(a: Step): void {
    if (["PodDeleted", "PodTerminal", "SandboxChanged", "SandboxFailed"].includes(a.reason))
      this.memory.endingSince ??= this.now;
  }

  #set(c: RuntimeContainer): void {
    this.actual = withContainer(this.actual ?? emptyPod(this.view), c);
  }

  #id(): string {
    return `id-${++this.#ids}`;
  }
}
