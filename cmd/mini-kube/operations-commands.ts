/** The commands of whoever runs a cluster: how it is, and how much it logs; the work is loaded when used. */
import { Option } from "commander";
import { type CommandModule, examples } from "../../pkg/cli/command.ts";
import { CliError } from "../../pkg/cli/io.ts";
import type { StatusFlags } from "./status.ts";
import type { BundleFlags } from "./support/bundle.ts";

export const statusCommand: CommandModule = {
  define: (c, run) =>
    c
      .addOption(new Option("-o, --output <format>", "all that was found").choices(["json", "yaml"]))
      .option("-w, --watch", "again every 5 s, until Ctrl-C")
      .addHelpText(
        "after",
        examples(
          "mini-kube status                                 the cluster of this machine; exit code 1 when something is wrong",
          "mini-kube status --kubeconfig admin.kubeconfig   any other one",
          "mini-kube status -o json                         for programs",
        ),
      )
      .action(
        run(async (session, flags: StatusFlags) => {
          const { status } = await import("./status.ts");
          await status(session, flags);
        }),
      ),
};

export const logLevelCommand: CommandModule = {
  define: (c, run) =>
    c
      .argument("[changes...]", "LEVEL, or NAME=LEVEL of one component or controller; NAME= takes that back")
      .addHelpText(
        "after",
        examples(
          "mini-kube log-level                            what is logged, and what has a level of its own",
          "mini-kube log-level debug                      more of everything (levels: debug, info, warn, error, silent)",
          "mini-kube log-level scheduler=debug            more of one component",
          "mini-kube log-level info scheduler= deployment=debug",
        ),
      )
      .action(
        run(async (session, changes: string[]) => {
          const { askLogLevel, openHome } = await import("./home.ts");
          const home = openHome({ env: session.io.env as NodeJS.ProcessEnv });
          const levels = await askLogLevel(home, changes.length > 0 ? changes.join(",") : undefined);
          if (!levels) throw new CliError("mini-kube is not running here; start it with: mini-kube up --detach");
          const own = Object.entries(levels.components).map(([name, level]) => `  ${name}: ${level}`);
          await session.say([levels.default, ...own, `log  ${home.log}`].join("\n"));
        }),
      ),
};

export const installCommand: CommandModule = {
  define: (c, run) =>
    c
      .argument("<program>", "up, apiserver, scheduler, controller-manager or agent")
      .argument("[flags...]", "for the program, as on its own command line")
      .option("--dry-run", "print the unit, change nothing")
      .option("--no-start", "from the next start of the machine on")
      .passThroughOptions()
      .addHelpText(
        "after",
        examples(
          "mini-kube install up --store etcd://127.0.0.1:2379      this machine's cluster, whenever the machine runs",
          "mini-kube install --dry-run scheduler --kubeconfig /etc/mini-kube/pki/scheduler.kubeconfig",
          "mini-kube uninstall                                     take all of them away again",
        ),
      )
      .action(
        run(async (session, program: string, flags: string[], o: { dryRun?: boolean; start: boolean }) => {
          const { install } = await import("./install.ts");
          await install({
            program,
            flags,
            dryRun: o.dryRun === true,
            start: o.start,
            env: session.io.env as NodeJS.ProcessEnv,
            say: (line) => session.say(line),
          });
        }),
      ),
};

export const uninstallCommand: CommandModule = {
  define: (c, run) =>
    c
      .argument("[program]", "up, apiserver, scheduler, controller-manager or agent (default: all)")
      .addHelpText("after", examples("mini-kube uninstall agent     containers go on; the data stay"))
      .action(
        run(async (session, program: string | undefined) => {
          const { uninstall } = await import("./install.ts");
          await uninstall({ program, say: (line) => session.say(line) });
        }),
      ),
};

export const supportBundleCommand: CommandModule = {
  define: (c, run) =>
    c
      .option("-o, --output <file>", "where to (default: mini-kube-support-TIME.tar.gz here)")
      .addHelpText(
        "after",
        examples(
          "mini-kube support-bundle                               of this machine and its cluster",
          "mini-kube support-bundle --kubeconfig admin.kubeconfig -o bundle.tar.gz",
        ),
      )
      .action(
        run(async (session, flags: BundleFlags) => {
          const { supportBundle } = await import("./support/bundle.ts");
          await supportBundle(session, flags);
        }),
      ),
};
