/** Pages for who runs the server, behind the API's own authorization: `/debug/…` is nobody's but the administrators'. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { ApiError, badRequest } from "../api/status.ts";

/** By method: from the body to what is answered; what it throws is the client's mistake. */
export type DebugPage = Readonly<Partial<Record<string, (body: string) => string | Promise<string>>>>;
export type DebugPages = Readonly<Partial<Record<string, DebugPage>>>;

const MAX_BODY = 4_096;

/** What begins with a brace is JSON. */
export async function answerPage(page: DebugPage, req: IncomingMessage, res: ServerResponse): Promise<void> {
  const answer = page[req.method ?? "GET"];
  if (!answer) {
    throw new ApiError("MethodNotAllowed", "the server does not allow this method on the requested resource");
  }
  const text = await tried(answer, await bodyOf(req));
  const type = text.startsWith("{") ? "application/json" : "text/plain; charset=utf-8";
  res.writeHead(200, { "Content-Type": type, "Cache-Control": "no-store" }).end(text);
}

async function tried(answer: (body: string) => string | Promise<string>, body: string): Promise<string> {
  try {
    return await answer(body);
  } catch (error) {
    throw error instanceof ApiError ? error : badRequest((error as Error).message);
  }
}

async function bodyOf(req: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of req) {
    text += String(chunk);
    if (text.length > MAX_BODY) throw new ApiError("RequestEntityTooLarge", "the body is too long");
  }
  return text.trim();
}
