/**
 * Carries out one action of a plan: the verb, then what it taught us, into the worker's memory and model, and the event
 * for people. Fails never: a failure is something learnt, too.
 */
import { pods } from "../api/kinds/core/pod.ts";
import { isReason } from "../api/status.ts";
import type { ReadonlyVolume } from "../api/volumes.ts";
import { backoffMs } from "../util/backoff.ts";
import { fetchClaimed, refuseReleased } from "./claimed-volumes.ts";
import { sandboxConfig } from "./config.ts";
import { fetchSources, type NodeContext } from "./context.ts";
import { describeContainer } from "./describe-container.ts";
import { isInMemory } from "./empty-dir.ts";
import { ConfigError } from "./env.ts";
import { type Container, ephemeralContainersOf, newestOf } from "./facts.ts";
import { pulled } from "./images.ts";
import { emptyPod, withContainer, withoutContainer, withoutSandbox, withSandbox } from "./model.ts";
import { liveOf } from "./resize/plan.ts";
import { specHash } from "./restart.ts";
import { runtimeHandlerOf } from "./runtime-class.ts";
import { EndSteps } from "./step-ends.ts";
import { type Action, type PodState, type Step, StepEnv } from "./step-env.ts";
import { StepFailures, volumesReady } from "./step-failures.ts";
import { messageMount, removeMessage, removePodFiles } from "./termination-message.ts";
import { withinLimit } from "./time-limit.ts";
import { type AnchorSource, fetchAnchors } from "./trust-anchors.ts";
import type { TokenSource } from "./projection.ts";
import { fetchKeyring } from "./pull-secrets.ts";
import { reloadContainers } from "./reload.ts";
import { prepareVolumes, removeVolumes, VolumeError, volumeReferences } from "./volumes.ts";

