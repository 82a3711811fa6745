/** `mini-kube node`: the work is node-remove.ts's, loaded when used. */
import { type CommandModule, examples } from "../../pkg/cli/command.ts";
import { UsageError } from "../../pkg/cli/io.ts";
import { parseDuration } from "../../pkg/cli/until.ts";
import { Client } from "../../pkg/client/client.ts";

interface RemoveFlags {
  force?: boolean;
  deleteEmptydirData?: boolean;
  timeout: number;
}

function time(value: string): number {
  const ms = parseDuration(value);
  if (ms === undefined || ms < 0) throw new UsageError(`--timeout ${value}: a time is needed like 5m`);
  return ms;
}

export const command: CommandModule = {
  define: (c, run) => {
    c.command("remove <name>")
      .description("Move the Pods of a node away, and take it out of the cluster for good")
      .option("--force", "also Pods that nobody makes again; and do not wait for those of a machine that is gone")
      .option("--delete-emptydir-data", "also Pods whose files would be lost")
      .option("--timeout <time>", "how long Pods may take to go", time, 300_000)
      .addHelpText(
        "after",
        examples(
          "mini-kube node remove worker-3",
          "mini-kube node remove worker-3 --force --delete-emptydir-data     the machine has died",
        ),
      )
      .action(
        run(async (session, name: string, flags: RemoveFlags) => {
          const { removeNode } = await import("./node-remove.ts");
          const { transport, io } = session;
          await removeNode(name, {
            client: new Client(transport, "mini-kube"),
            clock: io.clock,
            serverTime: async () => {
              const { headers, body } = await transport.raw("GET", "/version");
              body.resume();
              return Date.parse(headers.date ?? "") || io.clock.now();
            },
            force: flags.force ?? false,
            deleteEmptydirData: flags.deleteEmptydirData ?? false,
            timeoutMs: flags.timeout,
            say: (line) => session.say(line),
            signal: io.signal,
          });
        }),
      );
  },
};
