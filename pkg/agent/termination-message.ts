/**
 * The last words of a container: a small file of the node, mounted where the container is told to write them, or the end
 * of its log.
 */
import { chmodSync, closeSync, mkdirSync, openSync, readSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { ContainerRuntime, RuntimeContainer } from "../runtime/runtime.ts";
import { allContainersOf, type Container, type Pod } from "./facts.ts";

/** As the kubelet's: of one container, of all containers of a Pod together, and of a log that stands in for a file. */
const MAX_BYTES = 4096;
const MAX_POD_BYTES = 12 * 1024;
const MAX_LOG_BYTES = 2048;
const MAX_LOG_LINES = 80;

const DEFAULT_PATH = "/dev/termination-log";

export interface MessageMount {
  readonly hostPath: string;
  readonly containerPath: string;
  readonly readOnly: boolean;
}

/**
 * Makes the file of one attempt. It is empty and there at once, so this waits for no thread: the hand-over would cost
 * more than the work. Undefined where it cannot be made: a container can do without.
 */
export function messageMount(dataDir: string, pod: Pod, c: Container, attempt: number): MessageMount | undefined {
  const hostPath = fileOf(dataDir, pod, { name: c.name, attempt });
  try {
    mkdirSync(join(hostPath, ".."), { recursive: true });
    closeSync(openSync(hostPath, "a"));
    chmodSync(hostPath, 0o666); // whoever the container runs as
  } catch {
    return undefined;
  }
  return { hostPath, containerPath: c.terminationMessagePath || DEFAULT_PATH, readOnly: false };
}

export function removeMessage(dataDir: string, pod: Pod, of: { name: string; attempt: number }): void {
  rmSync(fileOf(dataDir, pod, of), { force: true });
}

/** All that the node has of a Pod without volumes: a few small files. As above, this waits for no thread. */
export function removePodFiles(dataDir: string, uid: string): void {
  rmSync(join(dataDir, "pods", uid), { recursive: true, force: true });
}

/** Empty when it has left none. */
export async function readMessage(
  o: { readonly dataDir: string; readonly runtime: Pick<ContainerRuntime, "logs">; readonly pod: Pod },
  dead: RuntimeContainer,
  signal: AbortSignal,
): Promise<string> {
  const spec = allContainersOf(o.pod).find((c) => c.name === dead.name);
  if (!spec) return "";
  const limit = Math.min(MAX_BYTES, Math.floor(MAX_POD_BYTES / allContainersOf(o.pod).length));
  const written = readStart(fileOf(o.dataDir, o.pod, dead), limit);
  const fallback = spec.terminationMessagePolicy === "FallbackToLogsOnError" && dead.exitCode !== 0;
  if (written.length > 0 || !fallback || dead.startedAt === undefined) return text(written);
  const log = await endOfLog(o.runtime, dead.id, signal);
  return text(log.subarray(0, limit));
}

async function endOfLog(runtime: Pick<ContainerRuntime, "logs">, id: string, signal: AbortSignal): Promise<Buffer> {
  let end: Buffer = Buffer.alloc(0);
  for await (const { data } of runtime.logs(id, { tail: MAX_LOG_LINES }, signal))
    end = Buffer.concat([end, data]).subarray(-MAX_LOG_BYTES);
  return end;
}

/** However much a container has written, only this much is read. */
function readStart(file: string, limit: number): Buffer {
  try {
    const fd = openSync(file, "r");
    try {
      const buffer = Buffer.alloc(limit);
      return buffer.subarray(0, readSync(fd, buffer, 0, limit, 0));
    } finally {
      closeSync(fd);
    }
  } catch {
    return Buffer.alloc(0); // it could not be made, or a container that was adopted is older than it
  }
}

/** A character cut in two at the limit is left out. */
function text(bytes: Buffer): string {
  return bytes.toString("utf8").replace(/\uFFFD$/, "");
}

function fileOf(dataDir: string, pod: Pod, of: { readonly name: string; readonly attempt: number }): string {
  return join(dataDir, "pods", pod.metadata.uid ?? "", "containers", of.name, String(of.attempt));
}
