/**
 * Carries out one action of a plan: the verb, then what it taught us, into the worker's memory and model, and the event
 * for people. Fails never: a failure is something learnt, too.
 */
import { pods } from "../api/kinds/core/pod.ts";
import { isReason } from "../api/status.ts";
import type { ReadonlyVolume } from "../api/volumes.ts";
import { RuntimeError, type RuntimePod } from "../runtime/runtime.ts";
import { backoffMs } from "../util/backoff.ts";
import { fetchClaimed, refuseReleased } from "./claimed-volumes.ts";
import { sandboxConfig } from "./config.ts";
import { fetchSources, type NodeContext, podEvent } from "./context.ts";
import { describeContainer } from "./describe-container.ts";
import { isInMemory } from "./empty-dir.ts";
import { ConfigError } from "./env.ts";
import { allContainersOf, type Container, ephemeralContainersOf, newestOf, type Pod, type StepError } from "./facts.ts";
import { Asides, runHook } from "./hooks.ts";
import { pulled } from "./images.ts";
import type { PodMemory } from "./memory.ts";
import { emptyPod, withContainer, withoutContainer, withoutSandbox, withSandbox } from "./model.ts";
import { ENDINGS, type PodAction } from "./plan-action.ts";
import { liveOf } from "./resize/plan.ts";
import { resizeMessage } from "./resize/status.ts";
import { mayRestart, specHash } from "./restart.ts";
import { runtimeHandlerOf } from "./runtime-class.ts";
import type { StatusWriter } from "./status-writer.ts";
import { messageMount, removeMessage, removePodFiles } from "./termination-message.ts";
import { withinLimit } from "./time-limit.ts";
import { type AnchorSource, fetchAnchors } from "./trust-anchors.ts";
import type { TokenSource } from "./projection.ts";
import { fetchKeyring } from "./pull-secrets.ts";
import { reloadContainers } from "./reload.ts";
import { hasLiveVolumes, prepareVolumes, removeVolumes, VolumeError, volumeReferences } from "./volumes.ts";

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

type Action<T extends PodAction["type"]> = Extract<PodAction, { type: T }>;
export type Step = Exclude<PodAction, { type: "wait" }>;

/** A sandbox that dies younger than this counts as a failure to create it. */
const YOUNG_SANDBOX_MS = 10_000;
/** As the kubelet's runtimeRequestTimeout. */
const VERB_LIMIT_MS = 120_000;
/** As often as the kubelet looks whether ConfigMaps and Secrets that are mounted have changed. */
const REFRESH_MS = 60_000;
/** Less than that is no chance to end in order, whatever hooks have left of the grace. As the kubelet. */
const MIN_GRACE_MS = 2_000;
const DELETE_RETRY = { initialMs: 100, maxMs: 10_000, jitter: 0.3 };

const DRAIN = "drain";

/** Pulls and deletions; and hooks, which the planner cuts short. */
const OWN_MEASURE: ReadonlySet<Step["type"]> = new Set(["ensureImage", "deletePod", "postStart", "preStop", "drain"]);

const CLEARING: ReadonlySet<Step["type"]> = new Set([
  "stopContainer",
  "removeContainer",
  "removeSandbox",
  "removeVolumes",
]);

export class PodSteps {
  readonly #ctx: NodeContext;
  readonly #s: PodState;
  /** Hooks by container id, and the wait for traffic to end. */
  readonly #asides = new Asides();

  constructor(ctx: NodeContext, state: PodState) {
    this.#ctx = ctx;
    this.#s = state;
  }

