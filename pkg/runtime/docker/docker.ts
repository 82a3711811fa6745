import type { Duplex, Readable } from "node:stream";
import { type Clock, systemClock } from "../../util/clock.ts";
import {
  type ContainerConfig,
  type ContainerRuntime,
  type ContainerStats,
  type ExecOptions,
  type ExecSession,
  type LogChunk,
  type LogOptions,
  type PodNetwork,
  RuntimeError,
  type RuntimeInfo,
  type RuntimePod,
  type SandboxConfig,
  type Usage,
} from "../runtime.ts";
import type { BuildOptions, ImageInfo, PullOptions } from "../images.ts";
import type { LiveResources } from "../resources.ts";
import { DockerApi, type DockerApiOptions } from "./api.ts";
import { containerBody, sandboxBody } from "./config.ts";
import { DockerError, failingAs, unless } from "./errors.ts";
import { Images, PAUSE_IMAGE } from "./images.ts";
import {
  containerLabels,
  containerName,
  filters,
  label,
  type Labels,
  type Owner,
  ownerLabels,
  sandboxLabels,
} from "./labels.ts";
import { allowHairpin } from "./hairpin.ts";
import { ensureNetwork, removeNetwork } from "./network.ts";
import { canLowerOomScore, ownStatus } from "./oom-score.ts";
import { address, type Inspected, inspectCall, PodReader } from "./pods.ts";
import { LogFiles } from "./log-files.ts";
import { connectPort } from "./ports.ts";
import { resourcesBody } from "./resources.ts";
import { session } from "./session.ts";
import { Cgroups, type DockerStats, toUsage } from "./stats.ts";
import { chunks, documents } from "./streams.ts";
import { removeVolumes } from "./volumes.ts";

export interface DockerRuntimeOptions extends DockerApiOptions, Owner {
  /** The Docker network of the Pods until {@link DockerRuntime.ensureNetwork} names another. Default: `bridge`. */
  readonly network?: string;
  /** Default: our own, made on the spot. */
  readonly sandboxImage?: string;
  readonly clock?: Clock;
}

type DaemonInfo = Readonly<Record<string, string>> & {
  readonly NCPU: number;
  readonly MemTotal: number;
  readonly SecurityOptions?: readonly string[] | null;
};

/** The first version of Docker that can. */
const RECURSIVE_READ_ONLY = 25;

interface DockerEvent {
  readonly Action: string;
  readonly Actor: { readonly ID: string; readonly Attributes: Labels };
}

const RESIZE_TRIES = 40;
const RESIZE_WAIT_MS = 50;

/** What may have changed for a Pod. Not `create`: it was we; and not what probes do (`exec_*`). */
const EVENTS = ["start", "die", "oom", "destroy", "pause", "unpause"];

/**
 * Pods on a Docker daemon. A Pod costs, over what its containers cost by hand, one inspect (for its address), and one
 * list with one inspect per container to see it running.
 */
export class DockerRuntime implements ContainerRuntime {
  readonly api: DockerApi;
  readonly #o: DockerRuntimeOptions;
  readonly #clock: Clock;
  readonly #sandboxImage: string;
  readonly #minOomScoreAdj = canLowerOomScore(ownStatus()) ? -1000 : 0;
  readonly #images: Images;
  readonly #pods: PodReader;
  readonly #cgroups = new Cgroups();
  readonly #logFiles: LogFiles;
  #makingSandboxImage: Promise<void> | undefined;
  #network: string;
  /** Of the sandboxes that were made with one: it need not be asked for. */
  readonly #addresses = new Map<string, string>();

  constructor(o: DockerRuntimeOptions) {
    this.#o = o;
    this.#clock = o.clock ?? systemClock;
    this.#sandboxImage = o.sandboxImage ?? PAUSE_IMAGE;
    this.api = new DockerApi(o);
    this.#logFiles = new LogFiles(this.api);
    this.#images = new Images(this.api, this.#clock);
    this.#network = o.network ?? "bridge";
    this.#pods = new PodReader(this.api, o, this.#images);
  }

  async info(signal: AbortSignal): Promise<RuntimeInfo> {
    const i = await this.api.request<DaemonInfo>({ path: "/info", signal });
    const architectures: Record<string, string> = { x86_64: "amd64", aarch64: "arm64" };
    return {
      version: `docker://${i["ServerVersion"]}`,
      cpus: i.NCPU,
      memoryBytes: i.MemTotal,
      kernelVersion: i["KernelVersion"] ?? "",
      osImage: i["OperatingSystem"] ?? "",
      operatingSystem: i["OSType"] ?? "",
      architecture: architectures[i["Architecture"] ?? ""] ?? i["Architecture"] ?? "",
      ...(i["DockerRootDir"] && { imageDir: i["DockerRootDir"] }),
      appArmor: i.SecurityOptions?.some((o) => o.startsWith("name=apparmor")) ?? false,
      recursiveReadOnly: Number.parseInt(i["ServerVersion"] ?? "", 10) >= RECURSIVE_READ_ONLY,
    };
  }

