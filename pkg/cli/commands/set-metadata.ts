/** `label` and `annotate`: one command with two names for what it changes. */
import type { ApiObject } from "../../api/object.ts";
import { define, has, own } from "../../util/keys.ts";
import { objectTitle } from "../discovery.ts";
import { eachOrAggregate } from "../errors.ts";
import { fetchObjects, type Selection } from "../fetch.ts";
import { CliError, UsageError } from "../io.ts";
import { readManifests } from "../manifests.ts";
import type { CommandModule } from "../command.ts";
import { examples } from "../command.ts";
import type { Session } from "../session.ts";
import { requireChoice, resolveTargets } from "../targets.ts";
import { addWriteFlags, isDry, tell, type WriteFlags, writeOptions } from "../writes.ts";
import { collect } from "./get.ts";

interface Options extends WriteFlags {
  overwrite?: boolean;
  all?: boolean;
  allNamespaces?: boolean;
  selector?: string;
  fieldSelector?: string;
  filename?: string[];
  recursive?: boolean;
  list?: boolean;
}

export interface Kind {
  readonly field: "labels" | "annotations";
  /** `label`, and what was done: `labeled`. */
  readonly word: string;
  readonly did: string;
}

export interface Changes {
  readonly targets: readonly string[];
  /** null: remove. */
  readonly set: Readonly<Record<string, string | null>>;
}

export function setMetadataCommand(kind: Kind): CommandModule {
  return {
    define: (c, run) =>
      addWriteFlags(c)
        .argument("[targets...]", "TYPE NAME… (or TYPE/NAME…), then key=value to set, key- to remove")
        .option("--overwrite", `change a ${kind.word} that has another value`)
        .option("--all", "all objects of the kind in the namespace")
        .option("-A, --all-namespaces", "of all namespaces")
        .option("-l, --selector <labels>", "the objects with these labels")
        .option("--field-selector <fields>", "the objects with these fields")
        .option("-f, --filename <file>", "the objects of a manifest", collect)
        .option("-R, --recursive", "with -f DIR: its subdirectories too")
        .option("--list", `print the ${kind.field}`)
        .addHelpText(
          "after",
          examples(
            `mini-kube ${c.name()} pod web tier=front             set one`,
            `mini-kube ${c.name()} pod web tier=back --overwrite  change it`,
            `mini-kube ${c.name()} pods --all tier-               remove it from all`,
          ),
        )
        .action(run((session, words: string[], o: Options) => setMetadata(session, kind, { words, o }))),
  };
}

/** Tells the objects from the changes: a change has a `=` or ends in `-`, and nothing but changes follows it. */
export function parseChanges(words: readonly string[]): Changes {
  const isChange = (w: string) => w.includes("=") || (w.endsWith("-") && w.length > 1);
  const first = words.findIndex(isChange);
  const targets = first < 0 ? words : words.slice(0, first);
  const set: Record<string, string | null> = {};
  for (const word of first < 0 ? [] : words.slice(first)) {
    if (!isChange(word))
      throw new UsageError(`${JSON.stringify(word)}: after the first change only key=value and key- may follow`);
    const equals = word.indexOf("=");
    const [key, value] = equals < 0 ? [word.slice(0, -1), null] : [word.slice(0, equals), word.slice(equals + 1)];
    if (!key) throw new UsageError(`${JSON.stringify(word)} has no key`);
    if (has(set, key) && set[key] !== value)
      throw new UsageError(`can not both modify and remove ${key}, or set it twice`);
    define(set, key, value);
  }
  return { targets, set };
}

async function setMetadata(session: Session, kind: Kind, c: { words: string[]; o: Options }): Promise<void> {
  const { o } = c;
  const { targets, set } = parseChanges(c.words);
  if (Object.keys(set).length === 0 && !o.list)
    throw new UsageError(`at least one ${kind.word} update is required, as key=value or key-`);
  const selections = await chosen(session, targets, o);
  await eachOrAggregate(selections, async (s) => {
    for (const object of await fetchObjects(session, s)) {
      if (o.list) await list(session, s, { object, kind });
      else await change(session, kind, { s, object, set, o });
    }
  });
}

async function chosen(session: Session, words: readonly string[], o: Options): Promise<Selection[]> {
  if (o.filename?.length) {
    const manifests = await readManifests(session, o.filename, o);
    return manifests.map((m) => ({ resource: m.resource, namespace: m.namespace, name: m.object.metadata.name ?? "" }));
  }
  const targets = await resolveTargets(session.discovery, words);
  requireChoice(targets, o);
  return targets.flatMap(({ resource, names }): Selection[] => {
    const namespace = resource.namespaced && !o.allNamespaces ? session.namespace : undefined;
    if (names) return names.map((name) => ({ resource, namespace, name }));
    return [{ resource, namespace, labelSelector: o.selector, fieldSelector: o.fieldSelector }];
  });
}

async function list(session: Session, s: Selection, x: { object: ApiObject; kind: Kind }): Promise<void> {
  const pairs = Object.entries(x.object.metadata[x.kind.field] ?? {}).map(([k, v]) => `${k}=${v}`);
  const heading = `Listing ${x.kind.field} for ${s.resource.kind}.${s.resource.group ? `${s.resource.group}/` : ""}${s.resource.version}/${x.object.metadata.name}:`;
  await session.say([heading, ...pairs.map((p) => ` ${p}`)].join("\n"));
}

async function change(
  session: Session,
  kind: Kind,
  c: { s: Selection; object: ApiObject; set: Changes["set"]; o: Options },
): Promise<void> {
  const { s, object, set, o } = c;
  const now = object.metadata[kind.field] ?? {};
  const name = object.metadata.name ?? "";
  const title = objectTitle(s.resource, name);
  const clashes = Object.entries(set).filter(([k, v]) => v !== null && has(now, k) && now[k] !== v);
  if (clashes.length > 0 && !o.overwrite) {
    const [key = ""] = clashes[0] ?? [];
    throw new CliError(`${title}: '${key}' already has a value (${now[key]}), and --overwrite is false`);
  }
  const wanted = Object.entries(set).filter(([k, v]) => (v === null ? has(now, k) : own(now, k) !== v));
  for (const [k, v] of Object.entries(set)) {
    if (v === null && !has(now, k)) session.note(`${kind.word} ${JSON.stringify(k)} not found.`);
  }
  const did = (how: string) => tell(session, o, { resource: s.resource, object, did: how });
  if (wanted.length === 0) return did(kind.field === "labels" ? "not labeled" : kind.did);
  const patch = { metadata: { [kind.field]: Object.fromEntries(wanted) } };
  const how = kind.field === "labels" && wanted.every(([, v]) => v === null) ? "unlabeled" : kind.did;
  if (isDry(o, "client")) return did(how);
  const namespace = object.metadata.namespace;
  const objects = session.resource(s.resource, namespace);
  const next = await objects.patch(
    name,
    "application/merge-patch+json",
    patch,
    writeOptions(o, `mini-kube-${kind.word}`),
  );
  await tell(session, o, { resource: s.resource, object: next as ApiObject, did: how });
}
