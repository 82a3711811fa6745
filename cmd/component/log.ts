/** The log of a program: JSON, a line an event, by pino. */
import { destination, pino, stdTimeFunctions } from "pino";
import type { Logger } from "../../pkg/util/log.ts";

export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;

export interface LogOptions {
  readonly level: string;
  /** Default: the error output. */
  readonly file?: string;
}

/** Written at once: the last lines before a crash are the ones that matter. */
export function openLog({ level, file }: LogOptions): Logger {
  const to = destination({ dest: file ?? 2, append: true, mkdir: file !== undefined, sync: true });
  return pino({ level, base: null, timestamp: stdTimeFunctions.isoTime }, to);
}