  listPods(signal: AbortSignal): Promise<readonly RuntimePod[]> {
    return this.#pods.all(signal);
  }

  getPod(uid: string, signal: AbortSignal): Promise<RuntimePod | undefined> {
    return this.#pods.one(uid, signal);
  }

  events(signal: AbortSignal): AsyncIterable<{ readonly podUid: string }> {
    // Docker keeps its last events: asking for those since now makes the subscription begin with this call.
    const query = {
      since: seconds(this.#clock.now()),
      filters: filters(ownerLabels(this.#o), { type: ["container"], event: EVENTS }),
    };
    return this.#events({ path: "/events", query, signal });
  }

  async *#events(call: Parameters<DockerApi["stream"]>[0]): AsyncGenerator<{ readonly podUid: string }> {
    try {
      const stream = await this.api.stream(call);
      for await (const event of documents<DockerEvent>(stream)) {
        if (event.Action === "die") this.#pods.died(event.Actor.ID);
        const podUid = event.Actor.Attributes[label.podUid];
        if (podUid !== undefined) yield { podUid };
      }
    } catch (e) {
      if (call.signal.aborted) return;
      throw e instanceof RuntimeError
        ? e
        : new RuntimeError("RuntimeUnavailable", "Docker's event stream broke", { cause: e });
    }
    if (!call.signal.aborted) throw new RuntimeError("RuntimeUnavailable", "Docker ended its event stream");
  }

  async ensureNetwork(n: PodNetwork, signal: AbortSignal): Promise<void> {
    await ensureNetwork(this.api, n, { clusterId: this.#o.clusterId, signal });
    this.#network = n.name;
  }

  async removeNetwork(name: string, signal: AbortSignal): Promise<void> {
    await removeNetwork(this.api, name, signal);
    if (this.#network === name) this.#network = this.#o.network ?? "bridge";
  }

  async createSandbox(c: SandboxConfig, signal: AbortSignal): Promise<{ id: string }> {
    const labels = sandboxLabels(this.#o, c);
    const name = containerName({ container: "POD", pod: c.name, ...c });
    const body = sandboxBody(c, {
      image: this.#sandboxImage,
      network: this.#network,
      labels,
      minOomScoreAdj: this.#minOomScoreAdj,
    });
    let created = await unless(404, this.#create({ name, labels, body, signal }));
    if (!created) {
      // The image is not there: true once on a machine, so the check is in the failure.
      await this.#makeSandboxImage(signal);
      created = await this.#create({ name, labels, body, signal });
    }
    if (c.ip !== undefined && !c.hostNetwork) this.#addresses.set(created.id, c.ip);
    return created;
  }

  async startSandbox(id: string, signal: AbortSignal): Promise<{ ip?: string }> {
    await this.#start(id, signal);
    allowHairpin(this.#network);
    const known = this.#addresses.get(id);
    if (known !== undefined) return { ip: known };
    const { NetworkSettings } = await this.api.request<Inspected>(inspectCall(id, signal));
    const ip = address(NetworkSettings);
    return ip === undefined ? {} : { ip };
  }

  removeSandbox(id: string, signal: AbortSignal): Promise<void> {
    this.#addresses.delete(id);
    // It has nothing to lose, so it is not asked.
    return this.removeContainer(id, signal);
  }

  removeMemoryVolumes(podUid: string | undefined, signal: AbortSignal): Promise<void> {
    return removeVolumes(this.api, { owner: this.#o, podUid, signal });
  }

  inspectImage(image: string, signal: AbortSignal): Promise<ImageInfo | undefined> {
    return this.#images.inspect(image, signal);
  }

  pullImage(image: string, signal: AbortSignal, o?: PullOptions): Promise<ImageInfo> {
    return this.#images.pull(image, signal, o);
  }

  listImages(signal: AbortSignal): Promise<readonly ImageInfo[]> {
    return this.#images.list(signal);
  }

  removeImage(name: string, signal: AbortSignal): Promise<boolean> {
    return this.#images.remove(name, signal);
  }

  loadImages(archive: Readable, signal: AbortSignal): AsyncIterable<string> {
    return this.#images.load(archive, signal);
  }

  saveImages(names: readonly string[], signal: AbortSignal): Promise<Readable> {
    return this.#images.save(names, signal);
  }

  buildImage(context: Readable, o: BuildOptions, signal: AbortSignal): AsyncIterable<string> {
    return this.#images.build(context, o, signal);
  }

  async createContainer(c: ContainerConfig, signal: AbortSignal): Promise<{ id: string }> {
    const labels = containerLabels(this.#o, c);
    const name = containerName({
      container: c.name,
      pod: c.podName,
      namespace: c.podNamespace,
      uid: c.podUid,
      attempt: c.attempt,
    });
    const creating = this.#create({
      name,
      labels,
      body: containerBody(c, { labels, minOomScoreAdj: this.#minOomScoreAdj }),
      signal,
    });
    return failingAs("CreateContainerError", creating);
  }

  async startContainer(id: string, signal: AbortSignal): Promise<void> {
    try {
      await this.#start(id, signal);
    } catch (e) {
      this.#pods.forget(id);
      throw e instanceof DockerError && e.status === 404 ? e : await failingAs("RunContainerError", Promise.reject(e));
    }
  }

  async stopContainer(id: string, graceSeconds: number, signal: AbortSignal): Promise<void> {
    const call = {
      method: "POST",
      path: `${container(id)}/stop`,
      query: { t: Math.ceil(graceSeconds) },
      signal,
    } as const;
    await this.#ending(id, unless(404, this.api.request({ ...call, alsoOk: [304] })), signal);
    this.#pods.died(id);
  }

  async removeContainer(id: string, signal: AbortSignal): Promise<void> {
    const call = { method: "DELETE", path: container(id), query: { force: true, v: true }, signal } as const;
    // 409: another removal is under way.
    await this.#ending(id, unless(404, this.api.request({ ...call, alsoOk: [409] })), signal);
    this.#pods.forget(id);
  }

  /**
   * Docker gives up on a container that does not end within seconds of a KILL. Thousands of processes end as slowly as
   * their limit lets them: so it is lifted, for whoever tries again.
   */
  async #ending<T>(id: string, call: Promise<T>, signal: AbortSignal): Promise<T> {
    try {
      return await call;
    } catch (error) {
      const lift = { method: "POST", path: `${container(id)}/update`, body: { CpuQuota: -1 }, signal } as const;
      if (error instanceof DockerError && error.status === 500) await this.api.request(lift).catch(() => {});
      throw error;
    }
  }

  async writableSize(id: string, signal: AbortSignal): Promise<number | undefined> {
    const call = { path: `${container(id)}/json`, query: { size: true }, signal };
    return (await unless(404, this.api.request<{ SizeRw?: number }>(call)))?.SizeRw;
  }

  async updateContainer(id: string, r: LiveResources, signal: AbortSignal): Promise<void> {
    await this.#refuseToStarve(id, r);
    const call = { method: "POST", path: `${container(id)}/update`, body: resourcesBody(r), signal } as const;
    await this.api.request(call);
    this.#pods.forget(id);
  }

  /** The kernel of cgroup v2 would kill for it, that of v1 says no more than "busy". */
  async #refuseToStarve(id: string, { memoryBytes }: LiveResources): Promise<void> {
    const used = memoryBytes === undefined ? undefined : (await this.#cgroups.usage(id))?.memoryWorkingSetBytes;
    if (memoryBytes === undefined || used === undefined || used <= memoryBytes) return;
    const message = `attempting to set container memory limit (${memoryBytes}) below current usage (${used})`;
    throw new RuntimeError("RuntimeError", message);
  }

  async *logs(id: string, o: LogOptions, signal: AbortSignal): AsyncGenerator<LogChunk> {
    if (signal.aborted) return;
    const query = {
      stdout: true,
      stderr: true,
      follow: o.follow ?? false,
      timestamps: o.timestamps ?? false,
      tail: o.tail,
      since: o.since === undefined ? undefined : seconds(o.since),
    };
    try {
      const { Config } = await this.api.request<Inspected>(inspectCall(id, signal));
      const stream = await this.api.stream({ path: `${container(id)}/logs`, query, signal });
      yield* chunks(stream, { tty: Config.Tty, signal });
    } catch (e) {
      if (!signal.aborted) throw e;
    }
  }

  logSize(id: string): Promise<number | undefined> {
    return this.#logFiles.size(id);
  }

  async exec(id: string, o: ExecOptions, signal: AbortSignal): Promise<ExecSession> {
    const { Id } = await this.api.request<{ Id: string }>({
      method: "POST",
      path: `${container(id)}/exec`,
      body: { Cmd: o.command, Tty: o.tty, AttachStdin: o.stdin, AttachStdout: true, AttachStderr: true },
      signal,
    });
    const path = `/exec/${Id}`;
    const socket = await this.api.hijack({
      method: "POST",
      path: `${path}/start`,
      body: { Detach: false, Tty: o.tty },
      signal,
    });
    return session({
      socket,
      tty: o.tty,
      signal,
      resize: (size) => this.#resize(path, size, signal),
      exitCode: (until) => this.#execExitCode(path, until),
    });
  }

  async attach(id: string, o: { stdin: boolean; tty: boolean }, signal: AbortSignal): Promise<ExecSession> {
    const path = container(id);
    const query = { stream: true, stdin: o.stdin, stdout: true, stderr: true };
    const socket = await this.api.hijack({ method: "POST", path: `${path}/attach`, query, signal });
    return session({
      socket,
      tty: o.tty,
      signal,
      resize: (size) => this.#resize(path, size, signal),
      exitCode: async (until) => {
        const wait = { method: "POST", path: `${path}/wait`, signal: until } as const;
        return (await this.api.request<{ StatusCode: number }>(wait)).StatusCode;
      },
    });
  }

  connectPort(sandboxId: string, port: number, signal: AbortSignal): Promise<Duplex> {
    const exec = (command: readonly string[]) => this.exec(sandboxId, { command, tty: false, stdin: true }, signal);
    return connectPort(sandboxId, port, { api: this.api, exec, clock: this.#clock, signal });
  }

  async stats(signal: AbortSignal): Promise<readonly ContainerStats[]> {
    const waiting = [...(await this.#pods.running(signal))];
    const stats: ContainerStats[] = [];
    const work = async () => {
      for (let c = waiting.pop(); c; c = waiting.pop()) {
        const usage = (await this.#cgroups.usage(c.id)) ?? (await this.#askUsage(c.id, signal));
        if (usage) stats.push({ ...c, at: this.#clock.now(), ...usage });
      }
    };
    await Promise.all(Array.from({ length: 8 }, work));
    return stats;
  }

  /** What the daemon says, whose groups this process may not see; about a hundred times the work of reading them. */
  async #askUsage(id: string, signal: AbortSignal): Promise<Usage | undefined> {
    const query = { stream: false, "one-shot": true };
    const call = { path: `${container(id)}/stats`, query, signal };
    const answer = await unless(404, this.api.request<DockerStats>(call));
    return answer && toUsage(answer);
  }

  async #create(o: { name: string; labels: Labels; body: object; signal: AbortSignal }): Promise<{ id: string }> {
    const { name, signal } = o;
    const call = { method: "POST", path: "/containers/create", query: { name }, body: o.body, signal } as const;
    const created = await unless(409, this.api.request<{ Id: string }>(call));
    if (created) {
      this.#pods.created(created.Id);
      return { id: created.Id };
    }
    const { Id, Config } = await this.api.request<Inspected>(inspectCall(name, signal));
    const same = [label.cluster, label.node, label.podUid, label.kind].every((l) => Config.Labels[l] === o.labels[l]);
    if (!same)
      throw new RuntimeError("CreateContainerError", `the name ${name} belongs to a container that is not ours`);
    return { id: Id };
  }

  async #start(id: string, signal: AbortSignal): Promise<void> {
    await this.api.request({ method: "POST", path: `${container(id)}/start`, signal, alsoOk: [304] });
  }

  #makeSandboxImage(signal: AbortSignal): Promise<void> {
    this.#makingSandboxImage ??= this.#images.makeSandboxImage(this.#sandboxImage, signal).finally(() => {
      this.#makingSandboxImage = undefined;
    });
    return this.#makingSandboxImage;
  }

  /**
   * Docker opens the stream a moment before the process is there to be resized (it answers 4xx or 500 until then), and
   * the first size is all that most clients send: so it is tried until it fits.
   */
  async #resize(
    path: string,
    { width, height }: { width: number; height: number },
    signal: AbortSignal,
  ): Promise<void> {
    const query = { w: width, h: height };
    for (let tries = 0; ; tries++) {
      try {
        return void (await this.api.request({ method: "POST", path: `${path}/resize`, query, signal }));
      } catch (error) {
        // Whether the process is still there to see it does not matter.
        if (tries >= RESIZE_TRIES || !(error instanceof DockerError)) return;
        await this.#clock.sleep(RESIZE_WAIT_MS, signal);
      }
    }
  }

  /** The output's end can be known before the exit code is. */
  async #execExitCode(path: string, signal: AbortSignal): Promise<number> {
    for (let wait = 5; ; wait = Math.min(wait * 2, 500)) {
      const { Running, ExitCode } = await this.api.request<{ Running: boolean; ExitCode: number | null }>({
        path: `${path}/json`,
        signal,
      });
      if (!Running && ExitCode !== null) return ExitCode;
      await this.#clock.sleep(wait, signal);
    }
  }
}

const container = (id: string) => `/containers/${encodeURIComponent(id)}`;

/** Docker's own form of a time: seconds with a fraction. */
const seconds = (ms: number) => (ms / 1000).toFixed(3);
