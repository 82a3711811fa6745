/** `exec`: a command in a container that runs; its exit code is ours. */
import { pathOf } from "../../client/request.ts";
import { CliError, UsageError } from "../io.ts";
import { chooseContainer, getPod, podName } from "../pods.ts";
import { type CommandModule, examples } from "../command.ts";
import type { Session } from "../session.ts";
import { runStream } from "../stream.ts";

interface Options {
  stdin?: boolean;
  tty?: boolean;
  container?: string;
  quiet?: boolean;
}

export const command: CommandModule = {
  define: (c, run) =>
    c
      .argument("<pod>", "a Pod: NAME or pod/NAME")
      .argument("[command...]", "the command and its arguments, after --")
      .option("-i, --stdin", "give it this terminal's (or pipe's) input")
      .option("-t, --tty", "give it a terminal")
      .option("-c, --container <name>", "one container (default: the first)")
      .option("-q, --quiet", "print only what the command prints")
      .addHelpText(
        "after",
        examples(
          "mini-kube exec web -- ls /                    run a command, see what it prints",
          "mini-kube exec -it web -- sh                  a shell; end it with exit or Ctrl-D",
          "mini-kube exec -i web -- tar x < files.tar    with input from a file",
        ),
      )
      .action(run(exec)),
};

async function exec(session: Session, word: string, words: string[], o: Options): Promise<void> {
  if (words.length === 0)
    throw new UsageError("you must specify at least one command for the container: exec POD -- COMMAND");
  const pod = await getPod(session, await podName(session, word));
  const phase = pod.status?.phase;
  if (phase === "Succeeded" || phase === "Failed")
    throw new CliError(`cannot exec into a container in a completed pod; current phase is ${phase}`);
  const container = chooseContainer(session, pod, o.container, { quiet: o.quiet === true });
  // A terminal without input would be raw with nobody to send Ctrl-C to: kubectl gives none either.
  const tty = o.tty === true && o.stdin === true && session.io.stdin.isTTY === true;
  if (o.tty && o.stdin && !tty) session.note("Unable to use a TTY - input is not a terminal or the right kind of file");
  const name = pod.metadata?.name ?? "";
  const code = await runStream(session, {
    path: pathOf({
      group: "",
      version: "v1",
      resource: "pods",
      namespace: session.namespace,
      name,
      subresource: "exec",
    }),
    query: {
      command: words,
      container,
      stdout: "true",
      ...(o.stdin && { stdin: "true" }),
      ...(tty ? { tty: "true" } : { stderr: "true" }),
    },
    stdin: o.stdin === true,
    tty,
  });
  if (code === 0) return;
  if (!o.quiet) session.note(`command terminated with exit code ${code}`);
  throw new CliError("", code);
}
