/** All processes of a host, frozen and thawed: as a machine that is suspended, or whose hypervisor has no time for it. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** Who is in the pid namespace of `init`, and all their descendants: those of containers, too. */
function processesOf(init: number): number[] {
  const namespace = (pid: number) => linkOf(`/proc/${pid}/ns/pid`);
  const own = namespace(init);
  const children = new Map<number, number[]>();
  const found: number[] = [];
  for (const pid of readdirSync("/proc").map(Number).filter(Number.isInteger)) {
    const parent = parentOf(pid);
    children.set(parent, [...(children.get(parent) ?? []), pid]);
    if (own !== undefined && namespace(pid) === own) found.push(pid);
  }
  const all = new Set<number>();
  for (let pid = found.pop(); pid !== undefined; pid = found.pop()) {
    if (all.has(pid)) continue;
    all.add(pid);
    found.push(...(children.get(pid) ?? []));
  }
  return [...all];
}

/** Until none is left that runs: who is frozen starts no more, but one more may have been started meanwhile. */
export function freezeAll(init: number): void {
  const frozen = new Set<number>();
  for (;;) {
    const more = processesOf(init).filter((pid) => !frozen.has(pid));
    if (more.length === 0) return;
    for (const pid of more) {
      frozen.add(pid);
      signal(pid, "SIGSTOP");
    }
  }
}

/** With who waits for them outside: nsenter stops when its child does. */
export function thawAll(init: number): void {
  const all = processesOf(init);
  const waiting = all.map(parentOf).filter((pid) => pid > 1);
  for (const pid of new Set([...waiting, ...all])) signal(pid, "SIGCONT");
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined; // gone
  }
}

function parentOf(pid: number): number {
  try {
    // pid (comm) state ppid …; comm may hold anything, even brackets
    return Number(
      readFileSync(`/proc/${pid}/stat`, "utf8")
        .replace(/^.*\) /s, "")
        .split(" ")[1],
    );
  } catch {
    return -1; // gone
  }
}
