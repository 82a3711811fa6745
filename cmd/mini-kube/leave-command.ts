/** `mini-kube leave`: the work is leave.ts's, loaded when used. */
import { type CommandModule, examples } from "../../pkg/cli/command.ts";
import { DEFAULT_AGENT_DIR } from "../component/agent-home.ts";

export const command: CommandModule = {
  define: (c, run) =>
    c
      .option("--data-dir <dir>", "as given to join", DEFAULT_AGENT_DIR)
      .option("--purge", "also what Pods wrote into persistent volumes")
      .addHelpText(
        "after",
        examples(
          "mini-kube node remove worker-3     on the cluster, first: its Pods move elsewhere",
          "mini-kube leave                    on worker-3: stops its agent, removes its containers, network and keys",
        ),
      )
      .action(
        run(async (session, flags: { dataDir: string; purge?: boolean }) => {
          const { leaveCluster } = await import("./leave.ts");
          await leaveCluster({
            dataDir: flags.dataDir,
            purge: flags.purge ?? false,
            env: session.io.env as NodeJS.ProcessEnv,
            clock: session.io.clock,
            signal: session.io.signal,
            say: (line) => session.say(line),
          });
        }),
      ),
};
