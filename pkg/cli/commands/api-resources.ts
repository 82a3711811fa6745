/** `api-resources`: the kinds the server has. Always asks: this is where one looks when something seems to be missing. */
import { apiVersionOf } from "../../api/object.ts";
import { UsageError } from "../io.ts";
import { TablePrinter } from "../output/table.ts";
import { type CommandModule, examples } from "../command.ts";
import type { Session } from "../session.ts";
import { qualifiedPlural } from "../discovery.ts";

interface Options {
  output?: string;
  namespaced?: string | true;
  apiGroup?: string;
  headers: boolean;
}

export const command: CommandModule = {
  define: (c, run) =>
    c
      .option("-o, --output <format>", "wide: verbs and categories too; name: only the names")
      .option("--namespaced [yes]", "true or false: only those with, or without, namespaces")
      .option("--api-group <group>", "only those of a group")
      .option("--no-headers", "no line of headings")
      .addHelpText("after", examples("mini-kube api-resources", "mini-kube api-resources --namespaced=false -o wide"))
      .action(run(apiResources)),
};

async function apiResources(session: Session, o: Options): Promise<void> {
  if (o.output !== undefined && o.output !== "wide" && o.output !== "name") {
    throw new UsageError(`--output ${o.output}: choose wide or name`);
  }
  const all = (await session.discovery.refresh()).filter(
    (r) =>
      (o.namespaced === undefined || String(r.namespaced) === String(o.namespaced)) &&
      (o.apiGroup === undefined || r.group === o.apiGroup),
  );
  const sorted = all.toSorted((a, b) => (`${a.group}/${a.plural}` < `${b.group}/${b.plural}` ? -1 : 1));
  if (o.output === "name") return session.say(sorted.map((r) => `${qualifiedPlural(r)}\n`).join(""));
  const wide = o.output === "wide";
  const header = ["NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND", ...(wide ? ["VERBS", "CATEGORIES"] : [])];
  const rows = sorted.map((r) => [
    r.plural,
    r.shortNames.join(","),
    apiVersionOf(r),
    String(r.namespaced),
    r.kind,
    ...(wide ? [r.verbs.join(","), r.categories.join(",")] : []),
  ]);
  await session.say(new TablePrinter(session.paint).format({ header: o.headers ? header : undefined, rows }));
}
