/**
 * `__complete -- WORD…`: one line for each way to go on with the last word, as `word<TAB>description`. Never fails: a shell
 * that asks while no cluster runs gets what is known without one.
 */
import type { Command, Option } from "commander";
import { qualifiedPlural } from "./discovery.ts";
import { fetchObjects } from "./fetch.ts";
import type { CommandEntry, CommandModule } from "./command.ts";
import type { Session } from "./session.ts";

interface Candidate {
  readonly word: string;
  readonly note: string;
}

/** A command with all its options and subcommands. */
type Define = (entry: CommandEntry) => Promise<Command>;

export function completeCommand(entries: readonly CommandEntry[], define: Define): CommandModule {
  return {
    define: (c, run) =>
      c
        .argument("[words...]")
        .allowUnknownOption()
        .action(
          run(async (session, words: string[]) => {
            const typed = words.at(-1) ?? "";
            const found = await inTime(session, candidates(session, words, { entries, define }));
            const lines = found.filter((f) => f.word.startsWith(typed)).map((f) => `${f.word}\t${f.note}\n`);
            if (lines.length > 0) await session.say(lines.join(""));
          }),
        ),
  };
}

/** A shell asks while its user types: later than this, nothing is the better answer. */
const DEADLINE_MS = 1000;

async function inTime(session: Session, asked: Promise<Candidate[]>): Promise<Candidate[]> {
  let late: Disposable | undefined;
  const nothing = new Promise<Candidate[]>((resolve) => {
    late = session.io.clock.after(DEADLINE_MS, () => resolve([]));
  });
  try {
    return await Promise.race([asked.catch((): Candidate[] => []), nothing]);
  } finally {
    late?.[Symbol.dispose]();
  }
}

async function candidates(
  session: Session,
  words: readonly string[],
  o: { entries: readonly CommandEntry[]; define: Define },
): Promise<Candidate[]> {
  const [name = "", ...rest] = words;
  if (words.length <= 1) return o.entries.map((e) => ({ word: e.name, note: e.summary }));
  const entry = o.entries.find((e) => e.name === name);
  if (!entry) return [];
  let command = await o.define(entry);
  let at = 0;
  for (let sub = subcommand(command, rest[at]); sub && at < rest.length - 1; sub = subcommand(command, rest[at])) {
    command = sub;
    at += 1;
  }
  return ofCommand(session, command, { name, words: rest.slice(at) });
}

const subcommand = (c: Command, word: string | undefined) =>
  c.commands.find((s) => s.name() === word || s.aliases().includes(word ?? ""));

async function ofCommand(
  session: Session,
  c: Command,
  o: { name: string; words: readonly string[] },
): Promise<Candidate[]> {
  const current = o.words.at(-1) ?? "";
  const before = o.words.at(-2);
  const awaiting = before === undefined ? undefined : optionOf(c, before);
  if (awaiting?.required) return valuesOf(session, awaiting);
  if (current.startsWith("-")) {
    return c.options.filter((x) => !x.hidden).flatMap((x) => (x.long ? [{ word: x.long, note: x.description }] : []));
  }
  const subs = c.commands.map((s) => ({ word: s.name(), note: s.description() }));
  return subs.length > 0 ? subs : positional(session, { ...o, given: positionals(c, o.words.slice(0, -1)), current });
}

const optionOf = (c: Command, word: string) => c.options.find((o) => o.long === word || o.short === word);

/** The words before that are neither flags nor their values. */
function positionals(c: Command, words: readonly string[]): string[] {
  return words.filter((w, i) => !w.startsWith("-") && !optionOf(c, words[i - 1] ?? "")?.required);
}

async function valuesOf(session: Session, option: Option): Promise<Candidate[]> {
  const fixed = (...list: string[]) => list.map((word) => ({ word, note: "" }));
  switch (option.long ?? "") {
    case "--namespace":
      return names(session, "namespaces");
    case "--node":
    case "--to":
    case "--from":
      return names(session, "nodes");
    case "--output":
      return fixed("wide", "json", "yaml", "name", "jsonpath=", "custom-columns=");
    case "--restart":
      return fixed("Always", "OnFailure", "Never");
    case "--for":
      return fixed("condition=Ready", "delete", "create", "jsonpath=");
    case "--context":
      return (session.kubeconfig.contexts ?? []).map((x) => ({ word: x.name, note: "" }));
    default:
      return [];
  }
}

const BY_KIND = new Set(["get", "describe", "delete", "label", "annotate", "wait", "edit"]);

async function positional(
  session: Session,
  o: { name: string; given: readonly string[]; current: string },
): Promise<Candidate[]> {
  const { name, given, current } = o;
  if (name === "completion") return ["bash", "zsh", "fish"].map((word) => ({ word, note: "" }));
  if (name === "port-forward" && !current.includes("/")) {
    const kinds = ["svc/", "deploy/"].map((word) => ({ word, note: "TYPE/NAME" }));
    return given.length === 0 ? [...(await names(session, "pods")), ...kinds] : [];
  }
  if (name === "logs" || name === "exec") return given.length === 0 ? names(session, "pods") : [];
  if (name === "config") return names(session, "namespaces");
  const slash = current.indexOf("/");
  if (slash > 0 && (BY_KIND.has(name) || name === "port-forward")) {
    const kind = current.slice(0, slash);
    return (await names(session, kind)).map((n) => ({ ...n, word: `${kind}/${n.word}` }));
  }
  if (name !== "explain" && !BY_KIND.has(name)) return [];
  const [kind] = given;
  if (kind !== undefined && !kind.includes("/")) return names(session, kind.split(",")[0] ?? "");
  const all = await session.discovery.all();
  return all.map((r) => ({ word: qualifiedPlural(r), note: r.kind }));
}

async function names(session: Session, kind: string): Promise<Candidate[]> {
  const resource = await session.discovery.byWord(kind);
  const namespace = resource.namespaced ? session.namespace : undefined;
  const objects = await fetchObjects(session, { resource, namespace });
  return objects.map((o) => ({ word: o.metadata.name ?? "", note: resource.kind }));
}
