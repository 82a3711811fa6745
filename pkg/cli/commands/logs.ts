/** `logs`: what containers wrote, of one Pod or of all that match; followed side by side. */
import type { Pod } from "../../api/generated/types.ts";
import { ApiError } from "../../api/status.ts";
import { pathOf } from "../../client/request.ts";
import { eachOrAggregate } from "../errors.ts";
import { fetchObjects } from "../fetch.ts";
import { goneLogs } from "../gone.ts";
import { CliError, type Colour, UsageError, write } from "../io.ts";
import { allContainers, chooseContainer, getPod, podName } from "../pods.ts";
import { type CommandModule, examples } from "../command.ts";
import type { Session } from "../session.ts";
import { duration } from "./delete.ts";

interface Options {
  follow?: boolean;
  container?: string;
  allContainers?: boolean;
  tail?: number;
  since?: number;
  sinceTime?: string;
  previous?: boolean;
  timestamps?: boolean;
  selector?: string;
  prefix?: boolean;
  limitBytes?: number;
  maxLogRequests: number;
  gone?: boolean;
}

export const command: CommandModule = {
  define: (c, run) =>
    c
      .argument("[pod]", "a Pod: NAME or pod/NAME")
      .argument("[container]", "one of its containers, like -c")
      .option("-f, --follow", "go on as more is written")
      .option("-c, --container <name>", "one container (default: the first)")
      .option("--all-containers", "all containers of the Pod")
      .option("--tail <lines>", "only the last lines (default: all; 10 of each with -l)", count)
      .option("--since <duration>", "only what is younger: 30s, 5m, 2h", duration)
      .option("--since-time <time>", "only what is younger than an RFC 3339 time")
      .option("-p, --previous", "of the container's previous run: why did it die?")
      .option("--timestamps", "each line with its time")
      .option("-l, --selector <labels>", "of all Pods with these labels")
      .option("--prefix", "each line with its Pod and container")
      .option("--limit-bytes <n>", "at most so many bytes", count)
      .option("--gone", "of the last Pod of that name that is gone (also shown when there is no such Pod)")
      .option("--max-log-requests <n>", "with -l -f: at most so many at once", count, 20)
      .addHelpText(
        "after",
        examples(
          "mini-kube logs web                         what it printed so far",
          "mini-kube logs -f web -c sidecar           follow one container",
          "mini-kube logs --previous web              of the run before the last restart",
          "mini-kube logs -l app=web --prefix -f      of many Pods, side by side",
          "mini-kube logs web --since=10m --tail=20",
          "mini-kube logs --gone web                  what did the Pod say that was deleted?",
        ),
      )
      .action(run(logs)),
};

export function count(value: string): number {
  if (!/^-?\d+$/.test(value)) throw new UsageError(`${JSON.stringify(value)} is no number`);
  return Number(value);
}

interface Source {
  readonly pod: string;
  readonly namespace: string;
  readonly container: string;
  /** Where the log of one that is gone is kept. */
  readonly kept?: { readonly path: string; readonly uid: string };
}

async function logs(
  session: Session,
  word: string | undefined,
  container: string | undefined,
  o: Options,
): Promise<void> {
  if (word === undefined && o.selector === undefined)
    throw new UsageError("expected 'logs POD [-c CONTAINER]' or -l LABELS");
  if (word !== undefined && o.selector !== undefined)
    throw new UsageError("only a selector (-l) or a POD name is allowed");
  if (o.since !== undefined && o.sinceTime !== undefined)
    throw new UsageError("at most one of --since and --since-time may be used");
  if (container !== undefined && o.container !== undefined)
    throw new UsageError("give the container once: as an argument or with -c");
  const sources = await sourcesOf(session, word, { ...o, ...(container !== undefined && { container }) });
  if (o.follow && sources.length > o.maxLogRequests) {
    throw new CliError(
      `you are attempting to follow ${sources.length} log streams, but maximum allowed concurrency is ${o.maxLogRequests}; use --max-log-requests to increase the limit`,
    );
  }
  const query = queryOf(o);
  const print = (s: Source, i: number) =>
    copyLogs(session, s, { query, prefix: o.prefix ? prefixOf(session, s, i) : "" });
  if (!o.follow) return eachOrAggregate(sources.entries(), ([i, s]) => print(s, i));
  const results = await Promise.allSettled(sources.map(print));
  const errors = results.flatMap((r) => (r.status === "rejected" ? [r.reason as unknown] : []));
  if (errors.length > 0) throw errors.length === 1 ? errors[0] : new AggregateError(errors);
}

