/**
 * Docker Swarm on the same daemon, driven by the docker CLI: services that run one image, as many replicas as asked for.
 * A swarm that was there before is used and left as it was.
 */
import { run, runOk } from "../harness/process.ts";

const NAME = "mk-bench-swarm";
const BRIDGE = "docker_gwbridge";
const POLL_MS = 20;
const DEADLINE_MS = 240_000;

export class Swarm {
  readonly #image: string;
  readonly #ours: { readonly swarm: boolean; readonly bridge: boolean };

  private constructor(image: string, ours: { swarm: boolean; bridge: boolean }) {
    this.#image = image;
    this.#ours = ours;
  }

  static async start(image: string): Promise<Swarm> {
    const state = (await runOk("docker", ["info", "--format", "{{.Swarm.LocalNodeState}}"])).trim();
    const bridge = (await run("docker", ["network", "inspect", BRIDGE])).code !== 0;
    if (state !== "active") {
      await runOk("docker", ["swarm", "init", "--advertise-addr", "127.0.0.1", "--listen-addr", "127.0.0.1:23770"]);
    }
    return new Swarm(image, { swarm: state !== "active", bridge });
  }

  /** Milliseconds from the command until all replicas run. */
  async run(replicas: number): Promise<number> {
    const flags = ["--detach", "--no-resolve-image", "--name", NAME, "--replicas", String(replicas)];
    const quick = ["--stop-grace-period", "0s", "--restart-delay", "0s"];
    const start = performance.now();
    await runOk("docker", ["service", "create", ...flags, ...quick, this.#image, "sleep", "3600"]);
    await this.#until((ids) => ids.length === replicas);
    return performance.now() - start;
  }

  /** Milliseconds until no container is left. */
  async remove(): Promise<number> {
    const start = performance.now();
    await runOk("docker", ["service", "rm", NAME]);
    await this.#until((ids) => ids.length === 0);
    return performance.now() - start;
  }

  /** Milliseconds from `docker kill` of the one replica until another runs. */
  async heal(): Promise<number> {
    const [id = ""] = await this.#running();
    const start = performance.now();
    await runOk("docker", ["kill", id]);
    await this.#until((ids) => ids.length === 1 && ids[0] !== id);
    return performance.now() - start;
  }

  async close(): Promise<void> {
    await run("docker", ["service", "rm", NAME]);
    await this.#until((ids) => ids.length === 0).catch(() => {});
    if (this.#ours.swarm) await run("docker", ["swarm", "leave", "--force"]);
    if (this.#ours.bridge) await run("docker", ["network", "rm", BRIDGE]);
  }

  async #running(): Promise<string[]> {
    const filter = ["--filter", `label=com.docker.swarm.service.name=${NAME}`];
    return (await runOk("docker", ["ps", "-q", "--no-trunc", ...filter])).split("\n").filter(Boolean);
  }

  async #until(done: (ids: readonly string[]) => boolean): Promise<void> {
    const end = performance.now() + DEADLINE_MS;
    while (!done(await this.#running())) {
      if (performance.now() > end) throw new Error(`Swarm did not get there within ${DEADLINE_MS / 1000} s`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }
}
