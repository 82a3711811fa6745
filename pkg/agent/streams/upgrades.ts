/**
 * Upgraded connections: which protocol each speaks, and the end of them all with the server. What flows is the affair of
 * session.ts (exec, attach) and forward.ts (ports).
 */
import type { IncomingMessage } from "node:http";
import { type Duplex, pipeline } from "node:stream";
import { createWebSocketStream, type WebSocket, WebSocketServer } from "ws";
import { ApiError } from "../../api/status.ts";
import type { ExecSession } from "../../runtime/runtime.ts";
import type { Clock } from "../../util/clock.ts";
import type { Connect } from "./forward.ts";
import { FORWARD_PROTOCOL, serveForward } from "./forward-spdy.ts";
import { FORWARD_CHANNELS, forwardPorts, serveForwardChannels } from "./forward-websocket.ts";
import { runSession } from "./session.ts";
import { isSpdy, requireOffered, spdyOffer, SpdyServer } from "./spdy.ts";
import { CHANNEL_PROTOCOLS, channelRemote } from "./websocket.ts";

/** SPDY frames in WebSocket messages. No token of HTTP's grammar: `ws` must not see it. */
const TUNNEL = `SPDY/3.1+${FORWARD_PROTOCOL}`;

/** A message is in memory as a whole; clients send some 32 KiB at a time. */
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;

/** As `upgrade` events come. */
export interface Upgrade {
  readonly req: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
}

export interface SessionStart {
  readonly stdin: boolean;
  readonly start: (signal: AbortSignal) => Promise<ExecSession>;
}

export class Upgrades implements Disposable {
  readonly #clock: Clock;
  readonly #broke: (error: unknown, req: IncomingMessage) => void;
  readonly #sockets: WebSocketServer;
  readonly #spdy: SpdyServer;
  readonly #raw = new Set<Duplex>();

  constructor(clock: Clock, broke: (error: unknown, req: IncomingMessage) => void) {
    this.#clock = clock;
    this.#broke = broke;
    this.#spdy = new SpdyServer(clock);
    this.#sockets = new WebSocketServer({
      noServer: true,
      perMessageDeflate: false,
      handleProtocols: () => false,
      maxPayload: MAX_MESSAGE_BYTES,
    });
  }

  [Symbol.dispose](): void {
    for (const ws of this.#sockets.clients) ws.terminate();
    this.#sockets.close();
    this.#spdy[Symbol.dispose]();
    for (const socket of this.#raw) socket.destroy();
  }

  /** exec and attach. Throws what must be said before the upgrade; `open` says it too, so it is called first. */
  session(u: Upgrade, open: () => SessionStart): void {
    const broke = (error: unknown) => this.#broke(error, u.req);
    const offer = spdyOffer(u.req);
    if (offer) return void this.#spdy.serve(offer, open().start, u).catch(broke);
    const protocol = choose(u.req, CHANNEL_PROTOCOLS);
    const session = open();
    this.#webSocket(u, protocol, (ws) => {
      const stop = new AbortController();
      ws.once("close", () => stop.abort());
      return runSession(() => session.start(stop.signal), channelRemote(ws, { ...session, protocol }));
    });
  }

  /** Port forwarding to one Pod. Throws what must be said before the upgrade. */
  forward(u: Upgrade, o: { connect: Connect; pod: string }): void {
    const how = { ...o, clock: this.#clock };
    if (isSpdy(u.req)) {
      requireOffered(u.req, FORWARD_PROTOCOL);
      return void serveForward((onStream) => this.#spdy.accept(FORWARD_PROTOCOL, u, onStream), how);
    }
    const protocol = choose(u.req, [TUNNEL, FORWARD_CHANNELS]);
    if (protocol === TUNNEL) {
      return this.#webSocket(u, protocol, (ws) =>
        serveForward((onStream) => this.#spdy.over(createWebSocketStream(ws), onStream), how),
      );
    }
    const ports = forwardPorts(urlOf(u.req).searchParams);
    this.#webSocket(u, protocol, (ws) => serveForwardChannels(ws, ports, o));
  }

  /** One port, as plain bytes. Rejects with what must be said in place of the upgrade. */
  async dial(u: Upgrade, connect: (signal: AbortSignal) => Promise<Duplex>): Promise<void> {
    const gone = new AbortController();
    u.socket.once("close", () => gone.abort());
    this.#raw.add(u.socket);
    u.socket.once("close", () => this.#raw.delete(u.socket));
    const pod = await connect(gone.signal);
    u.socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: tcp\r\nConnection: Upgrade\r\n\r\n");
    if (u.head.length > 0) pod.write(u.head);
    // An end of either is passed on to the other; a failure of either destroys both.
    pipeline(u.socket, pod, () => {});
    pipeline(pod, u.socket, () => {});
  }

  #webSocket({ req, socket, head }: Upgrade, protocol: string, serve: (ws: WebSocket) => Promise<void>): void {
    delete req.headers["sec-websocket-protocol"];
    const answer = (headers: string[]) => void headers.push(`Sec-WebSocket-Protocol: ${protocol}`);
    this.#sockets.on("headers", answer);
    this.#sockets.handleUpgrade(req, socket, head, (ws) => {
      serve(ws).catch((error: unknown) => {
        this.#broke(error, req);
        ws.terminate();
      });
    });
    this.#sockets.off("headers", answer); // by now it has answered or refused
  }
}

/** The best protocol that is offered; throws BadRequest. */
function choose(req: IncomingMessage, spoken: readonly string[]): string {
  if (req.headers.upgrade?.toLowerCase() !== "websocket") {
    throw new ApiError(
      "BadRequest",
      `cannot upgrade to ${req.headers.upgrade}: only websocket and SPDY/3.1 are spoken here`,
    );
  }
  const offered = (req.headers["sec-websocket-protocol"] ?? "").split(",").map((p) => p.trim());
  const found = spoken.find((p) => offered.includes(p));
  if (found !== undefined) return found;
  throw new ApiError("BadRequest", `none of ${offered.join(", ")} is spoken here, but ${spoken.join(", ")}`);
}

function urlOf(req: IncomingMessage): URL {
  return new URL(req.url ?? "/", "https://agent");
}
