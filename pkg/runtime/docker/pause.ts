/**
 * The program of a sandbox container, assembled here so that it needs no registry, no package and no compiler.
 *
 * It is PID 1 of the Pod and must do three things: stay, take in orphans (with shareProcessNamespace), and go at once when
 * told to. As C, with each call being one system call:
 *
 *     static const struct sigaction ignore = { .sa_handler = SIG_IGN };
 *     static const sigset_t set = { SIGTERM, SIGINT };
 *     int main() {
 *       rt_sigaction(SIGCHLD, &ignore, 0, 8);     // the kernel reaps for a parent that ignores SIGCHLD
 *       rt_sigprocmask(SIG_BLOCK, &set, 0, 8);    // a blocked signal waits even for PID 1, an unhandled one would be lost
 *       while (rt_sigtimedwait(&set, 0, 0, 8) < 0) {}   // < 0: interrupted, as by SIGSTOP and SIGCONT
 *       exit_group(0);
 *     }
 */
import { type Architecture, elf } from "./machine-code.ts";

const SIGINT = 2;
const SIGTERM = 15;
const SIGCHLD = 17;
const SIG_BLOCK = 0;
const SIG_IGN = 1n;
const SIGSET_SIZE = 8;

/** A static ELF executable of a few hundred bytes. */
export function pauseProgram(architecture: Architecture): Buffer {
  const code = architecture === "amd64" ? amd64() : arm64();
  return elf(architecture, Buffer.concat([code, data()]));
}

/** The set (8 bytes), then the action: handler, flags, restorer, mask (8 bytes each on both machines). */
function data(): Buffer {
  const bytes = Buffer.alloc(5 * 8);
  bytes.writeBigUInt64LE((1n << BigInt(SIGTERM - 1)) | (1n << BigInt(SIGINT - 1)), 0);
  bytes.writeBigUInt64LE(SIG_IGN, 8);
  return bytes;
}
const SET = { at: 0 };
const ACTION = { at: 8 };

/** An argument of a system call: a number, or the address of something in the data. */
type Argument = number | { readonly at: number };

const le32 = (n: number) => [n & 255, (n >> 8) & 255, (n >> 16) & 255, (n >>> 24) & 255];

/** System calls take their number in eax and arguments in rdi, rsi, rdx, r10. */
function amd64(): Buffer {
  const SIZE = 120;
  const MOV = [[0xbf], [0xbe], [0xba], [0x41, 0xba]]; // mov edi/esi/edx/r10d, imm32
  const LEA = [
    [0x48, 0x8d, 0x3d],
    [0x48, 0x8d, 0x35],
  ]; // lea rdi/rsi, [rip + imm32]
  const code: number[] = [];
  const call = (number: number, ...args: Argument[]) => {
    code.push(0xb8, ...le32(number)); // mov eax, imm32
    for (const [i, arg] of args.entries()) {
      if (typeof arg === "number") code.push(...(MOV[i] ?? []), ...le32(arg));
      else code.push(...(LEA[i] ?? []), ...le32(SIZE + arg.at - (code.length + 7))); // from the next instruction
    }
    code.push(0x0f, 0x05); // syscall
  };

  call(13, SIGCHLD, ACTION, 0, SIGSET_SIZE); // rt_sigaction
  call(14, SIG_BLOCK, SET, 0, SIGSET_SIZE); // rt_sigprocmask
  const loop = code.length;
  call(128, SET, 0, 0, SIGSET_SIZE); // rt_sigtimedwait
  code.push(0x85, 0xc0); // test eax, eax
  code.push(0x78, (loop - (code.length + 2)) & 255); // js loop
  call(231, 0); // exit_group
  return padded(code, SIZE);
}

/** System calls take their number in x8 and arguments in x0 to x3. */
function arm64(): Buffer {
  const SIZE = 96;
  const words: number[] = [];
  const mov = (register: number, n: number) => words.push(0xd2800000 | (n << 5) | register); // movz x, imm16
  const call = (number: number, ...args: Argument[]) => {
    for (const [i, arg] of args.entries()) {
      if (typeof arg === "number") mov(i, arg);
      else words.push(0x10000000 | (((SIZE + arg.at - words.length * 4) >> 2) << 5) | i); // adr x, offset (a multiple of 4)
    }
    mov(8, number);
    words.push(0xd4000001); // svc 0
  };

  call(134, SIGCHLD, ACTION, 0, SIGSET_SIZE); // rt_sigaction
  call(135, SIG_BLOCK, SET, 0, SIGSET_SIZE); // rt_sigprocmask
  const loop = words.length;
  call(137, SET, 0, 0, SIGSET_SIZE); // rt_sigtimedwait
  words.push(0x37f80000 | (((loop - words.length) & 0x3fff) << 5)); // tbnz w0, #31, loop
  call(94, 0); // exit_group
  return padded(words.flatMap(le32), SIZE);
}

function padded(code: readonly number[], size: number): Buffer {
  if (code.length > size) throw new Error(`pause: ${code.length} bytes of code, room for ${size}`);
  return Buffer.concat([Buffer.from(code)], size);
}

/** An uncompressed ustar archive of executable files. */
export function tarOf(files: Readonly<Record<string, Buffer>>): Buffer {
  return Buffer.concat([...Object.entries(files).map(([name, content]) => member(name, content)), Buffer.alloc(1024)]);
}

function member(name: string, content: Buffer): Buffer {
  const header = Buffer.alloc(512);
  const octal = (n: number, at: number, length: number) =>
    header.write(n.toString(8).padStart(length - 1, "0"), at, "ascii");
  header.write(name, 0, "ascii");
  octal(0o755, 100, 8);
  octal(0, 108, 8); // uid
  octal(0, 116, 8); // gid
  octal(content.length, 124, 12);
  octal(0, 136, 12); // modification time: the same bytes each time
  header.write("        0", 148, "ascii"); // checksum counted as blanks, regular file
  header.write("ustar\x0000", 257, "latin1");
  octal(
    header.reduce((sum, byte) => sum + byte, 0),
    148,
    7,
  );
  header.write("\0 ", 154, "latin1");
  const padding = Buffer.alloc((512 - (content.length % 512)) % 512);
  return Buffer.concat([header, content, padding]);
}
