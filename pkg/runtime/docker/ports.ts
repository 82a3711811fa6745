/**
 * The way to a port of a Pod: straight to its address, as any client of the Pod goes; or, where nobody answers there, by a
 * program within the Pod's network to its localhost (dial.ts).
 */
import { connect } from "node:net";
import type { Duplex } from "node:stream";
import type { Clock } from "../../util/clock.ts";
import { own } from "../../util/keys.ts";
import { type ExecSession, RuntimeError } from "../runtime.ts";
import type { DockerApi } from "./api.ts";
import { DIAL_PATH, dialLocalhost } from "./dial.ts";
import { address, type Inspected, inspectCall } from "./pods.ts";

/** For a connection within one machine. */
const DIAL_MS = 2_000;

export interface PortOptions {
  readonly api: DockerApi;
  /** Runs a program in the sandbox. */
  readonly exec: (command: readonly string[]) => Promise<ExecSession>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

export async function connectPort(sandboxId: string, port: number, o: PortOptions): Promise<Duplex> {
  const inspected = await o.api.request<Inspected & { HostConfig: { NetworkMode: string } }>(
    inspectCall(sandboxId, o.signal),
  );
  if (inspected.State.Status !== "running") throw new RuntimeError("NotFound", `sandbox ${sandboxId} is not running`);
  const host = inspected.HostConfig.NetworkMode === "host" ? "127.0.0.1" : address(inspected.NetworkSettings);
  if (host === "127.0.0.1") return dial(host, port, o);
  try {
    if (host !== undefined) return await dial(host, port, o);
  } catch {
    o.signal.throwIfAborted();
  }
  return dialLocalhost(await o.exec([DIAL_PATH]), port);
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
const goText = (error: NodeJS.ErrnoException) => own(GO_TEXTS, error.code ?? "") ?? error.message;
