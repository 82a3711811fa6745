import { readFileSync } from "node:fs";

const CAP_SYS_RESOURCE = 24n;

/**
 * Whether the OOM score of a process can be lowered here. Where the machine itself is a container without
 * CAP_SYS_RESOURCE (nested CI, some sandboxes), runc fails to start any container with a negative score, so there the
 * score is only a wish. `status` is /proc/self/status: what our bounding set lacks, the daemon beside us lacks too.
 */
export function canLowerOomScore(status: string): boolean {
  const bounding = /^CapBnd:\s*([0-9a-f]+)$/m.exec(status)?.[1];
  return bounding === undefined || ((BigInt(`0x${bounding}`) >> CAP_SYS_RESOURCE) & 1n) === 1n;
}

/** Empty where there is no /proc: the daemon is then in a machine of its own. */
export function ownStatus(): string {
  try {
    return readFileSync("/proc/self/status", "utf8");
  } catch {
    return "";
  }
}