  /** Nothing goes on for containers that run no more. */
  observed(): void {
    const running = (this.#s.actual?.containers ?? []).filter((c) => c.state === "running");
    this.#asides.keep((key) => (key === DRAIN ? running.length > 0 : running.some((c) => c.id === key)));
  }

  async run(a: Step, signal: AbortSignal): Promise<void> {
    const began = this.#now();
    const ended = (failed: boolean) => this.#ctx.metrics.operation(a.type, { ms: this.#now() - began, failed });
    try {
      const limit = { clock: this.#ctx.clock, ms: limitOf(a), what: a.type, signal };
      await withinLimit(limit, (s) => this.#do(a, s));
      if (CLEARING.has(a.type)) this.#s.pause = undefined;
      ended(false);
    } catch (error) {
      ended(true);
      if (!signal.aborted) this.#failed(a, error);
    }
  }

  #do(a: Step, signal: AbortSignal): Promise<void> {
    switch (a.type) {
      case "createSandbox":
        return this.#createSandbox(a, signal);
      case "startSandbox":
        return this.#startSandbox(a, signal);
      case "removeSandbox":
        return this.#removeSandbox(a, signal);
      case "prepareVolumes":
        return this.#prepareVolumes(signal);
      case "removeVolumes":
        return this.#removeVolumes(signal);
      case "ensureImage":
        return this.#ensureImage(a, signal);
      case "createContainer":
        return this.#createContainer(a, signal);
      case "startContainer":
        return this.#startContainer(a, signal);
      case "postStart":
        return this.#postStart(a, signal);
      case "preStop":
        return this.#preStop(a, signal);
      case "drain":
        return this.#drain(a, signal);
      case "updateContainer":
        return this.#updateContainer(a, signal);
      case "stopContainer":
        return this.#stopContainer(a, signal);
      case "removeContainer":
        return this.#removeContainer(a, signal);
      case "deletePod":
        return this.#deletePod(signal);
    }
  }

  async #createSandbox(a: Action<"createSandbox">, signal: AbortSignal): Promise<void> {
    const pod = this.#pod();
    const ip = await this.#ctx.network?.addressFor(pod, signal);
    if (ip !== undefined) await this.#ctx.guarded?.(pod, ip, signal);
    const address = ip === undefined ? {} : { ip };
    const handler = await runtimeHandlerOf(this.#ctx, pod, signal);
    const { id } = await this.#ctx.runtime.createSandbox(
      { ...sandboxConfig(pod, a.attempt, this.#ctx), ...address, ...handler },
      signal,
    );
    const sandbox = { id, state: "created" as const, createdAt: this.#now(), attempt: a.attempt, ...address };
    this.#s.actual = withSandbox(this.#s.actual ?? emptyPod(pod), sandbox);
    this.#s.memory.sandboxAttempt = a.attempt + 1;
    this.#s.memory.endingSince = undefined;
  }

  async #startSandbox(a: Action<"startSandbox">, signal: AbortSignal): Promise<void> {
    const { ip } = await this.#ctx.runtime.startSandbox(a.id, signal);
    const { actual, memory } = this.#s;
    if (actual?.sandbox?.id !== a.id) return;
    this.#s.actual = withSandbox(actual, { ...actual.sandbox, state: "running", ...(ip !== undefined && { ip }) });
    memory.sandboxError = undefined;
  }

  async #removeSandbox(a: Action<"removeSandbox">, signal: AbortSignal): Promise<void> {
    const { actual, memory, pod } = this.#s;
    const old = actual?.sandbox;
    await this.#ctx.runtime.removeSandbox(a.id, signal);
    if (this.#s.actual) this.#s.actual = withoutSandbox(this.#s.actual);
    if (a.reason !== "SandboxChanged" || !old) return;
    this.#event("Normal", "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.");
    if (!pod || this.#now() - old.createdAt >= YOUNG_SANDBOX_MS) return;
    const e = { reason: "FailedCreatePodSandBox", message: "the sandbox died right after its start" };
    memory.sandboxError = memory.failure(memory.sandboxError, e, this.#now());
  }

  async #prepareVolumes(signal: AbortSignal): Promise<void> {
    const pod = this.#pod();
    const { dataDir, hostIP, allocatable } = this.#ctx;
    const before = this.#s.memory.volumes;
    const lookup = await fetchSources(this.#ctx, pod.metadata.namespace ?? "", volumeReferences(pod), signal);
    const token = (source: TokenSource) => this.#ctx.tokens.get(pod, source);
    const claimed = await fetchClaimed(this.#ctx, pod, signal).catch((error: unknown) => {
      throw signal.aborted ? error : new VolumeError((error as Error).message);
    });
    const recheck = (volume: ReadonlyVolume) => refuseReleased(this.#ctx, volume, signal);
    const anchors = (source: AnchorSource) => fetchAnchors(this.#ctx.client, source, signal);
    const warn = (reason: string, message: string) => this.#event("Warning", reason, message);
    const changed = await prepareVolumes(dataDir, { pod, lookup, token, anchors, claimed, recheck, hostIP, allocatable, warn });
    // Changed anew while this was at work: to be looked at again.
    if (this.#s.memory.volumes === before) this.#volumesReady(pod);
    if (changed) await reloadContainers(this.#ctx, pod, this.#s.actual, signal);
  }

  #volumesReady(pod: Pod): void {
    this.#s.memory.volumes = { refreshAt: hasLiveVolumes(pod) ? this.#now() + REFRESH_MS : Infinity };
  }

  /** And the files of the containers' last words. */
  async #removeVolumes(signal: AbortSignal): Promise<void> {
    const { pod, uid, memory } = this.#s;
    // Of a Pod that left nothing but containers we do not know what volumes it had.
    if (pod?.spec?.volumes?.some(isInMemory) ?? true) await this.#ctx.runtime.removeMemoryVolumes(uid, signal);
    if (pod && !pod.spec?.volumes?.length) removePodFiles(this.#ctx.dataDir, uid);
    else await removeVolumes(this.#ctx.dataDir, uid);
    memory.volumesRemoved = true;
  }

  async #ensureImage(a: Action<"ensureImage">, signal: AbortSignal): Promise<void> {
    const { images } = this.#s.memory;
    const retry = images.get(a.container)?.state === "failed";
    const onPull = () => this.#event("Normal", "Pulling", `Pulling image "${a.image}"`, a.container);
    const onProgress = (message: string) => this.#event("Normal", "Pulling", message, a.container);
    const keyring = (s: AbortSignal) => fetchKeyring(this.#ctx, this.#pod(), s);
    const { image, policy } = a;
    const got = await this.#ctx.images.ensure({ image, policy, keyring, onPull, onProgress }, signal);
    const { user } = got.info;
    images.set(a.container, { state: "present", attempt: a.attempt, id: got.ref, ...(user !== undefined && { user }) });
    if (a.attempt === 0 || got.pulledMs !== undefined || retry)
      this.#event("Normal", "Pulled", pulled(a.image, got), a.container);
  }

  async #createContainer(a: Action<"createContainer">, signal: AbortSignal): Promise<void> {
    const pod = this.#pod();
    const { memory } = this.#s;
    const container = this.#container(a.container);
    const podIP = this.#podIP(pod);
    const { attempt, sandboxId } = a;
    const message = messageMount(this.#ctx.dataDir, pod, container, attempt);
    const image = memory.images.get(a.container);
    const imageUser = image?.state === "present" ? image.user : undefined;
    const warn = (reason: string, text: string) => this.#event("Warning", reason, text, a.container);
    const of = { pod, container, podIP, attempt, sandboxId, warn };
    const { room } = this.#ctx;
    const devices = room.devicesOf(pod, a.container);
    const limits = { ...(room.pids !== undefined && { pids: room.pids }), ...(devices && { devices }) };
    const input = { ...of, ...limits, ...(imageUser !== undefined && { imageUser }) };
    const config = await describeContainer(this.#ctx, input, signal);
    const all = {
      ...config,
      mounts: message ? [...config.mounts, message] : config.mounts,
      ...this.#target(container),
    };
    const { id } = await this.#ctx.runtime.createContainer(all, signal);
    this.#s.actual = withContainer(this.#s.actual ?? emptyPod(pod), {
      id,
      name: a.container,
      attempt,
      state: "created",
      image: container.image ?? "",
      imageId: image?.state === "present" ? image.id : "",
      createdAt: this.#now(),
      specHash: specHash(container),
      resources: liveOf(config.resources),
      ...(config.devices && { devices: config.devices.allocated }),
    });
    memory.attempts.set(a.container, attempt);
    memory.errors.delete(a.container);
    this.#event("Normal", "Created", `Created container: ${a.container}`, a.container);
  }

  async #startContainer(a: Action<"startContainer">, signal: AbortSignal): Promise<void> {
    const pod = this.#pod();
    this.#ctx.podFiles.writeHosts(pod, this.#podIP(pod));
    await this.#ctx.runtime.startContainer(a.id, signal);
    const { actual, memory } = this.#s;
    const created = actual?.containers.find((c) => c.id === a.id);
    if (actual && created)
      this.#s.actual = withContainer(actual, { ...created, state: "running", startedAt: this.#now() });
    memory.errors.delete(a.container);
    if (this.#container(a.container).lifecycle?.postStart) memory.postStarts.set(a.id, "due");
    this.#event("Normal", "Started", `Started container ${a.container}`, a.container);
  }

  async #postStart(a: Action<"postStart">, signal: AbortSignal): Promise<void> {
    const { memory } = this.#s;
    if (await this.#hook("postStart", a, signal)) memory.postStarts.delete(a.id);
  }

  /** Of the time it takes, the container loses as much. */
  async #preStop(a: Action<"preStop">, signal: AbortSignal): Promise<void> {
    this.#killing(a);
    const { memory } = this.#s;
    try {
      await this.#hook("preStop", a, signal);
    } finally {
      const stop = memory.stops.get(a.id);
      if (stop) memory.stops.set(a.id, { ...stop, hooked: true });
    }
  }

  /** True when it has succeeded; false when the container ended, or has to, before the hook did. */
  #hook(kind: "postStart" | "preStop", a: Action<"postStart" | "preStop">, signal: AbortSignal): Promise<boolean> {
    const container = this.#container(a.container);
    const hook = container.lifecycle?.[kind];
    const host = this.#podIP(this.#pod()) ?? this.#ctx.hostIP;
    const { runtime, clock } = this.#ctx;
    return this.#asides.run(a.id, signal, async (s) => {
      if (hook) await runHook(hook, { container, id: a.id, host }, { runtime, clock, signal: s });
    });
  }

  async #drain(a: Action<"drain">, signal: AbortSignal): Promise<void> {
    const { memory } = this.#s;
    this.#begins(a);
    const pod = this.#pod();
    try {
      await this.#asides.run(DRAIN, signal, async (s) => this.#ctx.drained?.(pod, s));
    } finally {
      memory.drained = true; // whatever came of it: the Pod must go
    }
  }

  async #updateContainer(a: Action<"updateContainer">, signal: AbortSignal): Promise<void> {
    await this.#ctx.runtime.updateContainer(a.id, a.resources, signal);
    this.#s.memory.resizes.delete(a.id);
    this.#s.stale = true; // what it has now only the runtime knows
  }

  async #stopContainer(a: Action<"stopContainer">, signal: AbortSignal): Promise<void> {
    const { since } = this.#killing(a);
    this.#asides.keep((key) => key !== a.id);
    const left = a.graceSeconds * 1000 - (this.#now() - since);
    try {
      await this.#ctx.runtime.stopContainer(a.id, Math.max(MIN_GRACE_MS, left) / 1000, signal);
    } finally {
      this.#s.stale = true; // how it ended only the runtime knows
    }
  }

  /** Said once, by the first step of a container's end. */
  #killing(a: Action<"preStop" | "stopContainer">): { readonly since: number } {
    const { memory } = this.#s;
    this.#begins(a);
    if (!memory.stops.has(a.id)) this.#event("Normal", "Killing", this.#killingMessage(a), a.container);
    return memory.stopping(a.id, this.#now());
  }

  #begins({ reason }: Step): void {
    if (ENDINGS.has(reason)) this.#s.memory.endingSince ??= this.#now();
  }

