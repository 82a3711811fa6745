/**
 * An assembler for programs that are made of system calls only: enough for what runs inside a sandbox, so that its image
 * needs no registry, no package and no compiler. One program, both machines; register allocation is fixed.
 *
 * There are a buffer of {@link BUFFER_BYTES} (on the stack), one kept value, and the last call's result.
 */
export type Architecture = "amd64" | "arm64";

export const BUFFER_BYTES = 0x10000;

export type Argument = number | "buffer" | "kept" | "result";
export type Condition = "<=0" | ">0" | "=0" | "!=0";

export type Step =
  | { readonly call: keyof typeof CALLS; readonly args: readonly Argument[] }
  /** The result is kept. */
  | { readonly keep: "result" }
  /** The buffer begins with the result, in 8 bytes. */
  | { readonly store: "result" }
  | { readonly label: string }
  /** When the result is so; always without a condition. */
  | { readonly jump: string; readonly when?: Condition };

/** Numbers on amd64 and on arm64. */
const CALLS = {
  read: [0, 63],
  write: [1, 64],
  socket: [41, 198],
  connect: [42, 203],
  shutdown: [48, 210],
  clone: [56, 220],
  prctl: [157, 167],
  exit_group: [231, 94],
} as const;

/** A step's bytes; where those of a label stand is asked for, and means something from the second pass on. */
type Encoder = (step: Step, at: number, labels: ReadonlyMap<string, number>) => readonly number[];

/** Machine code that begins with its first step. Throws for a jump to nowhere. */
export function assemble(steps: readonly Step[], architecture: Architecture): Buffer {
  const { prologue, encode } = MACHINES[architecture];
  const labels = new Map<string, number>();
  // Sizes do not depend on where labels stand, so the second pass has them right.
  for (const pass of [1, 2]) {
    const code = [...prologue];
    for (const step of steps) {
      if ("label" in step) labels.set(step.label, code.length);
      else if ("jump" in step && pass === 2 && !labels.has(step.jump)) throw new Error(`no label ${step.jump}`);
      code.push(...encode(step, code.length, labels));
    }
    if (pass === 2) return Buffer.from(code);
  }
  throw new Error("unreachable");
}

const le32 = (n: number) => [n & 255, (n >> 8) & 255, (n >> 16) & 255, (n >>> 24) & 255];

/** Arguments in rdi, rsi, rdx, r10; the result in rax; kept in rbx; the buffer at rsp. */
const amd64: Encoder = (step, at, labels) => {
  if ("label" in step) return [];
  if ("keep" in step) return [0x89, 0xc3]; // mov ebx, eax
  if ("store" in step) return [0x48, 0x89, 0x04, 0x24]; // mov [rsp], rax
  if ("jump" in step) {
    const before = step.when ? [0x48, 0x85, 0xc0, 0x0f, AMD64_JUMPS[step.when]] : [0xe9]; // test rax, rax; jcc | jmp
    return [...before, ...le32((labels.get(step.jump) ?? 0) - (at + before.length + 4))];
  }
  const MOV = [[0xbf], [0xbe], [0xba], [0x41, 0xba]]; // mov edi/esi/edx/r10d, imm32
  const REGISTER = [7, 6, 2];
  const FROM = { kept: [0x89, 3], result: [0x89, 0], buffer: [0x48, 0x89, 4] };
  const moves = step.args.flatMap((arg, i) => {
    if (typeof arg === "number") return [...(MOV[i] ?? []), ...le32(arg)];
    const from = FROM[arg];
    return [...from.slice(0, -1), 0xc0 | ((from.at(-1) ?? 0) << 3) | (REGISTER[i] ?? 0)]; // mov register, from
  });
  return [...moves, 0xb8, ...le32(CALLS[step.call][0]), 0x0f, 0x05]; // mov eax, number; syscall
};
const AMD64_JUMPS: Readonly<Record<Condition, number>> = { "<=0": 0x8e, ">0": 0x8f, "=0": 0x84, "!=0": 0x85 };

/** Arguments in x0 to x3; the result in x0; kept in x19; the buffer at sp. */
const arm64: Encoder = (step, at, labels) => {
  if ("label" in step) return [];
  if ("keep" in step) return le32(0xaa0003f3); // mov x19, x0
  if ("store" in step) return le32(0xf90003e0); // str x0, [sp]
  if ("jump" in step) {
    const words = (from: number) => ((labels.get(step.jump) ?? 0) - from) >> 2;
    if (!step.when) return le32(0x14000000 | (words(at) & 0x3ffffff)); // b
    const jump = 0x54000000 | ((words(at + 4) & 0x7ffff) << 5) | ARM64_CONDITIONS[step.when];
    return [...le32(0xf100001f), ...le32(jump)]; // cmp x0, 0; b.cond
  }
  const FROM = { kept: 0xaa1303e0, result: 0xaa0003e0, buffer: 0x910003e0 }; // mov x?, x19 | x0 | sp
  const moves = step.args.map((arg, i) => {
    if (typeof arg !== "number") return FROM[arg] | i;
    return arg > 0xffff ? 0xd2a00000 | ((arg >> 16) << 5) | i : 0xd2800000 | (arg << 5) | i; // movz x?, arg
  });
  // From the last: x0 may be needed as the result until it is an argument.
  const words = [...moves.toReversed(), 0xd2800008 | (CALLS[step.call][1] << 5), 0xd4000001]; // mov x8, number; svc 0
  return words.flatMap(le32);
};
const ARM64_CONDITIONS: Readonly<Record<Condition, number>> = { "<=0": 0xd, ">0": 0xc, "=0": 0x0, "!=0": 0x1 };

const MACHINES: Readonly<Record<Architecture, { readonly prologue: readonly number[]; readonly encode: Encoder }>> = {
  amd64: { prologue: [0x48, 0x81, 0xec, ...le32(BUFFER_BYTES)], encode: amd64 }, // sub rsp, …
  arm64: { prologue: le32(0xd14043ff), encode: arm64 }, // sub sp, sp, 16 << 12
};

/** A static executable of one segment, readable and executable, that holds the whole file; entry right after the headers. */
export function elf(architecture: Architecture, body: Buffer): Buffer {
  const HEADERS = 64 + 56;
  const BASE = 0x400000n;
  const size = BigInt(HEADERS + body.length);
  const h = Buffer.alloc(HEADERS);
  h.write("\x7fELF\x02\x01\x01", 0, "latin1"); // 64 bit, little endian, version 1
  h.writeUInt16LE(2, 16); // executable
  h.writeUInt16LE(architecture === "amd64" ? 0x3e : 0xb7, 18);
  h.writeUInt32LE(1, 20); // version
  h.writeBigUInt64LE(BASE + BigInt(HEADERS), 24); // entry
  h.writeBigUInt64LE(64n, 32); // program headers' offset
  h.writeUInt16LE(64, 52); // size of this header
  h.writeUInt16LE(56, 54); // size of a program header
  h.writeUInt16LE(1, 56); // number of them
  h.writeUInt32LE(1, 64); // PT_LOAD
  h.writeUInt32LE(5, 68); // read, execute
  h.writeBigUInt64LE(BASE, 80); // virtual address
  h.writeBigUInt64LE(BASE, 88); // physical address
  h.writeBigUInt64LE(size, 96); // in the file
  h.writeBigUInt64LE(size, 104); // in memory
  h.writeBigUInt64LE(0x10000n, 112); // alignment: arm64 has pages of up to 64 KiB
  return Buffer.concat([h, body]);
}
