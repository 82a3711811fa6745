/** `images`: what images the nodes have, and who uses them. */
import { humanAge } from "../../api/duration.ts";
import type { NodeImage } from "../../api/node-images.ts";
import { rfc3339 } from "../../util/clock.ts";
import { toYaml } from "../../util/yaml.ts";
import { type CommandModule, examples } from "../command.ts";
import { CliError } from "../io.ts";
import { chooseNodes, imagesOf } from "../node-images.ts";
import { parseFormat } from "../output/format.ts";
import { TablePrinter } from "../output/table.ts";
import type { Session } from "../session.ts";

interface Options {
  node?: string[];
  output?: string;
  all?: boolean;
  headers: boolean;
}

export const command: CommandModule = {
  define: (c, run) =>
    c
      .argument("[images...]", "only those whose names begin so")
      .option("--node <names...>", "only of these nodes")
      .option("-a, --all", "also those that have lost their names")
      .option("-o, --output <form>", "wide|json|yaml")
      .option("--no-headers", "no line of headings")
      .addHelpText(
        "after",
        examples(
          "mini-kube images                    every node's images, their sizes and users",
          "mini-kube images nginx -o wide      with digests and ages",
          "mini-kube images -o json | jq '.nodes[].images[].sizeBytes'",
        ),
      )
      .action(run(images)),
};

interface OfNode {
  readonly node: string;
  readonly images: readonly NodeImage[];
}

async function images(session: Session, prefixes: string[], o: Options): Promise<void> {
  const format = parseFormat(o.output);
  const names = await chooseNodes(session, o.node);
  const asked = names.map(async (node) => ({ node, images: await imagesOf(session, node) }));
  const settled = await Promise.allSettled(asked);
  const found = settled.flatMap((r) => (r.status === "fulfilled" ? [chosen(r.value, prefixes, o.all)] : []));
  const errors = settled.flatMap((r) => (r.status === "rejected" ? [r.reason as unknown] : []));
  if (errors.length === names.length) throw errors.length === 1 ? errors[0] : new AggregateError(errors);
  await print(session, found, { ...o, format: format.type, wide: format.type === "table" && format.wide });
  if (errors.length > 0) throw new AggregateError(errors);
}

const isTag = (name: string) => !name.includes("@");

function chosen({ node, images: all }: OfNode, prefixes: readonly string[], unnamed = false): OfNode {
  const named = all.filter((i) => unnamed || i.names.some(isTag));
  const wanted = (i: NodeImage) => i.names.some((n) => prefixes.some((p) => n.startsWith(p)));
  return { node, images: prefixes.length === 0 ? named : named.filter(wanted) };
}

async function print(
  session: Session,
  found: readonly OfNode[],
  o: { format: string; wide: boolean; headers: boolean },
): Promise<void> {
  switch (o.format) {
    case "json":
      return session.say(JSON.stringify({ nodes: found }, undefined, 4));
    case "yaml":
      return session.say(toYaml({ nodes: found }));
    case "table": {
      const header = ["NODE", "IMAGE", "TAG", "ID", "SIZE", "USED BY", ...(o.wide ? ["AGE", "DIGEST"] : [])];
      const rows = found.flatMap(({ node, images: all }) =>
        all.flatMap((i) => rowsOf(i, session.io.clock.now()).map((row) => [node, ...(o.wide ? row : row.slice(0, 5))])),
      );
      if (rows.length === 0) return session.note("No images found.");
      return session.say(new TablePrinter(session.paint).format({ header: o.headers ? header : undefined, rows }));
    }
    default:
      throw new CliError(`-o ${o.format}: choose wide, json or yaml`);
  }
}

const SHOWN_USERS = 3;

/** One row for each tag. */
export function rowsOf(i: NodeImage, now: number): string[][] {
  const tags = i.names.filter(isTag);
  const digest = i.names.find((n) => !isTag(n))?.split("@")[1] ?? "<none>";
  const users = i.usedBy.map((u) => `${u.namespace}/${u.name}`);
  const more = users.length - SHOWN_USERS;
  const usedBy = [...users.slice(0, SHOWN_USERS), ...(more > 0 ? [`+${more} more`] : [])].join(",") || "<none>";
  const age = i.createdAt === undefined ? "<unknown>" : humanAge(rfc3339(i.createdAt), now);
  const rest = [i.id.replace(/^sha256:/, "").slice(0, 12), humanSize(i.sizeBytes), usedBy, age, digest];
  if (tags.length === 0) return [["<none>", "<none>", ...rest]];
  return tags.map((name) => {
    const colon = name.lastIndexOf(":");
    return [name.slice(0, colon), name.slice(colon + 1), ...rest];
  });
}

/** As Docker tells sizes: `1.24MB`. */
export function humanSize(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3));
  return `${Number((bytes / 1000 ** power).toPrecision(3))}${units[power]}`;
}
