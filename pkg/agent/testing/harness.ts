/** A whole agent on a fake clock, a fake runtime and a stub API server. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Container, Pod, PodSpec } from "../../api/generated/types.ts";
import { Client } from "../../client/client.ts";
import { FakeRuntime, type FakeRuntimeOptions } from "../../runtime/fake.ts";
import { seededRandom } from "../../util/clock.ts";
import { FakeClock } from "../../util/fake-clock.ts";
import { silent } from "../../util/log.ts";
import { type AgentOptions, runAgent } from "../agent.ts";
import { StubApi } from "./stub-api.ts";

export const NODE = "node-1";

export class Harness implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly api = new StubApi(this.clock);
  readonly runtime: FakeRuntime;
  readonly #options: Partial<AgentOptions>;
  readonly #dataDir = mkdtempSync(join(tmpdir(), "mk-agent-"));
  #stop: AbortController | undefined;
  #done: Promise<void> = Promise.resolve();

  constructor(
    o: Partial<Pick<FakeRuntimeOptions, "images" | "exec" | "port">> & { agent?: Partial<AgentOptions> } = {},
  ) {
    const { images = ["app"], exec, port } = o;
    this.runtime = new FakeRuntime({ clock: this.clock, images, ...(exec && { exec }), ...(port && { port }) });
    this.#options = o.agent ?? {};
  }

  start(more: Partial<AgentOptions> = {}): void {
    this.#stop = new AbortController();
    const { clock, runtime } = this;
    const client = new Client(this.api, "kubelet");
    this.#done = runAgent(
      {
        client,
        runtime,
        clock,
        nodeName: NODE,
        random: seededRandom(7),
        log: silent,
        address: "192.168.0.1",
        dataDir: this.#dataDir,
        measure: () => Promise.resolve(MACHINE),
        ...this.#options,
        ...more,
      },
      this.#stop.signal,
    );
  }

  /** As a killed agent: what it started keeps running. */
  async stop(): Promise<void> {
    this.#stop?.abort(new Error("stopped"));
    await this.#done;
  }

  pod(name: string): Pod | undefined {
    return this.api.get<Pod>("pods", "default", name);
  }

  create(name: string, containers: readonly Partial<Container>[], spec: Partial<PodSpec> = {}): Pod {
    return this.api.put("pods", podOf(name, containers, spec)) as Pod;
  }

  events(reason?: string): string[] {
    const all = this.api.list("events") as unknown as { reason: string; message: string }[];
    return all.filter((e) => reason === undefined || e.reason === reason).map((e) => e.message);
  }

  async until(done: () => boolean, limitMs = 60_000): Promise<void> {
    await this.clock.advanceUntil(done, limitMs, 10);
  }

  untilRunning(name: string): Promise<void> {
    return this.until(() => this.pod(name)?.status?.conditions?.find((c) => c.type === "Ready")?.status === "True");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    for (const c of this.runtime.world.containers.values()) c.dispose();
    rmSync(this.#dataDir, { recursive: true, force: true });
    if (this.clock.pending > 0) throw new Error(`${this.clock.pending} timers leaked`);
  }
}

const MACHINE = { diskTotal: 1e11, diskAvailable: 5e10, memoryAvailable: 4e9, machineId: "m", bootId: "b" };

export function podOf(name: string, containers: readonly Partial<Container>[], spec: Partial<PodSpec> = {}): Pod {
  return {
    metadata: { name, namespace: "default", uid: `${name}-uid` },
    spec: {
      nodeName: NODE,
      containers: containers.map((c, n) => ({ name: `c${n}`, image: "app", imagePullPolicy: "IfNotPresent", ...c })),
      ...spec,
    },
  };
}
