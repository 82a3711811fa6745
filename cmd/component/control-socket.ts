/**
 * The socket by which a process of this machine is found and spoken to.
 *
 * It is the lock, too: it answers exactly as long as the process lives, so neither a `kill -9` nor a reused pid can fool
 * anybody.
 */
import { rmSync } from "node:fs";
import http from "node:http";

/** What may be asked, by path (`/status`): each gets what was sent along. What it rejects with, the asker is told. */
export type Answers = Readonly<Record<string, (asked: unknown) => Promise<unknown>>>;

/** The longest path the kernel takes for a unix socket (`sun_path`), less its terminating zero. */
const MAX_PATH = 107;

/** Nobody was there, or is no more: it ended before it answered. */
const NOBODY: ReadonlySet<string> = new Set(["ENOENT", "ECONNREFUSED", "ECONNRESET", "EPIPE"]);

export const tooLongForSocket = (path: string) => path.length > MAX_PATH;

/** Takes the place of a socket that nobody serves any more; who may be served still, the caller has asked before. */
export async function serveSocket(path: string, answers: Answers): Promise<{ close(): void }> {
  rmSync(path, { force: true });
  const server = http.createServer((request, response) => {
    const answer = (code: number, body: unknown) => {
      response.writeHead(code, { "content-type": "application/json" });
      response.end(JSON.stringify(body));
    };
    let text = "";
    request.on("data", (d: Buffer) => (text += d.toString()));
    request.on("end", () => {
      const asked = answers[request.url ?? ""];
      if (!asked) return answer(404, { message: `nothing is known of ${request.url}` });
      const answered = async () => asked(text === "" ? undefined : (JSON.parse(text) as unknown));
      answered().then(
        (body) => answer(200, body ?? null),
        (error: unknown) => answer(500, { message: (error as Error).message }),
      );
    });
  });
  await new Promise<void>((done, fail) => server.once("error", fail).listen(path, done));
  server.unref();
  return { close: () => void server.close() };
}

/** Undefined when nobody serves it. Rejects with what is wrong with the question, or after `deadlineMs`. */
export function askSocket<T>(
  path: string,
  question: string,
  { body, deadlineMs = 5_000 }: { readonly body?: unknown; readonly deadlineMs?: number } = {},
): Promise<T | undefined> {
  return new Promise((done, fail) => {
    const method = body === undefined ? "GET" : "POST";
    const o = { socketPath: path, method, path: question, timeout: deadlineMs, agent: false };
    const request = http.request(o, (response) => {
      let text = "";
      response.on("data", (d: Buffer) => (text += d.toString()));
      response.on("end", () => {
        if (response.statusCode === 200) return done(JSON.parse(text) as T);
        fail(new Error(reasonOf(text)));
      });
    });
    request.on("timeout", () =>
      request.destroy(new Error(`the process at ${path} did not answer within ${deadlineMs} ms`)),
    );
    request.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== undefined && NOBODY.has(error.code)) return done(undefined);
      fail(error);
    });
    request.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

function reasonOf(text: string): string {
  try {
    return (JSON.parse(text) as { message: string }).message;
  } catch {
    return `it could not be done: ${text}`;
  }
}
