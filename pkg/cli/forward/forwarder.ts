/** Which Pod stands behind the name that was given, now and after it has been replaced. */
import type { Socket } from "node:net";
import type { Pod, Service } from "../../api/generated/types.ts";
import type { ApiObject } from "../../api/object.ts";
import { ApiError } from "../../api/status.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { KnownResource } from "../discovery.ts";
import { fetchObjects } from "../fetch.ts";
import { CliError } from "../io.ts";
import { getPod } from "../pods.ts";
import type { Session } from "../session.ts";
import { choosePod, podPort, podSelector } from "./targets.ts";
import { joinTunnel, openTunnel } from "./tunnel.ts";

/** How long a connection waits for a Pod that takes the place of the one that is gone. */
const REPLACED_MS = 30_000;
const LOOK_MS = 250;

/** `pod/web`, `web`, `svc/web`, `deploy/web`: whatever has Pods. */
export class Forwarder {
  readonly #session: Session;
  readonly #resource: KnownResource;
  readonly #name: string;
  #pod: DeepReadonly<Pod> | undefined;
  #service: DeepReadonly<Service> | undefined;

  private constructor(session: Session, resource: KnownResource, name: string) {
    this.#session = session;
    this.#resource = resource;
    this.#name = name;
  }

  static async to(session: Session, word: string): Promise<Forwarder> {
    const [kind = "", name] = word.includes("/") ? word.split("/") : ["pods", word];
    return new Forwarder(session, await session.discovery.byWord(kind), name ?? "");
  }

  /** The Pod's port; rejects when there is no Pod that runs, unless told to wait for one. */
  async portOf(remote: string): Promise<number> {
    return podPort(this.#pod ?? (await this.#find()), remote, this.#service);
  }

  async untilRunning(timeoutMs: number): Promise<void> {
    await this.#retrying(
      timeoutMs,
      () => this.#find(),
      (error) => error instanceof NoPod,
    );
  }

  /** Carries one connection to its end; resolves with what went wrong, if anything. */
  async serve(socket: Socket, remote: string): Promise<string | undefined> {
    socket.pause();
    const tunnel = await this.#retrying(REPLACED_MS, async () => {
      const pod = this.#pod ?? (await this.#find());
      const { namespace = "", name = "" } = pod.metadata;
      try {
        return await openTunnel(this.#session, { namespace, name, port: podPort(pod, remote, this.#service) });
      } catch (error) {
        this.#pod = undefined; // look again
        throw error;
      }
    });
    // In the same turn: nothing that came along with the answer is missed.
    const done = joinTunnel(socket, tunnel);
    socket.resume();
    const problem = await done;
    if (problem !== undefined) this.#pod = undefined;
    return problem;
  }

  /** What a moment may mend is tried again: a Pod that is not there yet, or not running. */
  async #retrying<T>(ms: number, work: () => Promise<T>, mends = mayPass): Promise<T> {
    const { clock, signal } = this.#session.io;
    const deadline = clock.now() + ms;
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (!mends(error) || clock.now() >= deadline) throw error;
        await clock.sleep(LOOK_MS, signal);
      }
    }
  }

  async #find(): Promise<DeepReadonly<Pod>> {
    const { kind } = this.#resource;
    if (kind === "Pod") {
      const pod = await getPod(this.#session, this.#name);
      const phase = pod.status?.phase ?? "Unknown";
      if (phase !== "Running") {
        throw new NoPod(`unable to forward port because pod is not running. Current status=${phase}`);
      }
      return (this.#pod = pod);
    }
    const { namespace } = this.#session;
    const selecting = await this.#session.resource(this.#resource, namespace).get(this.#name);
    if (kind === "Service") this.#service = selecting as unknown as DeepReadonly<Service>;
    const labelSelector = podSelector(selecting as DeepReadonly<ApiObject>, kind);
    const resource = await this.#session.discovery.byWord("pods");
    const pods = await fetchObjects(this.#session, { resource, namespace, labelSelector });
    const pod = choosePod(pods as unknown as Pod[]);
    if (!pod) throw new NoPod(`no running pod of ${kind.toLowerCase()}/${this.#name} in namespace ${namespace}`);
    return (this.#pod = pod);
  }
}

class NoPod extends CliError {}

const mayPass = (error: unknown): boolean =>
  error instanceof NoPod || (error instanceof ApiError && error.reason !== "Forbidden");
