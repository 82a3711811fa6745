/**
 * `/images`: what is on the node; `/images/load`, `/images/build` and `/images/save`: archives in and out, so that a node
 * needs no registry to get an image. Who may, the API server has decided (nodes/proxy).
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { pipeline } from "node:stream/promises";
import type { ImageWork, NodeImage } from "../api/node-images.ts";
import { ApiError, badRequest } from "../api/status.ts";
import type { BuildOptions, ImageInfo } from "../runtime/images.ts";
import type { ContainerRuntime, RuntimePod } from "../runtime/runtime.ts";
import { sendJson, sendPart, toApiError } from "./answers.ts";
import { flag } from "./logs.ts";
import type { PodWorker } from "./worker.ts";

export interface ImageContext {
  readonly runtime: ContainerRuntime;
  readonly pods: { workers(): Iterable<Pick<PodWorker, "imagesChanged">> };
}

export interface ImageRequest {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  /** The word after `/images/`; empty: the list. */
  readonly what: string;
  readonly query: URLSearchParams;
  /** Aborts when the client has gone. */
  readonly signal: AbortSignal;
}

/** Rejects with what is to be said as long as nothing was answered. */
export async function serveImages(ctx: ImageContext, r: ImageRequest): Promise<void> {
  const { runtime } = ctx;
  const { req, res, query, signal } = r;
  switch (`${req.method} ${r.what}`) {
    case "GET ":
      return sendJson(res, { images: await nodeImages(runtime, signal) });
    case "GET save":
      return save(runtime, r);
    case "POST load":
      return work(ctx, r, runtime.loadImages(req, signal));
    case "POST build":
      return work(ctx, r, runtime.buildImage(req, buildOptions(query), signal));
    default:
      throw new ApiError("NotFound", `the agent has no ${req.method} /images/${r.what}`);
  }
}

async function nodeImages(runtime: ContainerRuntime, signal: AbortSignal): Promise<NodeImage[]> {
  const [images, pods] = await Promise.all([runtime.listImages(signal), runtime.listPods(signal)]);
  return imagesWithUsers(images, pods);
}

/** By name; those without one last. */
export function imagesWithUsers(images: readonly ImageInfo[], pods: readonly RuntimePod[]): NodeImage[] {
  const listed = images.map(({ id, names, sizeBytes, createdAt }) => {
    const mine = new Set([id, ...names]);
    const users = pods.filter((p) => p.containers.some((c) => mine.has(c.imageId) || mine.has(c.image)));
    const usedBy = users.map(({ namespace, name }) => ({ namespace, name }));
    return { id, names, sizeBytes, ...(createdAt !== undefined && { createdAt }), usedBy };
  });
  return listed.toSorted((a, b) => compare(a.names[0] ?? "~", b.names[0] ?? "~"));
}

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

async function save(runtime: ContainerRuntime, { res, query, signal }: ImageRequest): Promise<void> {
  const names = query.getAll("name");
  if (names.length === 0) throw badRequest("which image? ?name=IMAGE");
  const archive = await runtime.saveImages(names, signal);
  res.writeHead(200, { "Content-Type": "application/x-tar" });
  await pipeline(archive, res).catch(() => res.destroy()); // whoever reads sees that it breaks off
}

function buildOptions(q: URLSearchParams): BuildOptions {
  const tags = q.getAll("t");
  if (tags.length === 0) throw badRequest("what is the image to be called? ?t=NAME");
  const [dockerfile, target] = [q.get("dockerfile"), q.get("target")];
  const args = q.getAll("arg").map((a): [string, string] => {
    const [name = "", ...value] = a.split("=");
    return [name, value.join("=")];
  });
  return {
    tags,
    ...(dockerfile !== null && { dockerfile }),
    ...(target !== null && { target }),
    ...(args.length > 0 && { args: Object.fromEntries(args) }),
    ...(flag(q, "nocache") && { noCache: true }),
  };
}

/** What is said as it goes; once the answer has begun, a failure can only be said in it. */
async function work(ctx: ImageContext, { res, signal }: ImageRequest, lines: AsyncIterable<string>): Promise<void> {
  const say = (w: ImageWork) => {
    if (!res.headersSent) res.writeHead(200, { "Content-Type": "application/x-ndjson" });
    return sendPart(res, `${JSON.stringify(w)}\n`, signal);
  };
  try {
    for await (const line of lines) await say({ line });
    for (const worker of ctx.pods.workers()) worker.imagesChanged();
    await say({ done: true });
  } catch (error) {
    const { message, reason } = toApiError(error);
    if (signal.aborted || (!res.headersSent && reason !== "InternalError")) throw error;
    await say({ error: message });
  }
  res.end();
}
