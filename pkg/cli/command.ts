/** What a command is to the program. */
import type { Command } from "commander";
import type { Session } from "./session.ts";

export interface CommandEntry {
  readonly name: string;
  readonly aliases?: readonly string[];
  readonly group: string;
  readonly summary: string;
  readonly hidden?: boolean;
  readonly load: () => Promise<{ command: CommandModule }>;
}

/** What a command's module exports as `command`. */
export interface CommandModule {
  /** Declares arguments and options, and what to do. The session connects on first use. */
  define(command: Command, run: Run): void;
}

/** Makes an action of a function: gives it a session, and takes care of its end. */
export type Run = <A extends unknown[]>(
  action: (session: Session, ...args: A) => Promise<unknown>,
) => (...args: A) => Promise<void>;

/** For a command's help. */
export function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((l) => `  ${l}`).join("\n")}\n`;
}
