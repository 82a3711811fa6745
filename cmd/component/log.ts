/** The log of a program: JSON, a line an event, by pino. */
import { destination } from "pino";
import type { Logger } from "../../pkg/util/log.ts";
import { LogLevels, openLogger } from "./log-levels.ts";

export interface LogOptions {
  /** What is logged; {@link LogLevels} can be changed while the program runs. */
  readonly level: string | LogLevels;
  /** Default: the error output. */
  readonly file?: string;
}

/** Written at once: the last lines before a crash are the ones that matter. Throws for a level that there is not. */
export function openLog({ level, file }: LogOptions): Logger {
  const to = destination({ dest: file ?? 2, append: true, mkdir: file !== undefined, sync: true });
  return openLogger(typeof level === "string" ? new LogLevels(level) : level, to);
}