  #killingMessage({ container, id, reason }: Action<"preStop" | "stopContainer">): string {
    if (reason === "SpecChanged") return `Container ${container} definition changed, will be restarted`;
    if (reason === "Resized") return `Container ${container} resize requires restart`;
    if (reason === "PostStartFailed") return "FailedPostStartHook";
    const unhealthy = this.#s.memory.probes.get(id)?.unhealthy;
    if (reason !== "Unhealthy" || !unhealthy) return `Stopping container ${container}`;
    const next = mayRestart(this.#pod(), this.#container(container), { exitCode: 137 }) ? ", will be restarted" : "";
    return `Container ${container} failed ${unhealthy.probe} probe${next}`;
  }

  async #removeContainer(a: Action<"removeContainer">, signal: AbortSignal): Promise<void> {
    const old = this.#s.actual?.containers.find((c) => c.id === a.id);
    // Of a Pod that runs on, only `logs --previous` is promised.
    if (old && this.#s.actual && a.reason !== "OldAttempt") await this.#ctx.keptLogs.keep(this.#s.actual, old, signal);
    await this.#ctx.runtime.removeContainer(a.id, signal);
    if (this.#s.actual) this.#s.actual = withoutContainer(this.#s.actual, a.id);
    if (old && this.#s.pod) removeMessage(this.#ctx.dataDir, this.#s.pod, old);
    // A first attempt that never ran was none: its successor is no restart.
    if (old?.state === "created" && old.attempt === 0) this.#s.memory.attempts.delete(old.name);
  }

  /** After its last status: whoever watches sees how the containers ended. */
  async #deletePod(signal: AbortSignal): Promise<void> {
    const { namespace, name = "", uid = "" } = this.#pod().metadata;
    await this.#s.status?.flushed();
    for (let failures = 1; !signal.aborted; failures++) {
      try {
        const { client } = this.#ctx;
        await client.resource(pods, namespace).delete(name, { gracePeriodSeconds: 0, preconditions: { uid } });
        break;
      } catch (error) {
        if (isReason(error, "NotFound", "Conflict")) break; // gone, or a new Pod has its name
        this.#ctx.log.warn({ err: error, pod: name, namespace }, "pod not deleted, will retry");
        await this.#ctx.clock.sleep(backoffMs(failures, DELETE_RETRY, this.#ctx.random), signal);
      }
    }
    this.#s.memory.deleted = true;
  }

  #failed(a: Step, error: unknown): void {
    const { memory } = this.#s;
    const message = error instanceof Error ? error.message : String(error);
    const reason = error instanceof RuntimeError || error instanceof ConfigError ? error.reason : undefined;
    this.#ctx.log.warn({ err: error, pod: this.#s.uid, action: a }, "step failed");
    this.#s.stale = true;
    if (reason === "RuntimeUnavailable") return this.#ctx.runtimeFailed(error);
    switch (a.type) {
      case "startSandbox":
        memory.brokenSandbox = a.id;
        this.#ctx.network?.refused(this.#s.uid);
        return this.#sandboxFailed(message);
      case "createSandbox":
        return this.#sandboxFailed(message);
      case "prepareVolumes": {
        const before = memory.volumes;
        // What was there before stays in use; it only cannot be brought up to date.
        if (a.reason === "Refresh") this.#volumesReady(this.#pod());
        else
          memory.volumes = memory.failure(
            typeof before === "object" && "failures" in before ? before : undefined,
            { reason: "FailedMount", message },
            this.#now(),
          );
        return this.#event("Warning", "FailedMount", message);
      }
      case "ensureImage":
        return this.#imageFailed(a, reason ?? "ErrImagePull", message);
      case "createContainer":
        return this.#containerFailed(a.container, reason ?? "CreateContainerError", message);
      case "startContainer":
        return this.#containerFailed(a.container, "RunContainerError", message);
      case "postStart":
        memory.postStarts.set(a.id, "failed");
        return this.#event("Warning", "FailedPostStartHook", "PostStartHook failed", a.container);
      case "preStop":
        return this.#event("Warning", "FailedPreStopHook", "PreStopHook failed", a.container);
      case "updateContainer":
        return this.#resizeFailed(a, message);
      case "drain":
        return;
      case "removeSandbox":
      case "removeVolumes":
      case "stopContainer":
      case "removeContainer":
      case "deletePod": {
        this.#s.pause = memory.failure(this.#s.pause, { reason: "FailedKillPod", message }, this.#now());
        return this.#event("Warning", "FailedKillPod", `error killing pod: ${message}`);
      }
    }
  }

