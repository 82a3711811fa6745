/** `queue`: the Jobs that queue, their places, and what they wait for. */
import { humanAge } from "../../api/duration.ts";
import type { Job } from "../../api/generated/types.ts";
import { gangSize, queuedCondition, queueOf, splitPlace } from "../../api/job-queue.ts";
import { nameOf, namespaceOf } from "../../api/object.ts";
import { condition } from "../../api/pod.ts";
import type { ResourceRef } from "../../api/resource.ts";
import { Client } from "../../client/client.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { type CommandModule, examples } from "../command.ts";
import { TablePrinter } from "../output/table.ts";
import type { Session } from "../session.ts";

interface Options {
  all?: boolean;
  headers: boolean;
}

const jobs: ResourceRef<Job> = { group: "batch", version: "v1", kind: "Job", plural: "jobs", namespaced: true };
const HEADER = ["QUEUE", "PLACE", "NAMESPACE", "JOB", "PODS", "SINCE", "REASON"];

export const command: CommandModule = {
  define: (c, run) =>
    c
      .argument("[queues...]", "only these queues")
      .option("-a, --all", "also the Jobs that have ended")
      .option("--no-headers", "no line of headings")
      .addHelpText(
        "after",
        examples(
          "mini-kube queue                 who waits, in which place, and for what",
          "mini-kube queue team-a          of one queue",
          "mini-kube queue -n team-a       of the Jobs of one namespace",
        ),
      )
      .action(run(queue)),
};

async function queue(session: Session, names: string[], o: Options): Promise<void> {
  const client = new Client(session.transport, "mini-kube");
  const { items } = await client.resource(jobs, session.flags.namespace).list();
  const queued = items.filter((job) => {
    const name = queueOf(job);
    return name !== undefined && (names.length === 0 || names.includes(name)) && (o.all || !endOf(job));
  });
  if (queued.length === 0) return session.note("No Jobs in queues.");
  const now = session.io.clock.now();
  const rows = queued.map((job) => ({ job, at: placeOf(job) })).toSorted(byPlace);
  const header = o.headers ? HEADER : undefined;
  const table = { header, rows: rows.map(({ job }) => rowOf(job, now)) };
  await session.say(new TablePrinter(session.paint).format(table));
}

function endOf(job: DeepReadonly<Job>): string | undefined {
  return ["Complete", "Failed"].find((type) => condition(job.status?.conditions, type)?.status === "True");
}

/** Undefined: it does not wait, or nobody has looked at it yet. */
function placeOf(job: DeepReadonly<Job>): number | undefined {
  const said = queuedCondition(job);
  return said?.status === "True" ? splitPlace(said.message ?? "").place : undefined;
}

type Placed = { readonly job: DeepReadonly<Job>; readonly at: number | undefined };

/** Queue by queue: first those that run. */
function byPlace(a: Placed, b: Placed): number {
  const [x, y] = [queueOf(a.job) ?? "", queueOf(b.job) ?? ""];
  if (x !== y) return x < y ? -1 : 1;
  return (a.at ?? 0) - (b.at ?? 0) || (nameOf(a.job) < nameOf(b.job) ? -1 : 1);
}

function rowOf(job: DeepReadonly<Job>, now: number): string[] {
  const said = queuedCondition(job);
  const waits = job.spec?.suspend === true;
  const reason = waits && said?.status === "True" ? splitPlace(said.message ?? "").why : (said?.message ?? "");
  const since = said?.lastTransitionTime ?? job.metadata.creationTimestamp ?? "";
  return [
    queueOf(job) ?? "",
    waits ? String(placeOf(job) ?? "-") : "-",
    namespaceOf(job),
    nameOf(job),
    String(gangSize(job)),
    humanAge(since, now),
    endOf(job)?.toLowerCase() ?? (waits ? reason || "waits to be looked at" : `runs${reason && `: ${reason}`}`),
  ];
}
