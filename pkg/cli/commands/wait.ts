/** `wait`: until objects meet a condition, or are gone. Exit code 1 when the time is over. */
import type { ApiObject } from "../../api/object.ts";
import { objectTitle } from "../discovery.ts";
import { eachOrAggregate } from "../errors.ts";
import { fetchObjects, type Selection } from "../fetch.ts";
import { CliError, UsageError } from "../io.ts";
import { readManifests } from "../manifests.ts";
import { valueText } from "../../api/jsonpath/jsonpath.ts";
import { parsePath } from "../output/jsonpath.ts";
import { type CommandModule, examples } from "../command.ts";
import type { Session } from "../session.ts";
import { requireChoice, resolveTargets } from "../targets.ts";
import { TimedOut, until } from "../until.ts";
import { duration } from "./delete.ts";
import { collect } from "./get.ts";

interface Options {
  for: string;
  timeout: number;
  all?: boolean;
  allNamespaces?: boolean;
  selector?: string;
  fieldSelector?: string;
  filename?: string[];
  recursive?: boolean;
}

export const command: CommandModule = {
  define: (c, run) =>
    c
      .argument("[targets...]", "TYPE NAME…, or TYPE/NAME…, or TYPE with -l or --all")
      .requiredOption("--for <what>", "condition=NAME[=VALUE], delete, create, or jsonpath=PATH[=VALUE]")
      .option("--timeout <duration>", "how long at most; 0 looks once, negative waits a week", duration, 30_000)
      .option("-l, --selector <labels>", "those with these labels")
      .option("--field-selector <fields>", "those with these fields")
      .option("--all", "all of the kind in the namespace")
      .option("-A, --all-namespaces", "of all namespaces")
      .option("-f, --filename <file>", "the objects of a manifest", collect)
      .option("-R, --recursive", "with -f DIR: its subdirectories too")
      .addHelpText(
        "after",
        examples(
          "mini-kube wait --for=condition=Ready pod/web               until it is Ready",
          "mini-kube wait --for=condition=Ready pods --all --timeout=2m",
          "mini-kube wait --for=delete pod/web                        until it is gone",
          "mini-kube wait --for=jsonpath='{.status.phase}'=Succeeded pod/job",
        ),
      )
      .action(run(wait)),
};

export type Goal =
  | { readonly type: "delete" }
  | { readonly type: "create" }
  | { readonly type: "test"; readonly test: (o: ApiObject) => boolean };

const WEEK_MS = 7 * 24 * 3_600_000;

async function wait(session: Session, words: string[], o: Options): Promise<void> {
  const goal = parseGoal(o.for);
  const selections = await chosen(session, words, { o, goal });
  const deadline = session.io.clock.now() + (o.timeout < 0 ? WEEK_MS : o.timeout);
  // One deadline for all: what the first used up the others do not have.
  await eachOrAggregate(selections, async (s) => {
    const left = Math.max(1, deadline - session.io.clock.now());
    const title = objectTitle(s.resource, s.name);
    const test = (object: ApiObject | undefined) => meets(goal, { object, title });
    await until(session, s, { timeoutMs: left, test }).catch((error: unknown) => {
      if (error instanceof TimedOut)
        throw new CliError(`timed out waiting for the condition on ${s.resource.plural}/${s.name}`);
      throw error;
    });
    await session.say(goal.type === "delete" ? `${title} deleted` : `${title} condition met`);
  });
}

function meets(goal: Goal, x: { object: ApiObject | undefined; title: string }): boolean {
  if (goal.type === "delete") return x.object === undefined;
  if (goal.type === "create") return x.object !== undefined;
  // Nobody may ever create it again: waiting on would only hide that.
  if (!x.object) throw new CliError(`${x.title} does not exist; to wait until it is created: --for=create`);
  return goal.test(x.object);
}

/** Throws {@link UsageError}. */
export function parseGoal(text: string): Goal {
  const lower = text.toLowerCase();
  if (lower === "delete") return { type: "delete" };
  if (lower === "create") return { type: "create" };
  const condition = /^condition=([^=]+)(?:=(.*))?$/.exec(text);
  if (condition) {
    const [, name = "", value = "True"] = condition;
    return { type: "test", test: (o) => conditionIs(o, name, value) };
  }
  const path = /^jsonpath=(\{.*?\}(?=$|=)|[^=]+)(?:=(.*))?$/s.exec(text);
  if (path) {
    const values = parsePath((path[1] ?? "").replace(/^'(.*)'$/, "$1"));
    const expected = path[2];
    return {
      type: "test",
      test: (o) => {
        const found = values(o);
        return expected === undefined
          ? found.length > 0
          : found.length > 0 && found.every((v) => valueText(v) === expected);
      },
    };
  }
  throw new UsageError(`--for=${text}: choose condition=NAME, delete, create or jsonpath='{.path}'=VALUE`);
}

function conditionIs(object: ApiObject, name: string, value: string): boolean {
  const { status, metadata } = object as ApiObject & {
    status?: {
      observedGeneration?: number;
      conditions?: { type: string; status: string; observedGeneration?: number }[];
    };
  };
  const found = status?.conditions?.find((c) => c.type.toLowerCase() === name.toLowerCase());
  if (!found) return false;
  // A condition that speaks of an older spec does not count.
  const observed = found.observedGeneration ?? status?.observedGeneration;
  if (observed !== undefined && metadata.generation !== undefined && observed < metadata.generation) return false;
  return found.status.toLowerCase() === value.toLowerCase();
}

async function chosen(
  session: Session,
  words: readonly string[],
  c: { o: Options; goal: Goal },
): Promise<(Selection & { name: string })[]> {
  const { o, goal } = c;
  if (o.filename?.length) {
    const manifests = await readManifests(session, o.filename, o);
    return manifests.map((m) => ({ resource: m.resource, namespace: m.namespace, name: m.object.metadata.name ?? "" }));
  }
  const targets = await resolveTargets(session.discovery, words);
  requireChoice(targets, o);
  const lists = await Promise.all(
    targets.map(async ({ resource, names }) => {
      const namespace = resource.namespaced && !o.allNamespaces ? session.namespace : undefined;
      if (names) return names.map((name) => ({ resource, namespace, name }));
      const objects = await fetchObjects(session, {
        resource,
        namespace,
        labelSelector: o.selector,
        fieldSelector: o.fieldSelector,
      });
      return objects.map((x) => ({ resource, namespace: x.metadata.namespace, name: x.metadata.name ?? "" }));
    }),
  );
  const all = lists.flat();
  if (all.length === 0 && goal.type !== "delete") throw new CliError("no matching resources found");
  return all;
}
