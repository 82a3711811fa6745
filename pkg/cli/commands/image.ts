/** `image`: load, build and copy images to nodes; no registry is needed. */
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { isAbsolute, normalize } from "node:path";
import { PassThrough, type Readable } from "node:stream";
import type { Command } from "commander";
import { buildContext } from "../build-context.ts";
import { type CommandModule, examples, type Run } from "../command.ts";
import { CliError, UsageError } from "../io.ts";
import { chooseNodes, forEach, imagesOf, savedImage, sendToAgent } from "../node-images.ts";
import type { Session } from "../session.ts";
import { humanSize } from "./images.ts";

export const command: CommandModule = {
  define(c, run) {
    c.addHelpText(
      "after",
      examples(
        "docker save app:1 | mini-kube image load -        onto every node, from this machine's Docker",
        "mini-kube image build . -t app:1                  build on a node, then copy to all others",
        "mini-kube image copy app:1 --to node-2            from one node to another",
      ),
    );
    defineLoad(c, run);
    defineBuild(c, run);
    defineCopy(c, run);
  },
};

function defineLoad(parent: Command, run: Run): void {
  parent
    .command("load")
    .description("Load an archive, as docker save writes it")
    .argument("<file>", "the archive; - reads the standard input")
    .option("--node <names...>", "onto these nodes (default: all)")
    .addHelpText(
      "after",
      examples("mini-kube image load app.tar", "docker save app:1 | mini-kube image load - --node n1"),
    )
    .action(run(load));
}

function defineBuild(parent: Command, run: Run): void {
  parent
    .command("build")
    .description("Build from a Dockerfile, on a node")
    .argument("<directory>", "all that the build may use, but for what .dockerignore names")
    .requiredOption("-t, --tag <names...>", "what the image is to be called")
    .option("-f, --file <path>", "the Dockerfile, within the directory", "Dockerfile")
    .option("--build-arg <name=value...>", "for ARG")
    .option("--target <stage>", "stop at this stage")
    .option("--no-cache", "do every step anew")
    .option("--node <names...>", "build on the first of these, copy to the others (default: all nodes)")
    .addHelpText(
      "after",
      examples("mini-kube image build . -t app:1", "mini-kube image build web -t web:2 -f docker/Dockerfile --node n1"),
    )
    .action(run(build));
}

function defineCopy(parent: Command, run: Run): void {
  parent
    .command("copy")
    .description("Copy from the node that has it to others")
    .argument("<image>", "as mini-kube images lists it")
    .option("--to <nodes...>", "to these nodes (default: all that lack it)")
    .option("--from <node>", "from this node (default: one that has it)")
    .addHelpText("after", examples("mini-kube image copy app:1", "mini-kube image copy app:1 --from n1 --to n2 n3"))
    .action(run(copy));
}

async function load(session: Session, file: string, o: { node?: string[] }): Promise<void> {
  const targets = await chooseNodes(session, o.node);
  const archive = await opened(session, file);
  await loadOnto(session, archive, targets);
}

async function opened(session: Session, file: string): Promise<Readable> {
  if (file === "-") {
    if (session.io.stdin.isTTY) throw new UsageError("no archive on the standard input: docker save IMAGE | …");
    return session.io.stdin.pipe(new PassThrough());
  }
  const found = await stat(file).catch((error: unknown) => {
    throw new CliError(`cannot read ${file}: ${(error as Error).message}`);
  });
  if (!found.isFile()) throw new CliError(`${file} is no archive`);
  return createReadStream(file);
}

/** Onto all at once; what one of them refuses, the others may take. */
async function loadOnto(session: Session, archive: Readable, targets: readonly string[]): Promise<void> {
  const bodies = forEach(archive, targets.length);
  const say = (node: string) => (line: string) => session.note(`${node}: ${line.trimEnd()}`);
  const settled = await Promise.allSettled(
    targets.map((node, i) => sendToAgent(session, { node, what: "load", body: bodies[i] ?? archive, say: say(node) })),
  );
  archive.destroy();
  const errors = settled.flatMap((r) => (r.status === "rejected" ? [r.reason as unknown] : []));
  if (errors.length > 0) throw errors.length === 1 ? errors[0] : new AggregateError(errors);
}

interface BuildFlags {
  tag: string[];
  file: string;
  buildArg?: string[];
  target?: string;
  cache: boolean;
  node?: string[];
}

async function build(session: Session, directory: string, o: BuildFlags): Promise<void> {
  const wrong = o.buildArg?.find((a) => !a.includes("="));
  if (wrong !== undefined) throw new UsageError(`--build-arg ${wrong}: expected NAME=VALUE`);
  const file = normalize(o.file);
  if (isAbsolute(file) || file.startsWith("..")) throw new UsageError(`-f ${o.file}: it must be within the directory`);
  const [first = "", ...others] = await chooseNodes(session, o.node);
  const query = {
    t: o.tag,
    dockerfile: file,
    ...(o.buildArg && { arg: o.buildArg }),
    ...(o.target !== undefined && { target: o.target }),
    ...(!o.cache && { nocache: "true" }),
  };
  const body = await buildContext(directory, file);
  const say = (text: string) => void session.io.stderr.write(text);
  await sendToAgent(session, { node: first, what: "build", query, body, say });
  for (const tag of o.tag) if (others.length > 0) await copyTo(session, tag, { from: first, to: others });
  await session.say(`${o.tag.join(", ")} built on ${[first, ...others].join(", ")}`);
}

async function copy(session: Session, image: string, o: { to?: string[]; from?: string }): Promise<void> {
  const all = await chooseNodes(session);
  if (o.to) await chooseNodes(session, o.to);
  const having = await holders(session, image, o.from === undefined ? all : await chooseNodes(session, [o.from]));
  const [from] = having;
  if (from === undefined) throw new CliError(`no ${image} on ${o.from ?? "any node"}; see: mini-kube images`);
  const lacking = o.to ?? all.filter((n) => !having.includes(n) && n !== from);
  const to = lacking.filter((n) => n !== from);
  if (to.length === 0)
    return session.say(`${image} is on ${all.length === 1 ? "the only node" : "every node"} already`);
  await copyTo(session, image, { from, to });
  await session.say(`${image} copied from ${from} to ${to.join(", ")}`);
}

async function copyTo(session: Session, image: string, o: { from: string; to: readonly string[] }): Promise<void> {
  const archive = await savedImage(session, o.from, image);
  let bytes = 0;
  archive.on("data", (part: Buffer) => (bytes += part.length));
  await loadOnto(session, archive, o.to);
  session.note(`${image}: ${humanSize(bytes)} from ${o.from}`);
}

/** Those nodes that have it, by any of its names. */
async function holders(session: Session, image: string, among: readonly string[]): Promise<string[]> {
  const wanted = /[:@][^/]*$/.test(image) ? image : `${image}:latest`;
  const asked = await Promise.allSettled(
    among.map(async (node) => ((await imagesOf(session, node)).some((i) => i.names.includes(wanted)) ? [node] : [])),
  );
  const errors = asked.flatMap((r) => (r.status === "rejected" ? [r.reason as unknown] : []));
  const found = asked.flatMap((r) => (r.status === "fulfilled" ? r.value : []));
  if (found.length === 0 && errors.length > 0) throw errors[0];
  return found;
}
