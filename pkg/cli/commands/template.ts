/** `template`: a file that follows the cluster, and a program that is told so. */
import { readFileSync } from "node:fs";
import { compileTemplate, TemplateError } from "../../api/template/engine.ts";
import { type CommandModule, examples } from "../command.ts";
import { errorText } from "../errors.ts";
import { CliError, UsageError, write } from "../io.ts";
import type { Session } from "../session.ts";
import { Output } from "../template/output.ts";
import { parseSources, Sources } from "../template/sources.ts";
import { duration } from "./delete.ts";

interface Options {
  filename: string;
  output: string;
  watch: string[];
  values: string[];
  reload?: string;
  check?: string;
  once?: boolean;
  allNamespaces?: boolean;
  debounce: number;
}

const many = (value: string, before: string[]) => [...before, value];

export const command: CommandModule = {
  define: (c, run) =>
    c
      .requiredOption("-f, --filename <file>", "the template, in the Liquid language")
      .option("-o, --output <file>", "the file to keep up to date; - for the standard output", "-")
      .option("-w, --watch <kinds>", "what it sees: KIND,KIND… or KIND:LABELS; more than once", many, [])
      .option("--values <key=value>", "a value of its own, as values.key; more than once", many, [])
      .option("--reload <command>", "run by sh after the file has changed")
      .option("--check <command>", "run by sh before; {} is the new file. If it fails, the old file stays")
      .option("--once", "write it once, do not follow")
      .option("--debounce <duration>", "changes that come within this time make one file", duration, 20)
      .option("-A, --all-namespaces", "of all namespaces")
      .addHelpText(
        "after",
        examples(
          "mini-kube template -f hosts.tmpl -w services --once      print it",
          "mini-kube template -f nginx.tmpl -w endpointslices -o /etc/nginx/conf.d/web.conf \\",
          "    --check 'nginx -t' --reload 'nginx -s reload'        nginx follows a Service's endpoints",
          "mini-kube template -f haproxy.tmpl -w endpointslices:kubernetes.io/service-name=db -o db.cfg",
        ),
      )
      .action(run(template)),
};

async function template(session: Session, o: Options): Promise<void> {
  if (o.output === "-" && (o.reload !== undefined || o.check !== undefined))
    throw new UsageError("--reload and --check need a file: -o FILE");
  const values = valuesOf(o.values);
  const text = read(o.filename);
  const compiled = explained(o.filename, () => compileTemplate(text));
  const words = parseSources(o.watch);
  const sources = await Sources.open(session, words, o.allNamespaces ? undefined : session.namespace);
  try {
    const { env } = session.io;
    const render = () => explained(o.filename, () => compiled.render({ ...sources.data(), values, env }));
    const put = putterOf(session, o);
    if (o.once) await put(render());
    else await follow(session, sources, { render, put, debounceMs: o.debounce });
  } finally {
    await sources.close();
  }
}

function putterOf(session: Session, o: Options): (text: string) => Promise<boolean> {
  if (o.output === "-") {
    let last: string | undefined;
    return async (text) => {
      if (text === last) return false;
      last = text;
      await write(session.io.stdout, text);
      return false;
    };
  }
  const output = new Output(session, { file: o.output, check: o.check, reload: o.reload });
  return (text) => output.put(text);
}

interface Following {
  readonly render: () => string;
  readonly put: (text: string) => Promise<boolean>;
  readonly debounceMs: number;
}

/** A failure is said, and what was in force stays so until the next change. */
async function follow(session: Session, sources: Sources, o: Following): Promise<void> {
  const { clock, signal } = session.io;
  let due = true;
  let wake = () => {};
  const look = () => {
    due = true;
    wake();
  };
  sources.onChange(look);
  signal.addEventListener("abort", () => wake(), { once: true });
  while (!signal.aborted) {
    if (!due) {
      await new Promise<void>((resolve) => (wake = resolve));
      await clock.sleep(o.debounceMs, signal).catch(() => {}); // an abort; the loop sees it
      continue;
    }
    due = false;
    try {
      if (await o.put(o.render())) session.note("changed");
    } catch (error) {
      session.note(errorText(error));
    }
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new CliError((error as Error).message);
  }
}

function explained<T>(file: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw error instanceof TemplateError ? new CliError(error.at(file)) : error;
  }
}

function valuesOf(words: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    words.map((word) => {
      const at = word.indexOf("=");
      if (at < 1) throw new UsageError(`--values ${JSON.stringify(word)} is not of the form KEY=VALUE`);
      return [word.slice(0, at), word.slice(at + 1)];
    }),
  );
}
