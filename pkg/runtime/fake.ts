import { addAbortSignal, type Duplex, PassThrough, Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { type Clock, type Random, seededRandom } from "../util/clock.ts";
import { catSession, type ExecResult, finishedSession, runCommand } from "./fake-exec.ts";
import type { BuildOptions, ImageInfo, PullOptions } from "./images.ts";
import { Change, FakeContainer, type Load, milliseconds } from "./fake-process.ts";
import type { LiveResources } from "./resources.ts";
import {
  type ContainerConfig,
  type ContainerRuntime,
  type ContainerState,
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
} from "./runtime.ts";

export type Verb = keyof ContainerRuntime;

export interface FakeRuntimeOptions {
  readonly clock: Clock;
  readonly random?: Random;
  readonly info?: Partial<RuntimeInfo>;
  /** Images on the node from the start. */
  readonly images?: readonly string[];
  /** First three bytes of the Pods' addresses. */
  readonly subnet?: string;
  /** What exec does; undefined: as {@link runCommand}. */
  readonly exec?: (container: ContainerConfig, command: readonly string[]) => ExecResult | undefined;
  /** What listens on a Pod's port; undefined: an echo, except on port 1, where nobody ever listens. */
  readonly port?: (pod: SandboxConfig, port: number) => Duplex | undefined;
  /** What another FakeRuntime runs: a restarted agent finds its Pods again. */
  readonly world?: FakeWorld;
}

interface FakeSandbox {
  readonly id: string;
  readonly config: SandboxConfig;
  readonly createdAt: number;
  state: ContainerState;
  ip?: string;
}

/** Everything that would survive the agent. */
export class FakeWorld {
  readonly sandboxes = new Map<string, FakeSandbox>();
  readonly containers = new Map<string, FakeContainer>();
  readonly images = new Set<string>();
  readonly subscribers = new Set<(podUid: string) => void>();
  network: PodNetwork | undefined;
  addresses = 0;

  changed(podUid: string): void {
    for (const tell of this.subscribers) tell(podUid);
  }
}

/**
 * A runtime in memory: deterministic, on the given clock, scripted by the Pods themselves.
 *
 * Containers follow their command line (see `Script` in fake-process.ts). Images: `missing:*` cannot be pulled,
 * `slow:5s` takes that long, `…/secret-word` wants that password, `user:NAME` runs as that user, all others are there once
 * pulled. On demand a verb fails or is slow, events get lost, and
 * containers die or vanish without the runtime's doing.
 */
export class FakeRuntime implements ContainerRuntime {
  readonly world: FakeWorld;
  /** Number of calls by verb. */
  readonly calls = new Map<Verb, number>();
  /** Told of every call before it does anything. */
  onCall: (verb: Verb) => void = () => {};
  /** What a container does at the moment, where its own script does not say; a test may change it at any time. */
  load: (c: ContainerConfig) => Partial<Load> = () => ({});
  readonly #o: FakeRuntimeOptions;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #failures = new Map<Verb, Error[]>();
  readonly #delays = new Map<Verb, number>();
  #losesEvents = false;

  constructor(o: FakeRuntimeOptions) {
    this.#o = o;
    this.#clock = o.clock;
    this.#random = o.random ?? seededRandom(1);
    this.world = o.world ?? new FakeWorld();
    for (const image of o.images ?? []) this.world.images.add(image);
  }

  // On demand.

  /** The next `times` calls of the verb reject with this error. */
  failNext(verb: Verb, error: Error, times = 1): void {
    this.#failures.set(verb, [...(this.#failures.get(verb) ?? []), ...Array.from({ length: times }, () => error)]);
  }

  /** What {@link failNext} has left over. */
  forgetFailures(verb: Verb): void {
    this.#failures.delete(verb);
  }

  /** Every call of the verb takes this long, until set to 0. */
  delay(verb: Verb, ms: number): void {
    this.#delays.set(verb, ms);
  }

  loseEvents(lose = true): void {
    this.#losesEvents = lose;
  }

  /** As if the process had ended by itself. */
  kill(podUid: string, container: string, exitCode = 137): void {
    this.running(podUid, container).exit(exitCode);
  }

  killSandbox(podUid: string): void {
    for (const s of this.world.sandboxes.values()) if (s.config.uid === podUid) s.state = "exited";
    this.world.changed(podUid);
  }

  /** As if by `docker rm -f`: one container, or the whole Pod. */
  removeBehindBack(podUid: string, container?: string): void {
    for (const c of this.world.containers.values()) {
      if (c.config.podUid === podUid && (container === undefined || c.config.name === container)) this.#drop(c);
    }
    if (container !== undefined) return;
    for (const s of this.world.sandboxes.values()) if (s.config.uid === podUid) this.world.sandboxes.delete(s.id);
    this.world.changed(podUid);
  }

  /** The running container of that name; throws when there is none. Its `config` and `print` are for tests. */
  running(podUid: string, container: string): FakeContainer {
    for (const c of this.world.containers.values()) {
      if (c.config.podUid === podUid && c.config.name === container && c.state === "running") return c;
    }
    throw new Error(`no running container ${container} in Pod ${podUid}`);
  }

  // ContainerRuntime.

  async info(signal: AbortSignal): Promise<RuntimeInfo> {
    await this.#enter("info", signal);
    return {
      version: "fake://1.0.0",
      cpus: 4,
      memoryBytes: 8 * 2 ** 30,
      kernelVersion: "6.1.0",
      osImage: "Fake Linux",
      operatingSystem: "linux",
      architecture: "amd64",
      ...this.#o.info,
    };
  }

  async listPods(signal: AbortSignal): Promise<readonly RuntimePod[]> {
    await this.#enter("listPods", signal);
    const uids = new Set([...this.world.sandboxes.values()].map((s) => s.config.uid));
    for (const c of this.world.containers.values()) uids.add(c.config.podUid);
    return [...uids].map((uid) => this.#pod(uid)).filter((p) => p !== undefined);
  }

  async getPod(uid: string, signal: AbortSignal): Promise<RuntimePod | undefined> {
    await this.#enter("getPod", signal);
    return this.#pod(uid);
  }

  events(signal: AbortSignal): AsyncIterable<{ readonly podUid: string }> {
    const change = new Change();
    const dirty = new Set<string>();
    const tell = (podUid: string) => {
      if (this.#losesEvents) return;
      dirty.add(podUid);
      change.notify();
    };
    const { subscribers } = this.world;
    subscribers.add(tell);
    signal.addEventListener("abort", () => subscribers.delete(tell), { once: true });
    const entered = this.#enter("events", signal);
    entered.catch(() => subscribers.delete(tell));
    return (async function* () {
      await entered.catch((e: unknown) => {
        if (!signal.aborted) throw e;
      });
      try {
        while (!signal.aborted) {
          for (const podUid of dirty) {
            dirty.delete(podUid);
            yield { podUid };
          }
          if (dirty.size === 0) await change.wait(signal);
        }
      } finally {
        subscribers.delete(tell);
      }
    })();
  }

  async ensureNetwork(n: PodNetwork, signal: AbortSignal): Promise<void> {
    await this.#enter("ensureNetwork", signal);
    const moved = this.world.network?.name === n.name && this.world.network.subnet !== n.subnet;
    this.world.network = n;
    if (moved) this.#emptyNetwork();
  }

  async removeNetwork(name: string, signal: AbortSignal): Promise<void> {
    await this.#enter("removeNetwork", signal);
    if (this.world.network?.name !== name) return;
    this.world.network = undefined;
    this.#emptyNetwork();
  }

  #emptyNetwork(): void {
    for (const s of this.world.sandboxes.values()) {
      if (s.config.hostNetwork) continue;
      this.world.sandboxes.delete(s.id);
      this.world.changed(s.config.uid);
    }
  }

  async createSandbox(c: SandboxConfig, signal: AbortSignal): Promise<{ id: string }> {
    await this.#enter("createSandbox", signal);
    for (const s of this.world.sandboxes.values()) {
      if (s.config.uid === c.uid && s.config.attempt === c.attempt) return { id: s.id };
    }
    const id = this.#newId();
    this.world.sandboxes.set(id, { id, config: c, createdAt: this.#clock.now(), state: "created" });
    return { id };
  }

  async startSandbox(id: string, signal: AbortSignal): Promise<{ ip?: string }> {
    await this.#enter("startSandbox", signal);
    const s = this.world.sandboxes.get(id);
    if (!s) throw new RuntimeError("NotFound", `No such sandbox: ${id}`);
    if (s.state === "created") {
      s.state = "running";
      if (!s.config.hostNetwork)
        s.ip = s.config.ip ?? `${this.#o.subnet ?? "10.88.0"}.${(this.world.addresses++ % 253) + 2}`;
      this.world.changed(s.config.uid);
    }
    return s.ip === undefined ? {} : { ip: s.ip };
  }

  async removeSandbox(id: string, signal: AbortSignal): Promise<void> {
    await this.#enter("removeSandbox", signal);
    const s = this.world.sandboxes.get(id);
    if (this.world.sandboxes.delete(id) && s) this.world.changed(s.config.uid);
  }

  async removeMemoryVolumes(_podUid: string | undefined, signal: AbortSignal): Promise<void> {
    await this.#enter("removeMemoryVolumes", signal);
  }

  async inspectImage(image: string, signal: AbortSignal): Promise<ImageInfo | undefined> {
    await this.#enter("inspectImage", signal);
    checkName(image);
    return this.world.images.has(image) ? imageInfo(image) : undefined;
  }

  async pullImage(image: string, signal: AbortSignal, o: PullOptions = {}): Promise<ImageInfo> {
    await this.#enter("pullImage", signal);
    checkName(image);
    const [repository = "", tag] = image.split(":");
    if (repository === "missing") throw new RuntimeError("ErrImagePull", `manifest for ${image} not found`);
    const password = /(?:^|\/)secret-([a-z]+)$/.exec(repository)?.[1];
    if (password !== undefined && o.auth?.password !== password)
      throw new RuntimeError("ErrImagePull", `pull access denied for ${image}`);
    if (repository === "slow" && tag) await this.#pullSlowly(milliseconds(tag), signal, o);
    this.world.images.add(image);
    return imageInfo(image);
  }

  async listImages(signal: AbortSignal): Promise<readonly ImageInfo[]> {
    await this.#enter("listImages", signal);
    return [...this.world.images].map(imageInfo);
  }

  async removeImage(name: string, signal: AbortSignal): Promise<boolean> {
    await this.#enter("removeImage", signal);
    if ([...this.world.containers.values()].some((c) => c.config.image === name)) return false;
    this.world.images.delete(name);
    return true;
  }

  /** An archive is a text here: the names of its images, one a line. */
  async *loadImages(archive: Readable, signal: AbortSignal): AsyncGenerator<string> {
    await this.#enter("loadImages", signal);
    for (const name of (await text(archive)).split("\n").filter(Boolean)) {
      checkName(name);
      this.world.images.add(name);
      yield `Loaded image: ${name}\n`;
    }
  }

  async saveImages(names: readonly string[], signal: AbortSignal): Promise<Readable> {
    await this.#enter("saveImages", signal);
    const missing = names.find((name) => !this.world.images.has(name));
    if (missing !== undefined) throw new RuntimeError("NotFound", `no image ${missing} on this node`);
    return Readable.from(names.map((name) => `${name}\n`));
  }

  async *buildImage(context: Readable, o: BuildOptions, signal: AbortSignal): AsyncGenerator<string> {
    await this.#enter("buildImage", signal);
    yield `Sending build context: ${(await text(context)).length} bytes\n`;
    for (const tag of o.tags) this.world.images.add(tag);
  }

  async createContainer(c: ContainerConfig, signal: AbortSignal): Promise<{ id: string }> {
    await this.#enter("createContainer", signal);
    for (const { id, config } of this.world.containers.values()) {
      if (config.podUid === c.podUid && config.name === c.name && config.attempt === c.attempt) return { id };
    }
    if (!this.world.images.has(c.image)) throw new RuntimeError("CreateContainerError", `No such image: ${c.image}`);
    if (!this.world.sandboxes.has(c.sandboxId))
      throw new RuntimeError("CreateContainerError", `No such container: ${c.sandboxId}`);
    const id = this.#newId();
    const onChange = () => this.world.changed(c.podUid);
    this.world.containers.set(id, new FakeContainer({ id, config: c, clock: this.#clock, onChange }));
    return { id };
  }

  async startContainer(id: string, signal: AbortSignal): Promise<void> {
    await this.#enter("startContainer", signal);
    const c = this.#container(id);
    if (this.world.sandboxes.get(c.config.sandboxId)?.state !== "running") {
      throw new RuntimeError("RunContainerError", "cannot join network of a non running container");
    }
    const error = c.start();
    if (error !== undefined) throw new RuntimeError("RunContainerError", error);
  }

  async stopContainer(id: string, graceSeconds: number, signal: AbortSignal): Promise<void> {
    await this.#enter("stopContainer", signal);
    await this.world.containers.get(id)?.stop(graceSeconds, signal);
  }

  async removeContainer(id: string, signal: AbortSignal): Promise<void> {
    await this.#enter("removeContainer", signal);
    const c = this.world.containers.get(id);
    if (c) this.#drop(c);
  }

  async writableSize(id: string, signal: AbortSignal): Promise<number | undefined> {
    await this.#enter("writableSize", signal);
    const c = this.world.containers.get(id);
    return c?.written(this.load(c.config));
  }

  async updateContainer(id: string, r: LiveResources, signal: AbortSignal): Promise<void> {
    await this.#enter("updateContainer", signal);
    this.#container(id).update(r);
  }

  async *logs(id: string, o: LogOptions, signal: AbortSignal): AsyncGenerator<LogChunk> {
    if (signal.aborted) return;
    await this.#enter("logs", signal);
    yield* this.#container(id).logs(o, signal);
  }

  async logSize(id: string): Promise<number | undefined> {
    let size = 0;
    for await (const { data } of this.#container(id).logs({}, new AbortController().signal)) size += data.byteLength;
    return size;
  }

  async exec(id: string, o: ExecOptions, signal: AbortSignal): Promise<ExecSession> {
    await this.#enter("exec", signal);
    const c = this.#container(id);
    if (c.state !== "running") throw new RuntimeError("RuntimeError", `Container ${id} is not running`);
    const scripted = this.#o.exec?.(c.config, o.command);
    if (!scripted && o.command[0] === "cat" && o.stdin) return catSession();
    return finishedSession(scripted ?? runCommand(o.command));
  }

  async attach(id: string, _o: { stdin: boolean; tty: boolean }, signal: AbortSignal): Promise<ExecSession> {
    await this.#enter("attach", signal);
    const c = this.#container(id);
    const stop = new AbortController();
    return {
      write: (data) => Promise.resolve(c.print(new TextDecoder().decode(data).trimEnd())),
      end: () => {},
      resize: () => Promise.resolve(),
      close: () => stop.abort(),
      output: c.logs({ follow: true, tail: 0 }, AbortSignal.any([signal, stop.signal])),
      exitCode: c.ended().then(() => c.status("").exitCode ?? 0),
    };
  }

  async connectPort(sandboxId: string, port: number, signal: AbortSignal): Promise<Duplex> {
    await this.#enter("connectPort", signal);
    const sandbox = this.world.sandboxes.get(sandboxId);
    if (sandbox?.state !== "running") throw new RuntimeError("NotFound", `No such sandbox: ${sandboxId}`);
    if (port === 1) throw new RuntimeError("RuntimeError", "dial tcp4 127.0.0.1:1: connect: connection refused");
    return addAbortSignal(signal, this.#o.port?.(sandbox.config, port) ?? new PassThrough());
  }

  async stats(signal: AbortSignal): Promise<readonly ContainerStats[]> {
    await this.#enter("stats", signal);
    return [...this.world.containers.values()]
      .filter((c) => c.state === "running")
      .map((c) => ({
        id: c.id,
        podUid: c.config.podUid,
        podName: c.config.podName,
        podNamespace: c.config.podNamespace,
        name: c.config.name,
        at: this.#clock.now(),
        ...c.usage(this.load(c.config)),
      }));
  }

  async #enter(verb: Verb, signal: AbortSignal): Promise<void> {
    this.calls.set(verb, (this.calls.get(verb) ?? 0) + 1);
    this.onCall(verb);
    const failure = this.#failures.get(verb)?.shift();
    signal.throwIfAborted();
    const delay = this.#delays.get(verb) ?? 0;
    if (delay > 0) await this.#clock.sleep(delay, signal);
    if (failure) throw failure;
  }

  /** A hundred bytes, in ten parts. */
  async #pullSlowly(ms: number, signal: AbortSignal, { onProgress }: PullOptions): Promise<void> {
    for (let part = 1; part <= 10; part++) {
      await this.#clock.sleep(ms / 10, signal);
      onProgress?.({ layers: 1, layersDone: part === 10 ? 1 : 0, bytes: part * 10, bytesTotal: 100 });
    }
  }

  #container(id: string): FakeContainer {
    const c = this.world.containers.get(id);
    if (!c) throw new RuntimeError("NotFound", `No such container: ${id}`);
    return c;
  }

  #drop(c: FakeContainer): void {
    this.world.containers.delete(c.id);
    c.dispose();
    this.world.changed(c.config.podUid);
  }

  #pod(uid: string): RuntimePod | undefined {
    const sandboxes = [...this.world.sandboxes.values()].filter((s) => s.config.uid === uid);
    const containers = [...this.world.containers.values()].filter((c) => c.config.podUid === uid);
    const newest = sandboxes.toSorted((a, b) => b.config.attempt - a.config.attempt)[0];
    const of = newest?.config ?? containers[0]?.config;
    if (!of) return undefined;
    const { name, namespace } = "podUid" in of ? { name: of.podName, namespace: of.podNamespace } : of;
    return {
      uid,
      name,
      namespace,
      ...(newest ? { sandbox: sandboxStatus(newest) } : {}),
      containers: containers
        .map((c) => c.status(imageInfo(c.config.image).id))
        .toSorted((a, b) => b.attempt - a.attempt),
    };
  }

  #newId(): string {
    return Array.from({ length: 8 }, () =>
      Math.floor(this.#random() * 2 ** 32)
        .toString(16)
        .padStart(8, "0"),
    ).join("");
  }
}

function sandboxStatus(s: FakeSandbox) {
  return {
    id: s.id,
    state: s.state,
    createdAt: s.createdAt,
    attempt: s.config.attempt,
    ...ipOf(s.ip ?? s.config.ip),
  };
}

const ipOf = (ip: string | undefined) => (ip === undefined ? {} : { ip });

function checkName(image: string): void {
  if (!/^[a-z0-9][a-z0-9._/:@-]*$/.test(image)) {
    throw new RuntimeError("InvalidImageName", `invalid reference format: ${JSON.stringify(image)}`, {
      retryable: false,
    });
  }
}

function imageInfo(image: string): ImageInfo {
  const [repository, user] = image.split(":");
  const info = { id: `sha256:fake-${image}`, names: [image], sizeBytes: 1_000_000 };
  return { ...info, ...(repository === "user" && user && { user }) };
}
