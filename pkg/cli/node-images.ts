/** The agents' `/images`, through the API server's proxy to nodes. */
import { PassThrough, type Readable } from "node:stream";
import type { Node } from "../api/generated/types.ts";
import { nodes } from "../api/kinds/core/node.ts";
import type { ImageWork, NodeImage, NodeImageList } from "../api/node-images.ts";
import { nameOf } from "../api/object.ts";
import { Client } from "../client/client.ts";
import type { Query, RawRequest } from "../client/request.ts";
import { jsonLines } from "../client/json-lines.ts";
import { CliError } from "./io.ts";
import type { Session } from "./session.ts";

/** A path of a node's agent. */
export function agentPath(node: string, ...words: readonly string[]): string {
  return `/api/v1/nodes/${[node, "proxy", ...words].map(encodeURIComponent).join("/")}`;
}

/** Those named, else all; throws when there is none of that name. */
export async function chooseNodes(session: Session, named: readonly string[] = []): Promise<string[]> {
  const { items } = await new Client(session.transport, "mini-kube").resource<Node>(nodes).list({}, session.io.signal);
  const all = items.map(nameOf);
  const unknown = named.find((n) => !all.includes(n));
  if (unknown !== undefined) throw new CliError(`no node ${unknown}; there are: ${all.join(", ") || "none"}`);
  if (all.length === 0) throw new CliError("the cluster has no nodes");
  return named.length > 0 ? [...named] : all;
}

export async function imagesOf(session: Session, node: string): Promise<readonly NodeImage[]> {
  const text = await session.transport.text(agentPath(node, "images"), {}, session.io.signal);
  return (JSON.parse(text) as NodeImageList).images;
}

/** The archive as it comes. */
export async function savedImage(session: Session, node: string, image: string): Promise<Readable> {
  const request = { query: { name: image }, idleMs: 0, headers: { accept: "*/*" } };
  return (await session.transport.raw("GET", agentPath(node, "images", "save"), request, session.io.signal)).body;
}

/** Gives the agent something to load or build from, and passes on what it says. Rejects with what went wrong there. */
export async function sendToAgent(
  session: Session,
  o: { node: string; what: "load" | "build"; query?: Query; body: Readable; say: (line: string) => void },
): Promise<void> {
  const request: RawRequest = {
    body: o.body,
    idleMs: 0, // a step of a build may be silent for as long as it likes
    headers: { accept: "*/*", "content-type": "application/x-tar" },
    ...(o.query && { query: o.query }),
  };
  try {
    const path = agentPath(o.node, "images", o.what);
    const { body } = await session.transport.raw("POST", path, request, session.io.signal);
    for await (const work of jsonLines(body as AsyncIterable<Buffer>)) {
      const said = work as ImageWork;
      if ("error" in said) throw new CliError(`node ${o.node}: ${said.error}`);
      if ("done" in said) return;
      o.say(said.line);
    }
    throw new CliError(`node ${o.node}: the connection broke off before the image was there`);
  } finally {
    o.body.destroy();
  }
}

/** The same bytes for each of them; as fast as the slowest takes them. */
export function forEach(source: Readable, count: number): readonly Readable[] {
  const copies = Array.from({ length: count }, () => new PassThrough());
  for (const copy of copies) {
    source.pipe(copy);
    copy.once("close", () => source.unpipe(copy));
  }
  source.once("error", (error) => copies.forEach((c) => c.destroy(error)));
  // A source that breaks off ends without having said so.
  source.once("close", () => copies.forEach((c) => c.writableEnded || c.destroy(new Error("the archive broke off"))));
  return copies;
}