async function sourcesOf(session: Session, word: string | undefined, o: Options): Promise<Source[]> {
  const pods: Pod[] = [];
  if (word !== undefined) {
    const name = await podName(session, word);
    const pod = o.gone ? undefined : await getPod(session, name).catch(ifAbsent);
    if (!(pod instanceof ApiError) && pod) pods.push(pod);
    else return goneSources(session, name, { ...o, error: pod });
  } else {
    const resource = await session.discovery.byWord("pods");
    const found = await fetchObjects(session, { resource, namespace: session.namespace, labelSelector: o.selector });
    pods.push(...(found as unknown as Pod[]));
    if (pods.length === 0) session.note(`No resources found in ${session.namespace} namespace.`);
  }
  return pods.flatMap((pod) => {
    const containers = o.allContainers
      ? allContainers(pod).map((c) => c.name)
      : [chooseContainer(session, pod, o.container)];
    const at = { pod: pod.metadata?.name ?? "", namespace: pod.metadata?.namespace ?? "" };
    return containers.map((container) => ({ ...at, container }));
  });
}

const ifAbsent = (error: unknown): ApiError => {
  if (error instanceof ApiError && error.reason === "NotFound") return error;
  throw error;
};

/** Throws what was said of the Pod itself when nothing of it was kept, or may be seen. */
async function goneSources(
  session: Session,
  pod: string,
  o: Options & { error: ApiError | undefined },
): Promise<Source[]> {
  const of = { container: o.container, all: o.allContainers === true };
  const found = await goneLogs(session, pod, of).catch((error: unknown) => {
    throw o.error && error instanceof ApiError ? o.error : error;
  });
  if (found.length === 0) throw o.error ?? new CliError(`no log was kept of a Pod ${JSON.stringify(pod)}`);
  return found.map(({ container, ...kept }) => ({ pod, namespace: session.namespace, container, kept }));
}

function queryOf(o: Options): Record<string, string> {
  const tail = o.tail ?? (o.selector !== undefined ? 10 : -1);
  return {
    ...(o.follow && { follow: "true" }),
    ...(o.previous && { previous: "true" }),
    ...(o.timestamps && { timestamps: "true" }),
    ...(tail >= 0 && { tailLines: String(tail) }),
    ...(o.since !== undefined && { sinceSeconds: String(Math.max(1, Math.ceil(o.since / 1000))) }),
    ...(o.sinceTime !== undefined && { sinceTime: o.sinceTime }),
    ...(o.limitBytes !== undefined && { limitBytes: String(o.limitBytes) }),
  };
}

const PREFIX_COLOURS: readonly Colour[] = ["cyan", "green", "yellow", "red"];

function prefixOf(session: Session, s: Source, i: number): string {
  return `${session.paint(PREFIX_COLOURS[i % PREFIX_COLOURS.length] ?? "cyan", `[pod/${s.pod}/${s.container}]`)} `;
}

/** With a prefix whole lines are written, so that those of several containers do not mix. */
async function copyLogs(
  session: Session,
  s: Source,
  o: { query: Record<string, string>; prefix: string },
): Promise<void> {
  const log = { group: "", version: "v1", resource: "pods", namespace: s.namespace, name: s.pod, subresource: "log" };
  const path = s.kept?.path ?? pathOf(log);
  const query = { ...(s.kept ? { uid: s.kept.uid } : { container: s.container }), ...o.query };
  const { signal, stdout } = session.io;
  // A container may be silent for as long as it likes.
  const { body } = await session.transport.raw("GET", path, { query, idleMs: 0, headers: { accept: "*/*" } }, signal);
  let rest = "";
  // A character may come in two chunks.
  const decoder = new TextDecoder();
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      if (!o.prefix) {
        await write(stdout, chunk);
        continue;
      }
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      if (lines.length > 0) await write(stdout, lines.map((l) => `${o.prefix}${l}\n`).join(""));
    }
  } catch (error) {
    if (!signal.aborted) throw new CliError(`the log broke off: ${(error as Error).message}`);
  }
  if (rest) await write(stdout, `${o.prefix}${rest}\n`);
}