  #resizeFailed(a: Action<"updateContainer">, message: string): void {
    const { memory, pod } = this.#s;
    const error = memory.failure(memory.resizes.get(a.id), { reason: "ResizeError", message }, this.#now());
    memory.resizes.set(a.id, error);
    if (pod) this.#event("Warning", "ResizeError", resizeMessage("error", pod, message));
  }

  #sandboxFailed(message: string): void {
    const { memory } = this.#s;
    const e = { reason: "FailedCreatePodSandBox", message: `Failed to create pod sandbox: ${message}` };
    memory.sandboxError = memory.failure(memory.sandboxError, e, this.#now());
    this.#event("Warning", e.reason, e.message);
  }

  #imageFailed(a: Action<"ensureImage">, reason: string, message: string): void {
    const { images } = this.#s.memory;
    const before = images.get(a.container);
    const known = reason === "ErrImageNeverPull" || reason === "InvalidImageName" ? reason : "ErrImagePull";
    const earlier = before?.state === "failed" ? before.error : undefined;
    const error = this.#s.memory.failure(earlier, { reason: known, message }, this.#now());
    images.set(a.container, { state: "failed", attempt: a.attempt, error });
    if (known === "ErrImagePull") {
      this.#event("Warning", "Failed", `Failed to pull image "${a.image}": ${message}`, a.container);
      this.#event("Warning", "Failed", `Error: ${known}`, a.container);
    } else if (known === "InvalidImageName") {
      this.#event(
        "Warning",
        "InspectFailed",
        `Failed to apply default image tag "${a.image}": ${message}`,
        a.container,
      );
    } else this.#event("Warning", known, message, a.container);
  }

  #containerFailed(name: string, reason: string, message: string): void {
    const { errors, images } = this.#s.memory;
    errors.set(name, this.#s.memory.failure(errors.get(name), { reason, message }, this.#now()));
    images.delete(name); // it may have been the image: look again
    this.#event("Warning", "Failed", `Error: ${message}`, name);
  }

  #event(type: "Normal" | "Warning", reason: string, message: string, container?: string): void {
    podEvent(this.#ctx, this.#s.pod, { type, reason, message, ...(container !== undefined && { container }) });
  }

  #now(): number {
    return this.#ctx.clock.now();
  }

  #pod(): Pod {
    if (!this.#s.pod) throw new Error("the Pod is gone");
    return this.#s.pod;
  }

  #container(name: string): Container {
    const pod = this.#pod();
    const found = allContainersOf(pod).find((c) => c.name === name);
    if (!found) throw new Error(`no container ${name} in the Pod`);
    return found;
  }

  #podIP(pod: Pod): string | undefined {
    return this.#s.actual?.sandbox?.ip ?? (pod.spec?.hostNetwork ? this.#ctx.hostIP : undefined);
  }

  /** Whose processes an ephemeral container sees. */
  #target({ name }: Container): { readonly targetId?: string } {
    const pod = this.#pod();
    const target = ephemeralContainersOf(pod).find((c) => c.name === name)?.targetContainerName;
    if (!target) return {};
    const running = newestOf(this.#s.actual, target);
    if (running?.state !== "running") throw new ConfigError(`unable to find target container "${target}"`);
    return { targetId: running.id };
  }
}

/** A daemon that hangs must not hold a Pod for ever. */
function limitOf(a: Step): number {
  if (OWN_MEASURE.has(a.type)) return Infinity;
  return VERB_LIMIT_MS + (a.type === "stopContainer" ? a.graceSeconds * 1000 : 0);
}
