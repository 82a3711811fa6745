/** The audit log as a file that only grows. */
import { createWriteStream } from "node:fs";
import type { Logger } from "../../util/log.ts";
import type { AuditSink } from "./audit.ts";

/** What may wait for the disk. */
const MAX_PENDING_BYTES = 8 * 1024 * 1024;

export interface AuditLog {
  readonly sink: AuditSink;
  /** Resolves when all lines taken are in the file. */
  close(): Promise<void>;
}

/** Rejects when the file cannot be written. */
export async function openAuditLog(file: string, log: Logger): Promise<AuditLog> {
  const stream = createWriteStream(file, { flags: "a", mode: 0o600 });
  await new Promise<void>((resolve, reject) => stream.once("open", () => resolve()).once("error", reject));
  let broken = false;
  stream.on("error", (error) => {
    broken = true;
    log.error({ err: error, file }, "the audit log cannot be written any more");
  });
  let dropping = false;
  return {
    sink: (line) => {
      const full = broken || stream.writableLength + line.length > MAX_PENDING_BYTES;
      if (full && !dropping) log.warn({ file }, "the audit log loses lines: its disk is too slow");
      dropping = full;
      if (!full) stream.write(line);
      return !full;
    },
    close: () => new Promise((resolve) => (broken ? resolve() : stream.end(() => resolve()))),
  };
}
