/**
 * The gRPC health protocol (`grpc.health.v1.Health/Check`) as far as a probe needs it: one unary call over HTTP/2 in plain
 * text. Request and answer have one field each, so they are read and written here.
 */
import { connect, type ClientHttp2Session } from "node:http2";
import type { ProbeResult } from "./probe-actions.ts";

/** ServingStatus, by number. */
const SERVING_STATUS = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];
const OK = 0;
const UNIMPLEMENTED = 12;
/** Of an answer: five bytes and one field are all there is to it. */
const MAX_ANSWER = 1024;

export interface GrpcProbe {
  readonly host: string;
  readonly port: number;
  readonly service: string;
}

/** Rejects when nobody answers, or not in this protocol. */
export async function grpcProbe(p: GrpcProbe, signal: AbortSignal): Promise<ProbeResult> {
  signal.throwIfAborted();
  const session = connect(`http://${p.host}:${p.port}`);
  const onAbort = () => session.destroy();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return resultOf(await check(session, p.service));
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener("abort", onAbort);
    session.destroy();
  }
}

interface Answer {
  readonly status: number;
  readonly message: string;
  readonly body: Buffer;
}

function check(session: ClientHttp2Session, service: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    session.once("error", reject);
    session.once("close", () => reject(new Error("connection closed before an answer was received")));
    const call = session.request({
      ":method": "POST",
      ":path": "/grpc.health.v1.Health/Check",
      "content-type": "application/grpc",
      te: "trailers",
      "user-agent": "kube-probe/1.36",
    });
    let body: Buffer = Buffer.alloc(0);
    let status: string | undefined;
    let message = "";
    // A call that fails at once carries its status in the headers, others in the trailers.
    const learn = (headers: Readonly<Record<string, unknown>>) => {
      status ??= headers["grpc-status"] as string | undefined;
      message ||= decodeURIComponent(String((headers["grpc-message"] as string | undefined) ?? ""));
    };
    call.on("response", learn);
    call.on("trailers", learn);
    call.on("data", (part: Buffer) => (body = Buffer.concat([body, part]).subarray(0, MAX_ANSWER)));
    call.once("error", reject);
    call.once("end", () => {
      if (status === undefined) reject(new Error("the answer has no grpc-status"));
      else resolve({ status: Number(status), message, body });
    });
    call.end(framed(requestBytes(service)));
  });
}

function resultOf({ status, message, body }: Answer): ProbeResult {
  if (status === UNIMPLEMENTED) {
    const why = `rpc error: code = Unimplemented desc = ${message}`;
    return {
      ok: false,
      message: `error: this server does not implement the grpc health protocol (grpc.health.v1.Health): ${why}`,
    };
  }
  if (status !== OK)
    return { ok: false, message: `error: health rpc probe failed: code = ${status} desc = ${message}` };
  const serving = servingStatus(body.subarray(5));
  return { ok: serving === "SERVING", message: `service unhealthy (responded with "${serving}")` };
}

/** Not compressed, so long. */
function framed(message: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** HealthCheckRequest: field 1 is the service's name. */
function requestBytes(service: string): Buffer {
  const name = Buffer.from(service);
  return name.length === 0 ? name : Buffer.concat([Buffer.from([0x0a]), varint(name.length), name]);
}

function varint(n: number): Buffer {
  return n < 0x80 ? Buffer.from([n]) : Buffer.concat([Buffer.from([(n & 0x7f) | 0x80]), varint(n >>> 7)]);
}

/** HealthCheckResponse: field 1 is a ServingStatus; left out, it is 0. */
function servingStatus(message: Buffer): string {
  const n = message[0] === 0x08 ? (message[1] ?? 0) : 0;
  return SERVING_STATUS[n] ?? String(n);
}
