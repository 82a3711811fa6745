/**
 * One HTTP request, handed on over a connection of its own, answer and upgrade included.
 *
 *  L1  The client's credentials go no further.
 *  L2  Bodies flow as they come, both ways, each as fast as it is taken.
 *  L3  When the client goes the other side is closed, and the other way round.
 */
import { type IncomingMessage, request as httpRequest, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import { ApiError } from "../../api/status.ts";

export interface Destination {
  /** A connection that speaks HTTP/1.1; rejects with ApiError. */
  readonly dial: () => Promise<Duplex>;
  /** With its query. */
  readonly path: string;
  /** The path of the proxy itself, below which the destination's root lies: redirects stay there. */
  readonly base: string;
}

/** Of one hop only (RFC 9110, 7.6.1); an upgrade asks anew. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);
/** Who the client is, is between it and us. */
const PRIVATE = /^(authorization|x-remote-.*|impersonate-.*|expect)$/;

type Header = readonly [name: string, value: string];

/** Raw headers, as they came. */
export const pairs = (raw: readonly string[]): Header[] =>
  raw.flatMap((name, i): Header[] => (i % 2 === 0 ? [[name, raw[i + 1] ?? ""]] : []));

/** What goes on of raw headers: what the message itself says, not what was said about the connection. */
export function passedOn(rawHeaders: readonly string[], drop: RegExp = /^$/): Header[] {
  const headers = pairs(rawHeaders);
  const named = headers.flatMap(([name, value]) =>
    /^connection$/i.test(name) ? value.toLowerCase().split(/\s*,\s*/) : [],
  );
  return headers.filter(([name]) => {
    const lower = name.toLowerCase();
    return !HOP_BY_HOP.has(lower) && !named.includes(lower) && !drop.test(lower);
  });
}

/** A redirect to the destination's own root comes back through the proxy. */
export function rewriteLocation(location: string, base: string): string {
  return location.startsWith("/") && !location.startsWith("//") && !location.startsWith(`${base}/`)
    ? `${base}${location}`
    : location;
}

/** Rejects with ApiError as long as nothing was answered. */
export async function relay(to: Destination, req: IncomingMessage, res: ServerResponse): Promise<void> {
  const request = await begin(to, req, chunked(req));
  res.once("close", () => request.destroy());
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    request.once("response", resolve);
    request.once("error", (error) => reject(unreachable(error)));
    request.once("upgrade", (_, upgraded) => {
      upgraded.destroy();
      reject(unreachable(new Error("it upgrades a connection that need not be")));
    });
  });
  pipeline(req, request).catch(() => {}); // what broke shows in the answer
  const answer = await answered;
  res.writeHead(answer.statusCode ?? 502, answer.statusMessage ?? "", answerHeaders(answer, to.base).flat());
  res.flushHeaders();
  await pipeline(answer, res).catch(() => res.destroy());
}

/** Rejects with ApiError as long as nothing was answered. Resolves when both ends have closed. */
export async function relayUpgrade(
  to: Destination,
  { req, socket, head }: { req: IncomingMessage; socket: Duplex; head: Buffer },
): Promise<void> {
  const request = await begin(to, req, [
    ["Connection", "Upgrade"],
    ["Upgrade", req.headers.upgrade ?? ""],
  ]);
  socket.once("close", () => request.destroy());
  const [answer, upstream, upstreamHead] = await new Promise<[IncomingMessage, Duplex?, Buffer?]>((resolve, reject) => {
    request.once("upgrade", (...args) => resolve(args));
    request.once("response", (response) => resolve([response]));
    request.once("error", (error) => reject(unreachable(error)));
    request.end();
  });
  if (upstream) {
    return tie(socket, upstream, { answer: statusLine(answer, pairs(answer.rawHeaders)), head, upstreamHead });
  }
  socket.write(statusLine(answer, [...answerHeaders(answer, to.base), ["Connection", "close"]]));
  await pipeline(answer, socket).catch(() => socket.destroy());
}

/** Answers the upgrade, then each gets what the other says. Resolves when both have closed. */
export async function tie(
  socket: Duplex,
  upstream: Duplex,
  o: { answer: string; head: Buffer; upstreamHead: Buffer | undefined },
): Promise<void> {
  socket.write(o.answer);
  if (o.upstreamHead && o.upstreamHead.length > 0) socket.write(o.upstreamHead);
  if (o.head.length > 0) upstream.write(o.head);
  await Promise.allSettled([pipeline(socket, upstream), pipeline(upstream, socket)]);
  socket.destroy();
  upstream.destroy();
}

export function statusLine(answer: IncomingMessage, headers: readonly Header[]): string {
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${answer.statusCode} ${answer.statusMessage}\r\n${lines.join("")}\r\n`;
}

async function begin(to: Destination, req: IncomingMessage, more: readonly Header[]) {
  const socket = await to.dial();
  if (req.socket.destroyed) {
    socket.destroy();
    throw unreachable(new Error("the client has gone"));
  }
  const headers = [...passedOn(req.rawHeaders, PRIVATE), ...forwarded(req), ...more];
  return httpRequest({
    createConnection: () => socket,
    method: req.method ?? "GET",
    path: to.path,
    headers: headers.flat(),
    setHost: false,
  });
}

/** A body without a length is sent on as it came. */
const chunked = (req: IncomingMessage): Header[] =>
  req.headers["transfer-encoding"] === undefined ? [] : [["Transfer-Encoding", "chunked"]];

function forwarded(req: IncomingMessage): Header[] {
  const before = req.headers["x-forwarded-for"];
  const client = req.socket.remoteAddress ?? "";
  return [
    ["X-Forwarded-For", before === undefined ? client : `${String(before)}, ${client}`],
    ["X-Forwarded-Host", req.headers.host ?? ""],
    ["X-Forwarded-Proto", "https"],
    ["X-Forwarded-Uri", (req.url ?? "/").split("?", 1)[0] ?? "/"],
  ];
}

const answerHeaders = (answer: IncomingMessage, base: string): Header[] =>
  passedOn(answer.rawHeaders).map(([name, value]) =>
    /^location$/i.test(name) ? [name, rewriteLocation(value, base)] : [name, value],
  );

export function unreachable(error: Error): ApiError {
  return new ApiError("ServiceUnavailable", `error trying to reach service: ${error.message}`);
}
