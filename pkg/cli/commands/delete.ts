/** `delete`: by name, by label or by manifest; waits until the objects are gone. */
import type { ApiObject } from "../../api/object.ts";
import { isReason } from "../../api/status.ts";
import type { DeleteOptions } from "../../client/client.ts";
import { own } from "../../util/keys.ts";
import { objectTitle } from "../discovery.ts";
import { eachOrAggregate } from "../errors.ts";
import { fetchObjects, type Selection } from "../fetch.ts";
import { CliError, UsageError } from "../io.ts";
import { readManifests } from "../manifests.ts";
import { type CommandModule, examples } from "../command.ts";
import type { Session } from "../session.ts";
import { requireChoice, resolveTargets } from "../targets.ts";
import { parseDuration, TimedOut, until } from "../until.ts";
import { collect } from "./get.ts";

interface Options {
  filename?: string[];
  recursive?: boolean;
  selector?: string;
  fieldSelector?: string;
  all?: boolean;
  allNamespaces?: boolean;
  gracePeriod?: number;
  force?: boolean;
  now?: boolean;
  wait: boolean;
  timeout?: number;
  ignoreNotFound?: boolean;
  cascade?: NonNullable<DeleteOptions["propagationPolicy"]>;
  dryRun?: string;
  output?: string;
}

export const command: CommandModule = {
  define: (c, run) =>
    c
      .argument("[targets...]", "TYPE NAME…, or TYPE/NAME…, or TYPE with -l or --all")
      .option("-f, --filename <file>", "the objects of a manifest, a directory, a URL or - (may be repeated)", collect)
      .option("-R, --recursive", "with -f DIR: its subdirectories too")
      .option("-l, --selector <labels>", "those with these labels")
      .option("--field-selector <fields>", "those with these fields")
      .option("--all", "all of the kind in the namespace")
      .option("-A, --all-namespaces", "with -l or --all: of all namespaces")
      .option("--grace-period <seconds>", "how long containers may take to end (default: the Pod's own)", seconds)
      .option("--now", "the same as --grace-period=1")
      .option("--force", "remove the object at once, whether or not its containers have ended")
      .option("--wait [yes]", "wait until the objects are gone", yesNo, true)
      .option("--no-wait", "return as soon as the server has accepted it")
      .option("--timeout <duration>", "how long to wait at most (default: for ever)", duration)
      .option("--ignore-not-found", "succeed if there is nothing to delete")
      .option("--cascade <how>", "what becomes of what it owns: background (default), foreground or orphan", cascade)
      .option("--dry-run <how>", "client or server: change nothing")
      .option("-o, --output <format>", "name: only the objects' names")
      .addHelpText(
        "after",
        examples(
          "mini-kube delete pod web                    one object",
          "mini-kube delete -f manifests/              everything the manifests describe",
          "mini-kube delete pods -l app=web            by label",
          "mini-kube delete pods --all --now           all of them, and quickly",
        ),
      )
      .action(run(remove)),
};

function seconds(value: string): number {
  if (!/^-?\d+$/.test(value)) throw new UsageError(`--grace-period ${value}: give a number of seconds`);
  return Number(value);
}

export function duration(value: string): number {
  const ms = parseDuration(value);
  if (ms === undefined) throw new UsageError(`${JSON.stringify(value)} is no duration; for example 30s, 1m30s, 2h`);
  return ms;
}

function yesNo(value: string): boolean {
  if (value === "true") return true;
  if (value === "false") return false;
  throw new UsageError(`--wait=${value}: choose true or false`);
}

function cascade(value: string): NonNullable<DeleteOptions["propagationPolicy"]> {
  const words = { background: "Background", foreground: "Foreground", orphan: "Orphan" } as const;
  const found = own(words, value);
  if (!found) throw new UsageError(`--cascade ${value}: choose background, foreground or orphan`);
  return found;
}

type Named = Selection & { name: string };

async function remove(session: Session, words: string[], o: Options): Promise<void> {
  const errors: unknown[] = [];
  const selections = await chosen(session, words, { o, onError: (e) => errors.push(e) });
  const options = deleteOptions(session, o);
  const deleted: { s: Named; uid: string }[] = [];
  await eachOrAggregate(selections, async (s) => {
    try {
      const object = await session.resource(s.resource, s.namespace).get(s.name, session.io.signal);
      if (o.dryRun !== "client") await session.resource(s.resource, s.namespace).delete(s.name, options);
      deleted.push({ s, uid: object.metadata.uid ?? "" });
      await tellDeleted(session, s, o);
    } catch (error) {
      if (!(isReason(error, "NotFound") && (o.ignoreNotFound || o.all))) throw error;
    }
  }).catch((e: unknown) => errors.push(e));
  if (o.wait && o.dryRun === undefined)
    await eachOrAggregate(deleted, (d) => gone(session, d, o)).catch((e: unknown) => errors.push(e));
  if (errors.length > 0) throw errors.length === 1 ? errors[0] : new AggregateError(errors);
  if (selections.length === 0 && !o.ignoreNotFound) await session.say("No resources found");
}

async function chosen(
  session: Session,
  words: readonly string[],
  c: { o: Options; onError: (e: unknown) => void },
): Promise<Named[]> {
  const { o, onError } = c;
  if (o.filename?.length) {
    if (words.length > 0) throw new UsageError("give either -f or names, not both");
    const manifests = await readManifests(session, o.filename, { ...o, onError });
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
  return lists.flat();
}

function deleteOptions(session: Session, o: Options): DeleteOptions {
  const grace = o.force ? (o.gracePeriod ?? 0) : o.now ? 1 : o.gracePeriod;
  if (o.force && grace === 0) {
    session.warn(
      "Immediate deletion does not wait for confirmation that the running resource has been terminated. Its containers may run on for a moment.",
    );
  } else if (grace === 0) {
    throw new UsageError(
      "--grace-period=0 removes the object before its containers have ended; add --force if that is what you want, or take --now",
    );
  }
  return {
    propagationPolicy: o.cascade ?? "Background",
    ...(grace !== undefined && grace >= 0 && { gracePeriodSeconds: grace }),
    ...(o.dryRun === "server" && { dryRun: true }),
  };
}

async function tellDeleted(session: Session, s: Named, o: Options): Promise<void> {
  if (o.output === "name") return session.say(objectTitle(s.resource, s.name));
  const kind = s.resource.group ? `${s.resource.singular}.${s.resource.group}` : s.resource.singular;
  const dry = o.dryRun ? (o.dryRun === "server" ? " (server dry run)" : " (dry run)") : "";
  await session.say(`${kind} ${JSON.stringify(s.name)} ${o.force ? "force deleted" : "deleted"}${dry}`);
}

async function gone(session: Session, d: { s: Named; uid: string }, o: Options): Promise<void> {
  // Another object of the same name is another object.
  const test = (object: ApiObject | undefined) => object === undefined || object.metadata.uid !== d.uid;
  await until(session, d.s, { timeoutMs: o.timeout ?? 0, test }).catch((error: unknown) => {
    if (!(error instanceof TimedOut)) throw error;
    throw new CliError(
      `timed out waiting for ${objectTitle(d.s.resource, d.s.name)} to be gone; something still holds it: see its metadata.finalizers`,
    );
  });
}
