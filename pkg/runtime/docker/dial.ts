/**
 * The way to what listens on a Pod's localhost only: a program in the sandbox's image, run by exec within the Pod's network,
 * that connects and copies between the connection and its own stdin and stdout. As C, each call being one system call:
 *
 *     int main() {
 *       read(0, buffer, 16);                        // first comes the address, a struct sockaddr_in
 *       int s = socket(AF_INET, SOCK_STREAM, 0);
 *       long result = connect(s, buffer, 16);
 *       write(1, &result, 8);                       // then goes the result: 0, or an error's number, negative
 *       if (result != 0) exit_group(0);
 *       if (clone(SIGCHLD, 0, 0, 0) == 0) {         // a process for each direction
 *         prctl(PR_SET_PDEATHSIG, SIGKILL);
 *         while ((n = read(0, buffer, …)) > 0 && write(s, buffer, n) > 0);
 *         shutdown(s, SHUT_WR);
 *         exit_group(0);
 *       }
 *       while ((n = read(s, buffer, …)) > 0 && write(1, buffer, n) > 0);
 *       exit_group(0);
 *     }
 */
import { Duplex } from "node:stream";
import { getSystemErrorName } from "node:util";
import { type ExecSession, type LogChunk, RuntimeError } from "../runtime.ts";
import { type Architecture, assemble, BUFFER_BYTES, elf, type Step } from "./machine-code.ts";

const [STDIN, STDOUT] = [0, 1];
const AF_INET = 2;
const SOCK_STREAM = 1;
const SHUT_WR = 1;
const [SIGKILL, SIGCHLD] = [9, 17];
const PR_SET_PDEATHSIG = 1;
const ADDRESS_BYTES = 16;
const RESULT_BYTES = 8;

const copy = (from: number | "kept", to: number | "kept", label: string): Step[] => [
  { label },
  { call: "read", args: [from, "buffer", BUFFER_BYTES] },
  { jump: `${label} ended`, when: "<=0" },
  { call: "write", args: [to, "buffer", "result"] },
  { jump: label, when: ">0" },
  { label: `${label} ended` },
];

const PROGRAM: readonly Step[] = [
  { call: "read", args: [STDIN, "buffer", ADDRESS_BYTES] },
  { call: "socket", args: [AF_INET, SOCK_STREAM, 0] },
  { keep: "result" },
  { call: "connect", args: ["kept", "buffer", ADDRESS_BYTES] },
  { store: "result" },
  { jump: "refused", when: "!=0" },
  { call: "write", args: [STDOUT, "buffer", RESULT_BYTES] },
  { call: "clone", args: [SIGCHLD, 0, 0, 0] },
  { jump: "parent", when: "!=0" },
  { call: "prctl", args: [PR_SET_PDEATHSIG, SIGKILL] },
  ...copy(STDIN, "kept", "inwards"),
  { call: "shutdown", args: ["kept", SHUT_WR] },
  { jump: "exit" },
  { label: "refused" },
  { call: "write", args: [STDOUT, "buffer", RESULT_BYTES] },
  { jump: "exit" },
  { label: "parent" },
  ...copy("kept", STDOUT, "outwards"),
  { label: "exit" },
  { call: "exit_group", args: [0] },
];

export const DIAL_PATH = "/dial";

/** A static ELF executable of a few hundred bytes. */
export function dialProgram(architecture: Architecture): Buffer {
  return elf(architecture, assemble(PROGRAM, architecture));
}

/** `session` runs {@link dialProgram}. Rejects with a RuntimeError, the session closed. */
export async function dialLocalhost(session: ExecSession, port: number): Promise<Duplex> {
  const output = session.output[Symbol.asyncIterator]();
  try {
    await session.write(localhost(port));
    let said = Buffer.alloc(0);
    while (said.length < RESULT_BYTES) {
      const { value, done } = await output.next();
      if (done) break;
      said = Buffer.concat([said, value.data]);
    }
    const failure = said.length < RESULT_BYTES ? `it said ${JSON.stringify(said.toString())}` : failureOf(said);
    if (failure !== undefined) throw new RuntimeError("RuntimeError", `dial tcp4 127.0.0.1:${port}: ${failure}`);
    return duplex(session, { first: said.subarray(RESULT_BYTES), output });
  } catch (error) {
    session.close();
    throw error;
  }
}

/** A struct sockaddr_in: family, port and address in their own byte orders. */
function localhost(port: number): Uint8Array {
  const address = Buffer.alloc(ADDRESS_BYTES);
  address.writeUInt16LE(AF_INET, 0);
  address.writeUInt16BE(port, 2);
  address.set([127, 0, 0, 1], 4);
  return address;
}

/** Undefined: connected. An answer that is none of the program's is that of an image without it. */
function failureOf(said: Buffer): string | undefined {
  const result = said.readBigInt64LE(0);
  if (result === 0n) return undefined;
  if (result > 0n || result < -4095n) return "the sandbox's image has no way there";
  const name = getSystemErrorName(Number(result));
  return name === "ECONNREFUSED" ? "connect: connection refused" : `connect: ${name}`;
}

function duplex(session: ExecSession, o: { first: Uint8Array; output: AsyncIterator<LogChunk> }): Duplex {
  let first: Uint8Array | undefined = o.first;
  const next = async (): Promise<Uint8Array | null> => {
    const { value, done } = await o.output.next();
    return done ? null : value.stream === "stdout" ? value.data : next();
  };
  return new Duplex({
    read() {
      if (first && first.byteLength > 0) this.push(first);
      else
        next().then(
          (data) => this.push(data),
          (error: Error) => this.destroy(error),
        );
      first = undefined;
    },
    write: (data: Uint8Array, _, done) => void session.write(data).then(() => done(), done),
    final(done) {
      session.end();
      done();
    },
    destroy(error, done) {
      session.close();
      done(error);
    },
  });
}
