/** What Pods that are gone have said: their nodes have kept it. */
import type { KeptLogEntry } from "../api/kept-logs.ts";
import { CliError } from "./io.ts";
import { agentPath, chooseNodes } from "./node-images.ts";
import type { Session } from "./session.ts";

export interface GoneLog {
  readonly container: string;
  /** Where it is read. */
  readonly path: string;
  readonly uid: string;
}

/** Of the last Pod of that name, its containers' logs; empty when no node has kept any. Says whose they are. */
export async function goneLogs(
  session: Session,
  pod: string,
  o: { readonly container?: string | undefined; readonly all: boolean },
): Promise<readonly GoneLog[]> {
  const kept = await keptLogs(session, pod);
  const newest = kept.toSorted((a, b) => b.log.endedAt - a.log.endedAt)[0];
  if (!newest) return [];
  const { uid, endedAt } = newest.log;
  const mine = kept.filter((k) => k.log.uid === uid);
  const containers = [...new Set(mine.map((k) => k.log.container))].toSorted();
  const ended = new Date(endedAt).toISOString();
  session.note(`Pod ${JSON.stringify(pod)} is gone from node ${newest.node} since ${ended}; this is what it said:`);
  const wanted = o.all ? containers : [choose(session, containers, o.container)];
  return wanted.map((container) => ({
    container,
    uid,
    path: agentPath(newest.node, "containerLogs", session.namespace, pod, container),
  }));
}

function choose(session: Session, containers: readonly string[], named: string | undefined): string {
  if (named !== undefined) {
    if (containers.includes(named)) return named;
    throw new CliError(`no log of container ${named} was kept, but of: ${containers.join(", ")}`);
  }
  const [first = "", ...others] = containers;
  if (others.length > 0) session.note(`Defaulted container ${JSON.stringify(first)} out of: ${containers.join(", ")}`);
  return first;
}

/** Of all nodes that answer; rejects when none does. */
async function keptLogs(session: Session, pod: string): Promise<{ node: string; log: KeptLogEntry }[]> {
  const query = { namespace: session.namespace, pod };
  const asked = await Promise.allSettled(
    (await chooseNodes(session)).map(async (node) => {
      const text = await session.transport.text(agentPath(node, "keptLogs"), { query }, session.io.signal);
      return (JSON.parse(text) as { logs: KeptLogEntry[] }).logs.map((log) => ({ node, log }));
    }),
  );
  const answers = asked.flatMap((r) => (r.status === "fulfilled" ? [r.value] : []));
  const [failure] = asked.flatMap((r) => (r.status === "rejected" ? [r.reason as unknown] : []));
  if (answers.length === 0 && failure !== undefined) throw failure;
  return answers.flat();
}
