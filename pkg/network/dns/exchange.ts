/** One question to one other server, over UDP, and over TCP where the answer was cut. */
import { createSocket } from "node:dgram";
import { connect } from "node:net";
import { randomInt } from "node:crypto";
import { onAbort } from "../../reconcile/controller.ts";
import { type Answer, type Question, readAnswer, writeQuery } from "./message.ts";
import type { UpstreamAddress } from "./settings.ts";

/** Rejects when the signal aborts, or when the server cannot be reached. */
export type Exchange = (to: UpstreamAddress, question: Question, signal: AbortSignal) => Promise<Answer>;

export const exchange: Exchange = async (to, question, signal) => {
  const { truncated, ...answer } = await overUdp(to, question, signal);
  return truncated ? overTcp(to, question, signal) : answer;
};

type Read = NonNullable<ReturnType<typeof readAnswer>>;

/** A socket of its own, so that who wants to forge an answer must guess port and number both. */
function overUdp(to: UpstreamAddress, question: Question, signal: AbortSignal): Promise<Read> {
  const socket = createSocket(to.host.includes(":") ? "udp6" : "udp4");
  const id = randomInt(0x10000);
  const answered = new Promise<Read>((resolve, reject) => {
    socket.on("error", reject);
    socket.on("message", (bytes) => {
      const answer = readAnswer(bytes, id, question);
      if (answer) resolve(answer);
    });
    socket.connect(to.port, to.host, () => socket.send(writeQuery(id, question)));
  });
  return untilAborted(answered, signal, () => socket.close());
}

async function overTcp(to: UpstreamAddress, question: Question, signal: AbortSignal): Promise<Answer> {
  const socket = connect(to);
  const id = randomInt(0x10000);
  const answered = new Promise<Read>((resolve, reject) => {
    let bytes = Buffer.alloc(0);
    socket.on("error", reject);
    socket.on("close", () => reject(new Error(`${to.host}:${to.port} closed the connection`)));
    socket.on("data", (more) => {
      bytes = Buffer.concat([bytes, more]);
      const end = bytes.length < 2 ? Infinity : 2 + bytes.readUInt16BE(0);
      if (bytes.length < end) return;
      const answer = readAnswer(bytes.subarray(2, end), id, question);
      if (answer) resolve(answer);
      else reject(new Error(`${to.host}:${to.port} answered something else`));
    });
    socket.write(framed(writeQuery(id, question)));
  });
  const { truncated: _, ...answer } = await untilAborted(answered, signal, () => socket.destroy());
  return answer;
}

/** As TCP carries messages: the length comes first. */
export function framed(message: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}

async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal, close: () => void): Promise<T> {
  let abort: Disposable | undefined;
  const aborted = new Promise<never>((_, reject) => {
    abort = onAbort(signal, () => reject(signal.reason as Error));
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    abort?.[Symbol.dispose]();
    close();
  }
}
