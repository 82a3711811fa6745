/** `describe`: objects in detail, each with the events about it. */
import type { CoreV1Event, Node, Pod } from "../../api/generated/types.ts";
import type { ApiObject } from "../../api/object.ts";
import { humanAge } from "../../api/duration.ts";
import type { KnownResource } from "../discovery.ts";
import { describeNode } from "../describe/node.ts";
import {
  describeAny,
  describeConfigMap,
  describeNamespace,
  describeSecret,
  describeServiceAccount,
} from "../describe/others.ts";
import { describePod } from "../describe/pod.ts";
import { type Entry, renderTree } from "../describe/tree.ts";
import { eachOrAggregate } from "../errors.ts";
import { fetchObjects, type Selection } from "../fetch.ts";
import { CliError, UsageError, type Paint } from "../io.ts";
import { readManifests } from "../manifests.ts";
import { colourOf } from "../output/table.ts";
import { type CommandModule, examples } from "../command.ts";
import type { Session } from "../session.ts";
import { resolveTargets } from "../targets.ts";
import { collect } from "./get.ts";

interface Options {
  allNamespaces?: boolean;
  selector?: string;
  filename?: string[];
  recursive?: boolean;
  showEvents?: string;
}

export const command: CommandModule = {
  define: (c, run) =>
    c
      .argument("[targets...]", "TYPE [NAME or its beginning…], or TYPE/NAME…")
      .option("-A, --all-namespaces", "of all namespaces")
      .option("-l, --selector <labels>", "those with these labels")
      .option("-f, --filename <file>", "the objects of a manifest", collect)
      .option("-R, --recursive", "with -f DIR: its subdirectories too")
      .option("--show-events <yes>", "true (default) or false")
      .addHelpText(
        "after",
        examples(
          "mini-kube describe pod web        everything about one Pod, and what happened to it",
          "mini-kube describe pods           all of your namespace",
          "mini-kube describe node           what the nodes have, and what of it is asked for",
        ),
      )
      .action(run(describe)),
};

async function describe(session: Session, targets: string[], o: Options): Promise<void> {
  let printed = 0;
  await eachOrAggregate(await selectionsOf(session, targets, o), async (s) => {
    const objects = await find(session, s);
    for (const object of objects) {
      const text = renderTree([
        ...(await page(session, s.resource, object)),
        ...(o.showEvents === "false" ? [] : await events(session, s.resource, object)),
      ]);
      await session.say((printed > 0 ? "\n\n" : "") + colourStates(text, session.paint));
      printed += 1;
    }
    if (objects.length === 0)
      session.note(`No resources found${s.namespace === undefined ? "" : ` in ${s.namespace} namespace.`}`);
  });
}

async function selectionsOf(session: Session, words: readonly string[], o: Options): Promise<Selection[]> {
  if (o.filename?.length) {
    const manifests = await readManifests(session, o.filename, o);
    return manifests.map((m) => ({ resource: m.resource, namespace: m.namespace, name: m.object.metadata.name ?? "" }));
  }
  const targets = await resolveTargets(session.discovery, words);
  return targets.flatMap(({ resource, names }): Selection[] => {
    const namespace = resource.namespaced && !o.allNamespaces ? session.namespace : undefined;
    if (names && o.selector !== undefined) throw new UsageError("name(s) cannot be given together with -l");
    if (names) return names.map((name) => ({ resource, namespace, name }));
    return [{ resource, namespace, labelSelector: o.selector }];
  });
}

/** A name may be the beginning of one: those of generated names are long. */
async function find(session: Session, s: Selection): Promise<ApiObject[]> {
  const { name, ...all } = s;
  if (name === undefined) return fetchObjects(session, s);
  try {
    return await fetchObjects(session, s);
  } catch (error) {
    const similar = (await fetchObjects(session, all)).filter((x) => x.metadata.name?.startsWith(name));
    if (similar.length === 0) throw error;
    return similar;
  }
}

async function page(session: Session, r: KnownResource, object: ApiObject): Promise<Entry[]> {
  if (r.group !== "") return describeAny(object);
  switch (r.kind) {
    case "Pod":
      return describePod(object as unknown as Pod);
    case "Node": {
      const pods = await session.discovery.byWord("pods");
      const fieldSelector = `spec.nodeName=${object.metadata.name}`;
      const onIt = await fetchObjects(session, { resource: pods, namespace: undefined, fieldSelector });
      return describeNode(object as unknown as Node, onIt as unknown as Pod[], session.io.clock.now());
    }
    case "Namespace":
      return describeNamespace(object);
    case "ConfigMap":
      return describeConfigMap(object);
    case "Secret":
      return describeSecret(object);
    case "ServiceAccount":
      return describeServiceAccount(object);
    default:
      return describeAny(object);
  }
}

async function events(session: Session, r: KnownResource, object: ApiObject): Promise<Entry[]> {
  if (r.kind === "Event") return [];
  const resource = await session.discovery.byKind("v1", "Event");
  if (!resource) throw new CliError("the server keeps no events");
  const { name = "", namespace, uid } = object.metadata;
  // A Node's events carry its name as uid: the agent that writes them does not know another.
  const about = [
    `involvedObject.name=${name}`,
    `involvedObject.kind=${r.kind}`,
    ...(namespace && uid ? [`involvedObject.uid=${uid}`] : []),
  ];
  const found = await fetchObjects(session, { resource, namespace, fieldSelector: about.join(",") });
  const list = (found as unknown as CoreV1Event[]).toSorted((a, b) => (lastSeen(a) < lastSeen(b) ? -1 : 1));
  const now = session.io.clock.now();
  const rows = list.map((e) => [
    e.type ?? "",
    e.reason ?? "",
    age(e, now),
    e.source?.component || e.reportingComponent || "",
    (e.message ?? "").trim(),
  ]);
  return [{ label: "Events", header: ["Type", "Reason", "Age", "From", "Message"], rows }];
}

const lastSeen = (e: CoreV1Event) =>
  e.series?.lastObservedTime ?? e.lastTimestamp ?? e.eventTime ?? e.metadata.creationTimestamp ?? "";

function age(e: CoreV1Event, now: number): string {
  const count = e.series?.count ?? e.count ?? 1;
  const last = humanAge(lastSeen(e), now);
  return count > 1 ? `${last} (x${count} over ${humanAge(e.firstTimestamp ?? e.eventTime, now)})` : last;
}

/** States stand alone after their label. */
function colourStates(text: string, paint: Paint): string {
  return text.replace(/^(\s*(?:Status|State|Last State|Reason):\s+)(\S+)$/gm, (_, label: string, word: string) => {
    const colour = colourOf(word);
    return label + (colour ? paint(colour, word) : word);
  });
}
