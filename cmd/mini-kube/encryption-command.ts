/** `mini-kube encryption`: the work is encryption.ts's, loaded when used. */
import { resolve } from "node:path";
import { type CommandModule, examples } from "../../pkg/cli/command.ts";
import { UsageError } from "../../pkg/cli/io.ts";
import type { Step } from "./encryption.ts";

interface RotateFlags {
  file?: string;
  step?: Step;
}

const STEPS: readonly string[] = ["add", "promote", "rewrite", "drop"] satisfies Step[];

function step(value: string): string {
  if (STEPS.includes(value)) return value;
  throw new UsageError(`--step ${value}: choose one of ${STEPS.join(", ")}`);
}

export const command: CommandModule = {
  define: (c, run) => {
    c.command("init <file>")
      .description("Make a file with a new key, for --encryption-provider-config")
      .addHelpText("after", examples("mini-kube encryption init /etc/mini-kube/encryption.yaml"))
      .action(
        run(async (session, file: string) => {
          const { initEncryption } = await import("./encryption.ts");
          await initEncryption(file);
          await session.say(`wrote ${file}; keep a copy of it: without its key the cluster's Secrets cannot be read`);
        }),
      );
    c.command("rotate")
      .description("Encrypt everything by a new key, while the cluster runs")
      .option("--file <file>", "the keys in use (default: those of the cluster that `mini-kube up` runs here)")
      .option("--step <step>", "only add, promote, rewrite or drop: for API servers with a copy of the file each", step)
      .addHelpText(
        "after",
        examples(
          "mini-kube encryption rotate                                   all of it, where all API servers read one file",
          "mini-kube encryption rotate --file encryption.yaml --step add    then copy the file to the other API servers;",
          "                                                              the same with promote, rewrite and drop",
        ),
      )
      .action(
        run(async (session, flags: RotateFlags) => {
          const [{ rotate }, { openHome }] = await Promise.all([import("./encryption.ts"), import("./home.ts")]);
          const { clock, env, signal } = session.io;
          const file = resolve(flags.file ?? `${openHome({ env: env as NodeJS.ProcessEnv }).pki}/encryption.yaml`);
          const { transport } = session;
          const { connection } = session.context;
          const steps = flags.step && { steps: [flags.step] };
          await rotate({ file, transport, connection, clock, signal, say: (line) => session.say(line), ...steps });
        }),
      );
  },
};
