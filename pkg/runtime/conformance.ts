import { randomUUID } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import type { Duplex } from "node:stream";
import { buffer } from "node:stream/consumers";
import {
  type ContainerConfig,
  type ContainerRuntime,
  type ExecSession,
  type LogChunk,
  type LogOptions,
  RuntimeError,
  type RuntimePod,
  type SandboxConfig,
} from "./runtime.ts";

/** What a test container is to do; each adapter says it in its own command line. */
export interface Behaviour {
  readonly logs?: readonly string[];
  /** Ends after its logs with this code; absent: runs until stopped. */
  readonly exit?: number;
  readonly ignoreTerm?: boolean;
  /** Takes more memory than it may. */
  readonly oom?: boolean;
  readonly notFound?: boolean;
  /** On port 8080: an echo on all addresses, or HTTP on localhost only. */
  readonly listens?: "echo" | "localhost";
}

/** An adapter under test, with what the suite needs from the world around it. */
export interface Subject {
  readonly runtime: ContainerRuntime;
  /** Another runtime object over the same containers, as after a restart of the agent. */
  again(): ContainerRuntime;
  /** Two bytes of addresses that are free for a network of its own. */
  readonly network: string;
  readonly image: string;
  readonly missingImage: string;
  command(b: Behaviour): readonly string[];
  /** Lets time pass until the promise has settled. */
  settle<T>(p: Promise<T>): Promise<T>;
  /** Ends the container's process, or removes the container, as somebody else would. */
  kill(id: string): Promise<void>;
  removeBehindBack(id: string): Promise<void>;
  /** Removes what the test has made, also after a failure. */
  dispose(): Promise<void>;
}