/** A sandbox that dies younger than this counts as a failure to create it. */
const YOUNG_SANDBOX_MS = 10_000;
/** As the kubelet's runtimeRequestTimeout. */
const VERB_LIMIT_MS = 120_000;
const DELETE_RETRY = { initialMs: 100, maxMs: 10_000, jitter: 0.3 };

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
  readonly #env: StepEnv;
  readonly #failures: StepFailures;
  readonly ends: EndSteps;

  constructor(ctx: NodeContext, state: PodState) {
    this.#ctx = ctx;
    this.#s = state;
    this.#env = new StepEnv(ctx, state);
    this.#failures = new StepFailures(this.#env);
    this.ends = new EndSteps(this.#env);
  }

  async run(a: Step, signal: AbortSignal): Promise<void> {
    const began = this.#env.now();
    const ended = (failed: boolean) => this.#ctx.metrics.operation(a.type, { ms: this.#env.now() - began, failed });
    try {
      const limit = { clock: this.#ctx.clock, ms: limitOf(a), what: a.type, signal };
      await withinLimit(limit, (s) => this.#do(a, s));
      if (CLEARING.has(a.type)) this.#s.pause = undefined;
      ended(false);
    } catch (error) {
      ended(true);
      if (!signal.aborted) this.#failures.failed(a, error);
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
        return this.ends.postStart(a, signal);
      case "preStop":
        return this.ends.preStop(a, signal);
      case "drain":
        return this.ends.drain(a, signal);
      case "updateContainer":
        return this.#updateContainer(a, signal);
      case "stopContainer":
        return this.ends.stopContainer(a, signal);
      case "removeContainer":
        return this.#removeContainer(a, signal);
      case "deletePod":
        return this.#deletePod(signal);
    }
  }

  async #createSandbox(a: Action<"createSandbox">, signal: AbortSignal): Promise<void> {
    const pod = this.#env.pod();
    const ip = await this.#ctx.network?.addressFor(pod, signal);
    if (ip !== undefined) await this.#ctx.guarded?.(pod, ip, signal);
    const address = ip === undefined ? {} : { ip };
    const handler = await runtimeHandlerOf(this.#ctx, pod, signal);
    const { id } = await this.#ctx.runtime.createSandbox(
      { ...sandboxConfig(pod, a.attempt, this.#ctx), ...address, ...handler },
      signal,
    );
    const sandbox = { id, state: "created" as const, createdAt: this.#env.now(), attempt: a.attempt, ...address };
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
    this.#env.event("Normal", "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.");
    if (!pod || this.#env.now() - old.createdAt >= YOUNG_SANDBOX_MS) return;
    const e = { reason: "FailedCreatePodSandBox", message: "the sandbox died right after its start" };
    memory.sandboxError = memory.failure(memory.sandboxError, e, this.#env.now());
  }

  async #prepareVolumes(signal: AbortSignal): Promise<void> {
    const pod = this.#env.pod();
    const { dataDir, hostIP, allocatable } = this.#ctx;
    const before = this.#s.memory.volumes;
    const lookup = await fetchSources(this.#ctx, pod.metadata.namespace ?? "", volumeReferences(pod), signal);
    const token = (source: TokenSource) => this.#ctx.tokens.get(pod, source);
    const claimed = await fetchClaimed(this.#ctx, pod, signal).catch((error: unknown) => {
      throw signal.aborted ? error : new VolumeError((error as Error).message);
    });
    const recheck = (volume: ReadonlyVolume) => refuseReleased(this.#ctx, volume, signal);
    const anchors = (source: AnchorSource) => fetchAnchors(this.#ctx.client, source, signal);
    const warn = (reason: string, message: string) => this.#env.event("Warning", reason, message);
    const changed = await prepareVolumes(dataDir, {
      pod,
      lookup,
      token,
      anchors,
      claimed,
      recheck,
      hostIP,
      allocatable,
      warn,
    });
    // Changed anew while this was at work: to be looked at again.
    if (this.#s.memory.volumes === before) this.#s.memory.volumes = volumesReady(pod, this.#env.now());
    if (changed) await reloadContainers(this.#ctx, pod, this.#s.actual, signal);
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
    const onPull = () => this.#env.event("Normal", "Pulling", `Pulling image "${a.image}"`, a.container);
    const onProgress = (message: string) => this.#env.event("Normal", "Pulling", message, a.container);
    const keyring = (s: AbortSignal) => fetchKeyring(this.#ctx, this.#env.pod(), s);
    const { image, policy } = a;
    const got = await this.#ctx.images.ensure({ image, policy, keyring, onPull, onProgress }, signal);
    const { user } = got.info;
    images.set(a.container, { state: "present", attempt: a.attempt, id: got.ref, ...(user !== undefined && { user }) });
    if (a.attempt === 0 || got.pulledMs !== undefined || retry)
      this.#env.event("Normal", "Pulled", pulled(a.image, got), a.container);
  }

  async #createContainer(a: Action<"createContainer">, signal: AbortSignal): Promise<void> {
    const pod = this.#env.pod();
    const { memory } = this.#s;
    const container = this.#env.container(a.container);
    const podIP = this.#env.podIP(pod);
    const { attempt, sandboxId } = a;
    const message = messageMount(this.#ctx.dataDir, pod, container, attempt);
    const image = memory.images.get(a.container);
    const imageUser = image?.state === "present" ? image.user : undefined;
    const warn = (reason: string, text: string) => this.#env.event("Warning", reason, text, a.container);
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
      createdAt: this.#env.now(),
      specHash: specHash(container),
      resources: liveOf(config.resources),
      ...(config.devices && { devices: config.devices.allocated }),
    });
    memory.attempts.set(a.container, attempt);
    memory.errors.delete(a.container);
    this.#env.event("Normal", "Created", `Created container: ${a.container}`, a.container);
  }

  async #startContainer(a: Action<"startContainer">, signal: AbortSignal): Promise<void> {
    const pod = this.#env.pod();
    this.#ctx.podFiles.writeHosts(pod, this.#env.podIP(pod));
    await this.#ctx.runtime.startContainer(a.id, signal);
    const { actual, memory } = this.#s;
    const created = actual?.containers.find((c) => c.id === a.id);
    if (actual && created)
      this.#s.actual = withContainer(actual, { ...created, state: "running", startedAt: this.#env.now() });
    memory.errors.delete(a.container);
    if (this.#env.container(a.container).lifecycle?.postStart) memory.postStarts.set(a.id, "due");
    this.#env.event("Normal", "Started", `Started container ${a.container}`, a.container);
  }

  async #updateContainer(a: Action<"updateContainer">, signal: AbortSignal): Promise<void> {
    await this.#ctx.runtime.updateContainer(a.id, a.resources, signal);
    this.#s.memory.resizes.delete(a.id);
    this.#s.stale = true; // what it has now only the runtime knows
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
    const { namespace, name = "", uid = "" } = this.#env.pod().metadata;
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

  /** Whose processes an ephemeral container sees. */
  #target({ name }: Container): { readonly targetId?: string } {
    const pod = this.#env.pod();
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
