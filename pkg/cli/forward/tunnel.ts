/**
 * One local connection to a port of a Pod, over a WebSocket of its own (`v4.channel.k8s.io`): binary messages, the first
 * byte is the channel: 0 data, 1 what went wrong. The first message of each channel repeats the port.
 *
 * The protocol cannot say that one side has nothing more to send: a client that ends its own half hears the Pod out.
 */
import type { Socket } from "node:net";
import type { WebSocket } from "ws";
import { pathOf } from "../../client/request.ts";
import type { Session } from "../session.ts";

const PROTOCOL = "v4.channel.k8s.io";
const DATA = 0;
const ERROR = 1;

export interface PodPlace {
  readonly namespace: string;
  readonly name: string;
  readonly port: number;
}

/** Rejects with the ApiError of a Pod that is not there (any more). */
export function openTunnel(session: Session, to: PodPlace): Promise<WebSocket> {
  const { namespace, name } = to;
  const path = pathOf({ group: "", version: "v1", resource: "pods", namespace, name, subresource: "portforward" });
  return session.transport.upgrade(path, { ports: String(to.port) }, [PROTOCOL]);
}

/** Resolves when both have ended: with what the other side had to complain about, if anything. */
export function joinTunnel(socket: Socket, tunnel: WebSocket): Promise<string | undefined> {
  const started = new Set<number>();
  let problem: string | undefined;
  socket.on("data", (data: Buffer) => {
    // Read no faster than the tunnel takes it.
    socket.pause();
    tunnel.send(Buffer.concat([Uint8Array.of(DATA), data]), (error) => {
      if (!error) socket.resume();
    });
  });
  tunnel.on("message", (message: Buffer) => {
    const channel = message[0] ?? ERROR;
    const first = !started.has(channel);
    started.add(channel);
    if (first) return;
    const data = message.subarray(1);
    if (channel === ERROR) problem = (problem ?? "") + data.toString();
    else if (!socket.destroyed && !socket.write(data)) {
      tunnel.pause();
      socket.once("drain", () => tunnel.resume());
    }
  });
  return new Promise((resolve) => {
    // The Pod has ended, or is gone: what it has sent is written out before.
    tunnel.once("close", () => {
      if (problem === undefined) socket.end();
      else socket.destroy();
      resolve(problem);
    });
    tunnel.on("error", () => tunnel.terminate());
    socket.on("error", () => socket.destroy());
    socket.once("close", () => {
      tunnel.resume(); // or its answer to the close would never be read
      tunnel.close(1000);
    });
  });
}
