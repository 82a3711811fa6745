import type { ContainerState, ContainerStats, RuntimeContainer, RuntimePod } from "../runtime.ts";
import type { Call, DockerApi } from "./api.ts";
import type { DeviceIds } from "../resources.ts";
import { unless } from "./errors.ts";
import type { Images } from "./images.ts";
import { filters, label, type Labels, type Owner, ownerLabels } from "./labels.ts";
import { liveResources, type ResourcesBody } from "./resources.ts";

interface Listed {
  readonly Id: string;
  /** Seconds. */
  readonly Created: number;
  readonly State: string;
  readonly ImageID: string;
  readonly Labels: Labels;
  readonly NetworkSettings?: { readonly Networks?: Readonly<Record<string, { readonly IPAddress?: string }>> };
}

export interface Inspected {
  readonly Id: string;
  readonly Config: { readonly Labels: Labels; readonly Tty: boolean };
  readonly HostConfig: ResourcesBody;
  readonly State: {
    readonly Status: string;
    readonly StartedAt: string;
    readonly FinishedAt: string;
    readonly ExitCode: number;
    readonly OOMKilled: boolean;
    readonly Error: string;
  };
  readonly NetworkSettings: { readonly Networks?: Readonly<Record<string, { readonly IPAddress?: string }>> };
}

export type RunningContainer = Pick<ContainerStats, "id" | "podUid" | "podName" | "podNamespace" | "name">;

/** What a list does not tell. */
type Facts = Pick<
  RuntimeContainer,
  "state" | "startedAt" | "finishedAt" | "exitCode" | "oomKilled" | "error" | "resources"
>;

/**
 * Reads Pods from containers: one list, and one inspect for each container that has come into its state since the last
 * look. Times and exit codes of a state do not change any more (Docker never restarts our containers), so they are kept
 * by id and state; a failed start leaves the state as it was, hence {@link forget}.
 *
 * Docker sends `die`, and answers a stop, before its lists know (seen with 20.10). An inspect waits
 * for the container's lock and tells the truth, so of a container {@link died} the list's "running" is not believed.
 */
export class PodReader {
  readonly #api: DockerApi;
  readonly #owner: Owner;
  readonly #images: Pick<Images, "refOf">;
  readonly #facts = new Map<string, { readonly inState: string; readonly facts: Facts }>();

  readonly #died = new Set<string>();

  constructor(api: DockerApi, owner: Owner, images: Pick<Images, "refOf">) {
    this.#api = api;
    this.#owner = owner;
    this.#images = images;
  }

  /** Just made by us: nothing to learn from an inspect. */
  created(id: string): void {
    this.#facts.set(id, { inState: "created", facts: { state: "created" } });
  }

  forget(id: string): void {
    this.#facts.delete(id);
    this.#died.delete(id);
  }

  died(id: string): void {
    this.#died.add(id);
  }

