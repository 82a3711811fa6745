import { describe, expect, test } from "@jest/globals";
import { spawn } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { arch, tmpdir } from "node:os";
import { join } from "node:path";
import { type Architecture, assemble, elf, type Step } from "./machine-code.ts";

const EXIT: Step = { call: "exit_group", args: [0] };

describe("assemble", () => {
  test.each<[string, Step[], string, string]>([
    // As objdump shows them: after the prologue of each machine.
    ["a call", [{ call: "exit_group", args: [1] }], "bf01000000 b8e7000000 0f05", "200080d2 c80b80d2 010000d4"],
    [
      "what is kept, what came out, and the buffer",
      [{ keep: "result" }, { call: "write", args: ["kept", "buffer", "result"] }],
      "89c3 89df 4889e6 89c2 b801000000 0f05",
      "f30300aa e20300aa e1030091 e00313aa 080880d2 010000d4",
    ],
    [
      "jumps, forward and back",
      [{ jump: "end", when: "<=0" }, { label: "top" }, { jump: "top" }, { label: "end" }],
      "4885c0 0f8e05000000 e9fbffffff",
      "1f0000f1 4d000054 00000014",
    ],
  ])("%s", (_, steps, amd64, arm64) => {
    const [x, a] = [assemble(steps, "amd64"), assemble(steps, "arm64")];
    expect(x.subarray(7).toString("hex")).toBe(amd64.replaceAll(" ", ""));
    expect(a.subarray(4).toString("hex")).toBe(arm64.replaceAll(" ", ""));
  });

  test("a jump to nowhere is refused", () => {
    expect(() => assemble([{ jump: "nowhere" }], "amd64")).toThrow("no label nowhere");
  });

  test("what it makes runs on this machine: every condition jumps when it should", async () => {
    const dir = mkdtempSync(join(tmpdir(), "code-"));
    const here: Architecture = arch() === "arm64" ? "arm64" : "amd64";
    /** read gives 1 for one byte, 0 at the end, a negative number for a file that is not open. */
    const results: readonly (readonly [Step, string])[] = [
      [{ call: "read", args: [0, "buffer", 1] }, ">0 !=0"],
      [{ call: "read", args: [0, "buffer", 0] }, "<=0 =0"],
      [{ call: "read", args: [99, "buffer", 1] }, "<=0 !=0"],
    ];
    const conditions = ["<=0", ">0", "=0", "!=0"] as const;
    for (const [n, [call, holding]] of results.entries()) {
      for (const when of conditions) {
        const steps: Step[] = [call, { jump: "yes", when }, EXIT, { label: "yes" }, { call: "exit_group", args: [1] }];
        const path = join(dir, `${n}${conditions.indexOf(when)}`);
        writeFileSync(path, elf(here, assemble(steps, here)));
        chmodSync(path, 0o755);
        const child = spawn(path, { stdio: ["pipe", "ignore", "ignore"] });
        child.stdin.on("error", () => {}).end("x");
        const code = await new Promise((resolve) => child.once("close", resolve));
        expect([n, when, code]).toEqual([n, when, holding.split(" ").includes(when) ? 1 : 0]);
      }
    }
    rmSync(dir, { recursive: true });
  });
});
