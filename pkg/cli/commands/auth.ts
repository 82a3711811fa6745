/** `auth`: who one is to the server, and what one may do there. */
import type { Command } from "commander";
import type {
  ResourceAttributes,
  SelfSubjectAccessReview,
  SelfSubjectReview,
  SelfSubjectRulesReview,
} from "../../api/generated/types.ts";
import { selfSubjectReviews } from "../../api/kinds/authentication/reviews.ts";
import { selfSubjectAccessReviews, selfSubjectRulesReviews } from "../../api/kinds/authorization/reviews.ts";
import { Client } from "../../client/client.ts";
import { type CommandModule, examples } from "../command.ts";
import { CliError, UsageError } from "../io.ts";
import { TablePrinter } from "../output/table.ts";
import type { Session } from "../session.ts";

interface CanIFlags {
  list?: boolean;
  quiet?: boolean;
  subresource?: string;
  allNamespaces?: boolean;
}

export const command: CommandModule = {
  define: (c, run) => {
    const sub = (name: string, summary: string): Command => c.command(name).description(summary);
    sub("can-i", "Ask whether you may do something; exit code 1 when not")
      .argument("[verb]")
      .argument("[what]", "a kind, kind/name, or a path like /metrics")
      .argument("[name]")
      .option("--list", "all that you may do in the namespace")
      .option("--subresource <name>", "log, exec, scale …")
      .option("-A, --all-namespaces", "in all namespaces")
      .option("-q, --quiet", "the exit code only")
      .action(run(canI));
    sub("whoami", "Who you are to the server").action(run(whoAmI));
    c.addHelpText(
      "after",
      examples(
        "mini-kube auth whoami",
        "mini-kube auth can-i create pods",
        "mini-kube auth can-i get pods/web --subresource=log",
        "mini-kube auth can-i --list",
      ),
    );
  },
};

const ask = (session: Session) => new Client(session.transport, "mini-kube");

async function whoAmI(session: Session): Promise<void> {
  const review: SelfSubjectReview = { metadata: {} };
  const { status } = await ask(session).resource(selfSubjectReviews).create(review);
  const { username = "", uid, groups = [], extra = {} } = status?.userInfo ?? {};
  const rows = [
    ["Username", username],
    ...(uid ? [["UID", uid]] : []),
    ["Groups", bracketed(groups)],
    ...Object.entries(extra).map(([key, values]) => [`Extra: ${key}`, bracketed(values)]),
  ];
  await session.say(new TablePrinter(session.paint).format({ header: ["ATTRIBUTE", "VALUE"], rows }));
}

async function canI(
  session: Session,
  verb: string | undefined,
  what: string | undefined,
  name: string | undefined,
  o: CanIFlags,
): Promise<void> {
  if (o.list) return list(session);
  if (verb === undefined || what === undefined) throw new UsageError("give a verb and a kind, or --list");
  const spec = what.startsWith("/")
    ? { nonResourceAttributes: { verb, path: what } }
    : { resourceAttributes: await attributes(session, { verb, what, name, ...o }) };
  const review: SelfSubjectAccessReview = { metadata: {}, spec };
  const { status } = await ask(session).resource(selfSubjectAccessReviews).create(review);
  if (!o.quiet) await session.say(verdict(status));
  if (!status?.allowed) throw new CliError("");
}

/** A yes needs no reason; a no is told why, where there is more to say. */
function verdict(status: SelfSubjectAccessReview["status"]): string {
  if (status?.allowed) return "yes";
  return status?.reason ? `no - ${status.reason}` : "no";
}

async function attributes(
  session: Session,
  o: CanIFlags & { verb: string; what: string; name: string | undefined },
): Promise<ResourceAttributes> {
  const [kind = "", named] = o.what.split("/");
  const name = o.name ?? named ?? "";
  const common = { verb: o.verb, ...(name && { name }), ...(o.subresource && { subresource: o.subresource }) };
  if (kind === "*") return { ...common, group: "*", resource: "*" };
  const { group, plural, namespaced } = await session.discovery.byWord(kind);
  const namespace = namespaced && !o.allNamespaces ? session.namespace : "";
  return { ...common, group, resource: plural, ...(namespace && { namespace }) };
}

/** Rules on the same things stand in one line. */
async function list(session: Session): Promise<void> {
  const review: SelfSubjectRulesReview = { metadata: {}, spec: { namespace: session.namespace } };
  const { status } = await ask(session).resource(selfSubjectRulesReviews).create(review);
  const lines = new Map<string, { row: readonly string[]; verbs: Set<string> }>();
  const add = (row: readonly string[], verbs: readonly string[]) => {
    const line = lines.get(row.join("\n")) ?? { row, verbs: new Set<string>() };
    lines.set(row.join("\n"), line);
    for (const verb of verbs) line.verbs.add(verb);
  };
  for (const { resources = [], apiGroups = [], resourceNames = [], verbs } of status?.resourceRules ?? []) {
    for (const group of apiGroups) {
      for (const r of resources) add([group ? `${r}.${group}` : r, "[]", bracketed(resourceNames)], verbs);
    }
  }
  for (const { nonResourceURLs = [], verbs } of status?.nonResourceRules ?? []) {
    for (const url of nonResourceURLs) add(["", `[${url}]`, "[]"], verbs);
  }
  const header = ["RESOURCES", "NON-RESOURCE URLS", "RESOURCE NAMES", "VERBS"];
  const rows = [...lines.values()].map(({ row, verbs }) => [...row, bracketed([...verbs])]);
  await session.say(new TablePrinter(session.paint).format({ header, rows }));
  if (status?.incomplete) session.warn(`the list may be incomplete: ${status.evaluationError ?? ""}`);
}

const bracketed = (words: readonly string[]) => `[${words.join(" ")}]`;
