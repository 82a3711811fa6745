/**
 * The way to a port of a Pod: straight to its address, as any client of the Pod goes.
 *
 * What listens on the Pod's own localhost only is behind the namespace's wall.
 */
import { connect } from "node:net";
import type { Duplex } from "node:stream";
import type { Clock } from "../../util/clock.ts";
import { RuntimeError } from "../runtime.ts";
import type { DockerApi } from "./api.ts";
import { address, type Inspected, inspectCall } from "./pods.ts";

/** For a connection within one machine. */
const DIAL_MS = 5_000;

export interface PortOptions {
  readonly api: DockerApi;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

export async function connectPort(sandboxId: string, port: number, o: PortOptions): Promise<Duplex> {
  const inspected = await o.api.request<Inspected & { HostConfig: { NetworkMode: string } }>(
    inspectCall(sandboxId, o.signal),
  );
  if (inspected.State.Status !== "running") throw new RuntimeError("NotFound", `sandbox ${sandboxId} is not running`);
  const host = inspected.HostConfig.NetworkMode === "host" ? "127.0.0.1" : address(inspected.NetworkSettings);
  if (host === undefined) throw new RuntimeError("RuntimeError", `sandbox ${sandboxId} has no address`);
  return dial(host, port, o);
}

/** The connection ends by the signal, too. Half open: either end may finish first. */
function dial(host: string, port: number, { clock, signal }: Pick<PortOptions, "clock" | "signal">): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    if (signal.aborted) return reject(signal.reason as Error);
    const socket = connect({ host, port, allowHalfOpen: true, noDelay: true });
    const refuse = (why: string, retryable = true) => {
      socket.destroy();
      reject(new RuntimeError("RuntimeError", `dial tcp ${host}:${port}: ${why}`, { retryable }));
    };
    const late = clock.after(DIAL_MS, () => refuse("i/o timeout"));
    const aborted = () => {
      socket.destroy();
      reject(signal.reason as Error);
    };
    signal.addEventListener("abort", aborted, { once: true });
    socket.once("close", () => {
      late[Symbol.dispose]();
      signal.removeEventListener("abort", aborted);
    });
    const failed = (error: NodeJS.ErrnoException) => refuse(goText(error));
    socket.once("error", failed);
    socket.once("connect", () => {
      late[Symbol.dispose]();
      socket.off("error", failed);
      resolve(socket);
    });
  });
}

const GO_TEXTS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connect: connection refused",
  EHOSTUNREACH: "connect: no route to host",
  ENETUNREACH: "connect: network is unreachable",
};

/** As Kubernetes' users know it. */
const goText = (error: NodeJS.ErrnoException) => GO_TEXTS[error.code ?? ""] ?? error.message;
