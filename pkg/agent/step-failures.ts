/** What a step that has failed teaches: when to try again, and what people are told. */
import { RuntimeError } from "../runtime/runtime.ts";
import { ConfigError } from "./env.ts";
import type { Pod, VolumesReady } from "./facts.ts";
import { resizeMessage } from "./resize/status.ts";
import type { Action, Step, StepEnv } from "./step-env.ts";
import { hasLiveVolumes } from "./volumes.ts";

/** As often as the kubelet looks whether ConfigMaps and Secrets that are mounted have changed. */
const REFRESH_MS = 60_000;

export function volumesReady(pod: Pod, now: number): VolumesReady {
  return { refreshAt: hasLiveVolumes(pod) ? now + REFRESH_MS : Infinity };
}

export class StepFailures {
  readonly #env: StepEnv;

  constructor(env: StepEnv) {
    this.#env = env;
  }

  failed(a: Step, error: unknown): void {
    const { memory } = this.#env.s;
    const message = error instanceof Error ? error.message : String(error);
    const reason = error instanceof RuntimeError || error instanceof ConfigError ? error.reason : undefined;
    this.#env.ctx.log.warn({ err: error, pod: this.#env.s.uid, action: a }, "step failed");
    this.#env.s.stale = true;
    if (reason === "RuntimeUnavailable") return this.#env.ctx.runtimeFailed(error);
    switch (a.type) {
      case "startSandbox":
        memory.brokenSandbox = a.id;
        this.#env.ctx.network?.refused(this.#env.s.uid);
        return this.#sandboxFailed(message);
      case "createSandbox":
        return this.#sandboxFailed(message);
      case "prepareVolumes": {
        const before = memory.volumes;
        // What was there before stays in use; it only cannot be brought up to date.
        if (a.reason === "Refresh") {
          const { pod } = this.#env.s;
          if (!pod) return; // it went while its files were brought up to date
          memory.volumes = volumesReady(pod, this.#env.now());
        } else
          memory.volumes = memory.failure(
            typeof before === "object" && "failures" in before ? before : undefined,
            { reason: "FailedMount", message },
            this.#env.now(),
          );
        return this.#env.event("Warning", "FailedMount", message);
      }
      case "ensureImage":
        return this.#imageFailed(a, reason ?? "ErrImagePull", message);
      case "createContainer":
        return this.#containerFailed(a.container, reason ?? "CreateContainerError", message);
      case "startContainer":
        return this.#containerFailed(a.container, "RunContainerError", message);
      case "postStart":
        memory.postStarts.set(a.id, "failed");
        return this.#env.event("Warning", "FailedPostStartHook", "PostStartHook failed", a.container);
      case "preStop":
        return this.#env.event("Warning", "FailedPreStopHook", "PreStopHook failed", a.container);
      case "updateContainer":
        return this.#resizeFailed(a, message);
      case "drain":
        return;
      case "removeSandbox":
      case "removeVolumes":
      case "stopContainer":
      case "removeContainer":
      case "deletePod": {
        this.#env.s.pause = memory.failure(this.#env.s.pause, { reason: "FailedKillPod", message }, this.#env.now());
        return this.#env.event("Warning", "FailedKillPod", `error killing pod: ${message}`);
      }
    }
  }

  #resizeFailed(a: Action<"updateContainer">, message: string): void {
    const { memory, pod } = this.#env.s;
    const error = memory.failure(memory.resizes.get(a.id), { reason: "ResizeError", message }, this.#env.now());
    memory.resizes.set(a.id, error);
    if (pod) this.#env.event("Warning", "ResizeError", resizeMessage("error", pod, message));
  }

  #sandboxFailed(message: string): void {
    const { memory } = this.#env.s;
    const e = { reason: "FailedCreatePodSandBox", message: `Failed to create pod sandbox: ${message}` };
    memory.sandboxError = memory.failure(memory.sandboxError, e, this.#env.now());
    this.#env.event("Warning", e.reason, e.message);
  }

  #imageFailed(a: Action<"ensureImage">, reason: string, message: string): void {
    const { images } = this.#env.s.memory;
    const before = images.get(a.container);
    const known = reason === "ErrImageNeverPull" || reason === "InvalidImageName" ? reason : "ErrImagePull";
    const earlier = before?.state === "failed" ? before.error : undefined;
    const error = this.#env.s.memory.failure(earlier, { reason: known, message }, this.#env.now());
    images.set(a.container, { state: "failed", attempt: a.attempt, error });
    if (known === "ErrImagePull") {
      this.#env.event("Warning", "Failed", `Failed to pull image "${a.image}": ${message}`, a.container);
      this.#env.event("Warning", "Failed", `Error: ${known}`, a.container);
    } else if (known === "InvalidImageName") {
      this.#env.event(
        "Warning",
        "InspectFailed",
        `Failed to apply default image tag "${a.image}": ${message}`,
        a.container,
      );
    } else this.#env.event("Warning", known, message, a.container);
  }

  #containerFailed(name: string, reason: string, message: string): void {
    const { errors, images } = this.#env.s.memory;
    errors.set(name, this.#env.s.memory.failure(errors.get(name), { reason, message }, this.#env.now()));
    images.delete(name); // it may have been the image: look again
    this.#env.event("Warning", "Failed", `Error: ${message}`, name);
  }
}