/** The suite every adapter passes: R1 to R5 (runtime.ts) and each verb. */
export function describeRuntime(name: string, make: () => Promise<Subject>): void {
  describe(`ContainerRuntime ${name}`, () => {
    let subject: Subject;
    let rt: ContainerRuntime;
    let stop: AbortController;
    let pods = 0;

    beforeEach(async () => {
      subject = await make();
      rt = subject.runtime;
      stop = new AbortController();
    });
    afterEach(async () => {
      stop.abort();
      await subject.dispose();
    });

    const sandboxConfig = (o: Partial<SandboxConfig> = {}): SandboxConfig => ({
      uid: `uid-${++pods}`,
      name: `pod-${pods}`,
      namespace: "default",
      attempt: 0,
      hostname: `pod-${pods}`,
      hostNetwork: false,
      ports: [],
      shareProcessNamespace: false,
      ...o,
    });

    const containerConfig = (
      s: SandboxConfig & { id: string },
      b: Behaviour,
      o: Partial<ContainerConfig> = {},
    ): ContainerConfig => ({
      podUid: s.uid,
      podName: s.name,
      podNamespace: s.namespace,
      sandboxId: s.id,
      name: "main",
      attempt: 0,
      image: subject.image,
      command: subject.command(b),
      env: [],
      mounts: [],
      resources: {},
      security: {},
      tty: false,
      stdin: false,
      specHash: "hash",
      ...o,
    });

    const ensureImage = async () =>
      (await rt.inspectImage(subject.image, stop.signal)) ?? (await rt.pullImage(subject.image, stop.signal));

    /** A started sandbox. */
    async function sandbox(o: Partial<SandboxConfig> = {}): Promise<SandboxConfig & { id: string; ip?: string }> {
      const config = sandboxConfig(o);
      const { id } = await rt.createSandbox(config, stop.signal);
      return { ...config, id, ...(await rt.startSandbox(id, stop.signal)) };
    }

    /** A Pod with one started container. */
    async function run(
      b: Behaviour,
      o: Partial<ContainerConfig> = {},
    ): Promise<{ uid: string; id: string; sandboxId: string }> {
      const s = await sandbox();
      await ensureImage();
      const { id } = await rt.createContainer(containerConfig(s, b, o), stop.signal);
      await rt.startContainer(id, stop.signal);
      return { uid: s.uid, id, sandboxId: s.id };
    }

    /** Waits for a state of a Pod the way an agent does: subscribe, look, and look again at each hint. */
    async function until(uid: string, holds: (p: RuntimePod | undefined) => boolean): Promise<RuntimePod | undefined> {
      const done = new AbortController();
      const hints = rt.events(AbortSignal.any([done.signal, stop.signal]))[Symbol.asyncIterator]();
      const wait = async () => {
        for (;;) {
          const next = hints.next();
          const pod = await rt.getPod(uid, stop.signal);
          if (holds(pod)) return pod;
          if ((await next).done) throw new Error("events ended too early");
        }
      };
      return subject.settle(wait()).finally(() => done.abort());
    }

    const exited = (p: RuntimePod | undefined) => p?.containers[0]?.state === "exited";

    const logsOf = async (id: string, o: LogOptions = {}) => text(rt.logs(id, o, stop.signal));

    test("R2: volumes in memory are removed as often as one likes, and those in use stay", async () => {
      const memoryVolumes = [{ name: `mk_test_${randomUUID()}`, type: "tmpfs", options: "size=1048576" }] as const;
      const { uid } = await sandbox({ memoryVolumes });
      await rt.removeMemoryVolumes(uid, stop.signal);
      expect((await rt.getPod(uid, stop.signal))?.sandbox?.state).toBe("running");
      await rt.removeSandbox((await rt.getPod(uid, stop.signal))?.sandbox?.id ?? "", stop.signal);
      await rt.removeMemoryVolumes(uid, stop.signal);
      await rt.removeMemoryVolumes(uid, stop.signal);
      await rt.removeMemoryVolumes(undefined, stop.signal);
      expect(await rt.getPod(uid, stop.signal)).toBeUndefined();
    });

    test("R1: what one runtime object started, another one sees", async () => {
      const { uid, id, sandboxId } = await run({});
      const [mine, theirs] = [await rt.getPod(uid, stop.signal), await subject.again().getPod(uid, stop.signal)];
      expect(theirs).toEqual(mine);
      expect(await subject.again().listPods(stop.signal)).toEqual([mine]);
      expect(mine).toMatchObject({
        uid,
        namespace: "default",
        sandbox: { id: sandboxId, state: "running", attempt: 0 },
      });
      expect(mine?.sandbox?.ip).toMatch(/^\d+(\.\d+){3}$/);
      expect(mine?.containers).toEqual([
        expect.objectContaining({
          id,
          name: "main",
          attempt: 0,
          state: "running",
          image: subject.image,
          specHash: "hash",
        }),
      ]);
      expect(mine?.containers[0]?.startedAt).toBeGreaterThan(0);
    });

    test("a Pod of which nothing exists is undefined", async () => {
      expect(await rt.getPod("no-such-uid", stop.signal)).toBeUndefined();
      expect(await rt.listPods(stop.signal)).toEqual([]);
    });

    test("R2: creating and starting what exists returns it", async () => {
      const s = await sandbox();
      expect(await rt.createSandbox(s, stop.signal)).toEqual({ id: s.id });
      expect(await rt.startSandbox(s.id, stop.signal)).toEqual({ ip: s.ip });
      await ensureImage();
      const first = await rt.createContainer(containerConfig(s, {}), stop.signal);
      expect(await subject.again().createContainer(containerConfig(s, {}), stop.signal)).toEqual(first);
      await rt.startContainer(first.id, stop.signal);
      await rt.startContainer(first.id, stop.signal);
      expect((await rt.getPod(s.uid, stop.signal))?.containers).toHaveLength(1);
    });

    test("R2: stopping and removing what is gone succeeds", async () => {
      const { uid, id, sandboxId } = await run({});
      await rt.removeContainer(id, stop.signal);
      await rt.removeContainer(id, stop.signal);
      await rt.stopContainer(id, 1, stop.signal);
      await rt.removeSandbox(sandboxId, stop.signal);
      await rt.removeSandbox(sandboxId, stop.signal);
      expect(await rt.getPod(uid, stop.signal)).toBeUndefined();
    });

    test("a network: sandboxes have the addresses they were given in it, another subnet takes its place with all in it", async () => {
      const name = `mk-${subject.network.split(".").join("")}`.slice(0, 15);
      const at = (third: number) => ({
        name,
        subnet: `${subject.network}.${third}.0/24`,
        gateway: `${subject.network}.${third}.1`,
        mtu: 1400,
        masquerade: false,
      });
      try {
        await rt.ensureNetwork(at(1), stop.signal);
        await rt.ensureNetwork(at(1), stop.signal);
        const ip = `${subject.network}.1.9`;
        const given = await sandbox({ ip });
        expect(given.ip).toBe(ip);
        expect((await subject.again().getPod(given.uid, stop.signal))?.sandbox?.ip).toBe(ip);
        await rt.ensureNetwork(at(2), stop.signal);
        expect(await rt.listPods(stop.signal)).toEqual([]);
        const next = await sandbox();
        expect(next.ip).toMatch(/^\d+(\.\d+){3}$/);
        await rt.removeNetwork(name, stop.signal);
        await rt.removeNetwork(name, stop.signal);
        expect(await rt.listPods(stop.signal)).toEqual([]);
      } finally {
        await rt.removeNetwork(name, new AbortController().signal);
      }
    });

    test("containers may be created before their sandbox is started", async () => {
      const config = sandboxConfig();
      const { id: sandboxId } = await rt.createSandbox(config, stop.signal);
      await ensureImage();
      const { id } = await rt.createContainer(containerConfig({ ...config, id: sandboxId }, {}), stop.signal);
      expect((await rt.getPod(config.uid, stop.signal))?.containers[0]?.state).toBe("created");
      await rt.startSandbox(sandboxId, stop.signal);
      await rt.startContainer(id, stop.signal);
      expect((await rt.getPod(config.uid, stop.signal))?.containers[0]?.state).toBe("running");
    });

    test("attempts are kept side by side, newest first", async () => {
      const s = await sandbox();
      await ensureImage();
      const { id } = await rt.createContainer(containerConfig(s, { exit: 1 }), stop.signal);
      await rt.startContainer(id, stop.signal);
      await until(s.uid, exited);
      await rt.createContainer(containerConfig(s, {}, { attempt: 1 }), stop.signal);
      const pod = await rt.getPod(s.uid, stop.signal);
      expect(pod?.containers.map((c) => [c.attempt, c.state])).toEqual([
        [1, "created"],
        [0, "exited"],
      ]);
    });

    test("R3, R5: an exit is hinted at, and its code and times are kept", async () => {
      const { uid } = await run({ exit: 3 });
      const container = (await until(uid, exited))?.containers[0];
      expect(container).toMatchObject({ exitCode: 3, oomKilled: false });
      expect(container?.finishedAt).toBeGreaterThanOrEqual(container?.startedAt ?? Infinity);
      expect((await subject.again().getPod(uid, stop.signal))?.containers[0]).toEqual(container);
    });

    test("R3: what others kill or remove is hinted at", async () => {
      const { uid, id } = await run({});
      await subject.kill(id);
      expect((await until(uid, exited))?.containers[0]?.exitCode).toBe(137);
      await subject.removeBehindBack(id);
      await until(uid, (p) => p?.containers.length === 0);
    });

    test("R3: events tell of everything since they were asked for, and end on abort", async () => {
      const done = new AbortController();
      const hints = rt.events(done.signal);
      const { uid } = await run({});
      const seen = async () => {
        for await (const { podUid } of hints) if (podUid === uid) return podUid;
        return "ended";
      };
      expect(await subject.settle(seen())).toBe(uid);
      const rest = (async () => {
        for await (const _ of rt.events(done.signal));
        return "ended";
      })();
      done.abort();
      expect(await subject.settle(rest)).toBe("ended");
    });

    test("R4: an aborted verb rejects with its signal's reason", async () => {
      const reason = new Error("enough");
      const aborted = AbortSignal.abort(reason);
      await expect(rt.listPods(aborted)).rejects.toBe(reason);
      await expect(rt.getPod("uid", aborted)).rejects.toBe(reason);
      await expect(rt.createSandbox(sandboxConfig(), aborted)).rejects.toBe(reason);
      await expect(rt.pullImage(subject.image, aborted)).rejects.toBe(reason);
      expect(await text(rt.logs("any", {}, aborted))).toBe("");
    });

    test("R4: stopping waits no longer than its signal", async () => {
      const { id } = await run({ ignoreTerm: true, logs: ["ready"] });
      await firstChunk(rt.logs(id, { follow: true }, stop.signal));
      const reason = new Error("enough");
      const impatient = new AbortController();
      const stopping = rt.stopContainer(id, 600, impatient.signal);
      impatient.abort(reason);
      await expect(stopping).rejects.toBe(reason);
      await subject.settle(rt.stopContainer(id, 0, stop.signal));
    });

    test("stop: a container that heeds TERM ends with it", async () => {
      const { uid, id } = await run({ logs: ["ready"] });
      await firstChunk(rt.logs(id, { follow: true }, stop.signal));
      await subject.settle(rt.stopContainer(id, 600, stop.signal));
      expect((await rt.getPod(uid, stop.signal))?.containers[0]).toMatchObject({ state: "exited", exitCode: 143 });
    });

    test("stop: one that does not is killed after its grace", async () => {
      const { uid, id } = await run({ ignoreTerm: true, logs: ["ready"] });
      await firstChunk(rt.logs(id, { follow: true }, stop.signal));
      await subject.settle(rt.stopContainer(id, 1, stop.signal));
      expect((await rt.getPod(uid, stop.signal))?.containers[0]).toMatchObject({ state: "exited", exitCode: 137 });
    });

    test("R5: the OOM killer's work is told", async () => {
      const { uid } = await run({ oom: true }, { resources: { memoryBytes: 16 * 2 ** 20 } });
      expect((await until(uid, exited))?.containers[0]).toMatchObject({ exitCode: 137, oomKilled: true });
    });

    test("a command that does not exist: RunContainerError, and the container says why", async () => {
      const s = await sandbox();
      await ensureImage();
      const { id } = await rt.createContainer(containerConfig(s, { notFound: true }), stop.signal);
      await expect(rt.startContainer(id, stop.signal)).rejects.toMatchObject({
        reason: "RunContainerError",
        message: expect.stringContaining("executable file not found"),
      });
      const container = (await subject.again().getPod(s.uid, stop.signal))?.containers[0];
      expect(container).toMatchObject({ state: "exited", error: expect.stringContaining("executable file not found") });
      expect(container?.exitCode).not.toBe(0);
      expect((await rt.getPod(s.uid, stop.signal))?.containers[0]).toEqual(container);
    });

    test("images: present, missing, misnamed", async () => {
      const pulled = await ensureImage();
      expect(pulled.names).toContain(subject.image);
      expect(await rt.inspectImage(subject.image, stop.signal)).toEqual(pulled);
      expect((await rt.listImages(stop.signal)).map((i) => i.id)).toContain(pulled.id);
      expect(await rt.inspectImage(subject.missingImage, stop.signal)).toBeUndefined();
      await expect(rt.pullImage(subject.missingImage, stop.signal)).rejects.toMatchObject({
        reason: "ErrImagePull",
        retryable: true,
      });
      await expect(rt.pullImage("No Such::Name", stop.signal)).rejects.toMatchObject({
        reason: "InvalidImageName",
        retryable: false,
      });
      await expect(rt.inspectImage("No Such::Name", stop.signal)).rejects.toMatchObject({ reason: "InvalidImageName" });
      const s = await sandbox();
      const config = containerConfig(s, {}, { image: subject.missingImage });
      await expect(rt.createContainer(config, stop.signal)).rejects.toMatchObject({ reason: "CreateContainerError" });
    });

    test("images: saved, loaded, removed", async () => {
      await ensureImage();
      const archive = await rt.saveImages([subject.image], stop.signal);
      const said: string[] = [];
      for await (const line of rt.loadImages(archive, stop.signal)) said.push(line);
      expect(said.join("")).toContain(subject.image);
      expect(await rt.inspectImage(subject.image, stop.signal)).toBeDefined();
      await expect(rt.saveImages([subject.missingImage], stop.signal)).rejects.toMatchObject({ reason: "NotFound" });
      expect(await rt.removeImage(subject.missingImage, stop.signal)).toBe(true);
    });

    test("logSize: nothing for a container that printed nothing", async () => {
      const quiet = await run({});
      const chatty = await run({ logs: ["one"], exit: 0 });
      await until(chatty.uid, exited);
      expect(await rt.logSize(quiet.id)).toBe(0);
      expect(await rt.logSize(chatty.id)).toBeGreaterThan(0);
    });

    test("what is not there: NotFound", async () => {
      await expect(rt.startContainer("no-such-id", stop.signal)).rejects.toMatchObject({ reason: "NotFound" });
      await expect(rt.startSandbox("no-such-id", stop.signal)).rejects.toBeInstanceOf(RuntimeError);
      const o = { command: ["true"], tty: false, stdin: false };
      await expect(rt.exec("no-such-id", o, stop.signal)).rejects.toMatchObject({ reason: "NotFound" });
      await expect(logsOf("no-such-id")).rejects.toMatchObject({ reason: "NotFound" });
    });

    test("logs: all, tail, since, timestamps; follow ends with the container", async () => {
      const { id } = await run({ logs: ["one", "two", "three"], exit: 0 });
      expect(await subject.settle(logsOf(id, { follow: true }))).toBe("one\ntwo\nthree\n");
      expect(await logsOf(id)).toBe("one\ntwo\nthree\n");
      expect(await logsOf(id, { tail: 1 })).toBe("three\n");
      expect(await logsOf(id, { tail: 0 })).toBe("");
      const stamped = await logsOf(id, { timestamps: true, tail: 1 });
      expect(stamped).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z three\n$/);
      const printedAt = Date.parse(stamped.split(" ")[0] ?? "");
      expect(await logsOf(id, { since: printedAt - 60_000 })).toBe("one\ntwo\nthree\n");
      expect(await logsOf(id, { since: printedAt + 1000 })).toBe("");
    });

    test("logs: following ends on abort", async () => {
      const { id } = await run({ logs: ["one"] });
      const done = new AbortController();
      const lines: string[] = [];
      for await (const chunk of rt.logs(id, { follow: true }, done.signal)) {
        lines.push(decode(chunk));
        done.abort();
      }
      expect(lines).toEqual(["one\n"]);
    });

    test("exec: output, exit code, stdin with its end, many at once", async () => {
      const { id } = await run({});
      const exec = (stdin: boolean, ...command: string[]) => rt.exec(id, { command, tty: false, stdin }, stop.signal);
      expect(await outcome(await exec(false, "echo", "hello"))).toEqual(["hello\n", 0]);
      expect(await outcome(await exec(false, "sh", "-c", "exit 3"))).toEqual(["", 3]);
      const cat = await exec(true, "cat");
      await cat.write(new TextEncoder().encode("to and "));
      await cat.write(new TextEncoder().encode("fro"));
      cat.end();
      expect(await outcome(cat)).toEqual(["to and fro", 0]);
      const many = Array.from({ length: 8 }, async (_, i) => outcome(await exec(false, "echo", String(i))));
      expect((await Promise.all(many)).map(([out]) => out)).toEqual(Array.from({ length: 8 }, (_, i) => `${i}\n`));
    });

    test("exec: a closed session ends its output", async () => {
      const { id } = await run({});
      const session = await rt.exec(id, { command: ["cat"], tty: false, stdin: true }, stop.signal);
      const output = text(session.output);
      session.close();
      expect(await output).toBe("");
    });

    /** A server is there a moment after its container runs. */
    async function connected(sandboxId: string): Promise<Duplex> {
      for (let tries = 1; ; tries++) {
        try {
          return await rt.connectPort(sandboxId, 8080, stop.signal);
        } catch (error) {
          if (tries === 100) throw error;
        }
      }
    }

    test("connectPort: bytes both ways, and the end of each side is the other's", async () => {
      const { sandboxId } = await run({ listens: "echo" });
      const socket = await connected(sandboxId);
      const bytes = Buffer.alloc(500_000, "0123456789");
      socket.end(bytes);
      expect((await buffer(socket)).equals(bytes)).toBe(true);
    });

    test("connectPort: what listens on the Pod's localhost only is reached too", async () => {
      const { sandboxId } = await run({ listens: "localhost" });
      const socket = await connected(sandboxId);
      socket.end("GET /none HTTP/1.0\r\n\r\n");
      expect((await buffer(socket)).toString()).toMatch(/HTTP\/1\.[01]/);
    });

    test("connectPort: where nobody listens is a RuntimeError, and so is no sandbox; the signal ends a connection", async () => {
      const { sandboxId } = await run({ listens: "echo" });
      const refused = rt.connectPort(sandboxId, 1, stop.signal);
      await expect(refused).rejects.toThrow("dial tcp4 127.0.0.1:1: connect: connection refused");
      await expect(refused).rejects.toBeInstanceOf(RuntimeError);
      await expect(rt.connectPort("nowhere", 80, stop.signal)).rejects.toMatchObject({ reason: "NotFound" });
      const socket = (await connected(sandboxId)).on("error", () => {});
      const closed = new Promise((resolve) => socket.once("close", resolve));
      stop.abort();
      await closed;
      expect(socket.destroyed).toBe(true);
    });

    test("what it may use is told, and changed while it runs", async () => {
      const first = { cpuShares: 512, cpuQuota: 50_000, memoryBytes: 64 * 2 ** 20 };
      const { uid, id } = await run({}, { resources: { ...first, pids: 100, oomScoreAdj: 500 } });
      const resources = async () => (await rt.getPod(uid, stop.signal))?.containers[0]?.resources;
      expect(await resources()).toEqual(first);
      await rt.updateContainer(id, { cpuShares: 1024, memoryBytes: 128 * 2 ** 20 }, stop.signal);
      expect(await resources()).toEqual({ ...first, cpuShares: 1024, memoryBytes: 128 * 2 ** 20 });
      expect((await rt.getPod(uid, stop.signal))?.containers[0]?.state).toBe("running");
      expect(await rt.writableSize(id, stop.signal)).toBeGreaterThanOrEqual(0);
    });

    test("devices stay known with the container (R1)", async () => {
      const devices = { allocated: { "example.com/gpu": ["a", "b"] }, mappings: [] };
      const { uid } = await run({}, { devices });
      const known = await subject.again().getPod(uid, stop.signal);
      expect(known?.containers[0]?.devices).toEqual(devices.allocated);
    });

    test("stats: one row per running container", async () => {
      const { uid } = await run({});
      const stats = await rt.stats(stop.signal);
      expect(stats).toEqual([expect.objectContaining({ podUid: uid, name: "main" })]);
      expect(stats[0]?.memoryWorkingSetBytes).toBeGreaterThan(0);
    });

    test("info tells the node's capacity", async () => {
      const info = await rt.info(stop.signal);
      expect(info.version).toMatch(/^[a-z]+:\/\/\d/);
      expect(info.cpus).toBeGreaterThan(0);
      expect(info.memoryBytes).toBeGreaterThan(2 ** 28);
      expect(info).toMatchObject({ operatingSystem: "linux", architecture: expect.stringMatching(/^(amd64|arm64)$/) });
    });
  });
}

const decode = (chunk: LogChunk) => new TextDecoder().decode(chunk.data);

async function text(chunks: AsyncIterable<LogChunk>): Promise<string> {
  let all = "";
  for await (const chunk of chunks) all += decode(chunk);
  return all;
}

async function firstChunk(chunks: AsyncIterable<LogChunk>): Promise<void> {
  for await (const _ of chunks) return;
}

async function outcome(session: ExecSession): Promise<[string, number]> {
  const output = await text(session.output);
  return [output, await session.exitCode];
}