  async all(signal: AbortSignal): Promise<readonly RuntimePod[]> {
    const listed = await this.#list({}, signal);
    const ids = new Set(listed.map((l) => l.Id));
    for (const id of [...this.#facts.keys(), ...this.#died]) if (!ids.has(id)) this.forget(id);
    const byPod = new Map<string, Listed[]>();
    for (const l of listed) {
      const uid = l.Labels[label.podUid] ?? "";
      byPod.set(uid, [...(byPod.get(uid) ?? []), l]);
    }
    return Promise.all([...byPod].map(([uid, mine]) => this.#pod(uid, mine, signal)));
  }

  async one(uid: string, signal: AbortSignal): Promise<RuntimePod | undefined> {
    const listed = await this.#list({ [label.podUid]: uid }, signal);
    return listed.length === 0 ? undefined : this.#pod(uid, listed, signal);
  }

  /** Ids and labels of what runs now, sandboxes left out. */
  async running(signal: AbortSignal): Promise<readonly RunningContainer[]> {
    const listed = await this.#list({ [label.kind]: "container" }, signal);
    return listed
      .filter((l) => toState(l.State) === "running")
      .map((l) => ({
        id: l.Id,
        podUid: l.Labels[label.podUid] ?? "",
        podName: l.Labels[label.podName] ?? "",
        podNamespace: l.Labels[label.podNamespace] ?? "",
        name: l.Labels[label.container] ?? "",
      }));
  }

  async #list(labels: Labels, signal: AbortSignal): Promise<readonly Listed[]> {
    const query = { all: true, filters: filters({ ...ownerLabels(this.#owner), ...labels }) };
    const listed = await this.#api.request<readonly Listed[]>({ path: "/containers/json", query, signal });
    return listed.filter((l) => l.State !== "removing");
  }

  async #pod(uid: string, listed: readonly Listed[], signal: AbortSignal): Promise<RuntimePod> {
    const ofKind = (kind: string) =>
      listed.filter((l) => l.Labels[label.kind] === kind).toSorted((a, b) => attempt(b) - attempt(a));
    const containers = await Promise.all(ofKind("container").map((l) => this.#container(l, signal)));
    const sandbox = ofKind("sandbox")[0];
    const labels = listed[0]?.Labels ?? {};
    return {
      uid,
      name: labels[label.podName] ?? "",
      namespace: labels[label.podNamespace] ?? "",
      ...(sandbox ? { sandbox: toSandbox(sandbox, this.#died.has(sandbox.Id)) } : {}),
      containers: containers.filter((c) => c !== undefined),
    };
  }

  async #container(l: Listed, signal: AbortSignal): Promise<RuntimeContainer | undefined> {
    const known = this.#facts.get(l.Id);
    const outdated = known?.facts.state === "running" && this.#died.has(l.Id);
    const facts = known?.inState === l.State && !outdated ? known.facts : await this.#inspect(l, signal);
    if (!facts) return undefined;
    const image = l.Labels[label.image] ?? "";
    return {
      id: l.Id,
      name: l.Labels[label.container] ?? "",
      attempt: attempt(l),
      image,
      imageId: await this.#images.refOf(l.ImageID, image, signal),
      createdAt: l.Created * 1000,
      specHash: l.Labels[label.specHash] ?? "",
      ...devicesOf(l.Labels),
      ...facts,
    };
  }

  /** Undefined when it is gone meanwhile. */
  async #inspect(l: Listed, signal: AbortSignal): Promise<Facts | undefined> {
    const inspected = await unless(404, this.#api.request<Inspected>(inspectCall(l.Id, signal)));
    if (!inspected) return undefined;
    const resources = liveResources(inspected.HostConfig);
    const facts = { ...toFacts(inspected.State, l.Created * 1000), resources };
    this.#facts.set(l.Id, { inState: inspected.State.Status, facts });
    return facts;
  }
}

export function inspectCall(id: string, signal: AbortSignal): Call {
  return { path: `/containers/${encodeURIComponent(id)}/json`, signal };
}

/** The address in whichever network it is; none on the host's. */
export function address(networks: Listed["NetworkSettings"]): string | undefined {
  return Object.values(networks?.Networks ?? {}).find((n) => n.IPAddress)?.IPAddress;
}

function devicesOf(labels: Labels): { devices?: DeviceIds } {
  const text = labels[label.devices];
  return text === undefined ? {} : { devices: JSON.parse(text) as DeviceIds };
}

const attempt = (l: Listed) => Number(l.Labels[label.attempt]);

function toState(state: string): ContainerState {
  if (state === "created") return "created";
  return state === "exited" || state === "dead" ? "exited" : "running";
}

function toSandbox(l: Listed, died: boolean): NonNullable<RuntimePod["sandbox"]> {
  const ip = address(l.NetworkSettings) ?? l.Labels[label.podIp];
  return {
    id: l.Id,
    state: died ? "exited" : toState(l.State),
    createdAt: l.Created * 1000,
    attempt: attempt(l),
    ...(ip === undefined ? {} : { ip }),
  };
}

function toFacts(s: Inspected["State"], createdAt: number): Facts {
  const state = toState(s.Status);
  if (state === "created") {
    // Docker leaves a container that could not be started in "created", with the reason.
    return s.Error
      ? { state: "exited", finishedAt: createdAt, exitCode: s.ExitCode || 128, error: s.Error }
      : { state };
  }
  const startedAt = Date.parse(s.StartedAt);
  if (state === "running") return { state, startedAt };
  return {
    state,
    startedAt,
    // Docker notes the start after the process has begun; a short one may have ended before that.
    finishedAt: Math.max(startedAt, Date.parse(s.FinishedAt)),
    exitCode: s.ExitCode,
    oomKilled: s.OOMKilled,
    ...(s.Error ? { error: s.Error } : {}),
  };
}
