/** `mini-kube pki`: the work is pki.ts's, loaded when used. */
import { type CommandModule, examples } from "../../pkg/cli/command.ts";
import { CliError, UsageError } from "../../pkg/cli/io.ts";
import type { EtcdMember } from "./pki.ts";

interface InitFlags {
  server?: string[];
  san?: string[];
  etcd?: EtcdMember[];
}

function server(value: string, before: string[] = []): string[] {
  if (!/^https:\/\/[^/]+\/?$/.test(value) || !URL.canParse(value))
    throw new UsageError(`--server ${value}: an address is needed like https://api.example.com:6443`);
  return [...before, value.replace(/\/$/, "")];
}

const names = (value: string, before: string[] = []) => [...before, ...value.split(",").filter((n) => n !== "")];

/** Their certificates would take the place of others. */
const TAKEN: readonly string[] = ["ca", "client"];

function member(value: string, before: EtcdMember[] = []): EtcdMember[] {
  const [name = "", hosts = ""] = value.split("=");
  if (!/^[a-z0-9][a-z0-9.-]*$/i.test(name) || TAKEN.includes(name) || hosts === "")
    throw new UsageError(`--etcd ${value}: NAME=HOST,HOST is needed, like etcd1=etcd1,10.0.0.1`);
  return [...before, { name, hosts: names(hosts) }];
}

const unchanged = (dir: string) => `everything in ${dir} is good; nothing was changed`;

export const command: CommandModule = {
  define: (c, run) => {
    c.command("init <dir>")
      .description("Make CA, keys, certificates and kubeconfigs for a cluster of separate programs")
      .option("--server <url>", "where the API is reached (repeatable: clients go on to the next)", server)
      .option("--san <names>", "other names and addresses of API servers: NAME,NAME", names)
      .option("--etcd <member>", "an etcd member and where it is reached: NAME=HOST,HOST (repeatable)", member)
      .addHelpText(
        "after",
        examples(
          "mini-kube pki init /etc/mini-kube/pki --server https://10.0.0.1:6443",
          "mini-kube pki init pki --server https://api1:6443 --server https://api2:6443 --etcd etcd1=etcd1 --etcd etcd2=etcd2",
          "mini-kube pki init pki --server https://api1:6443     again: renews what is near its end; etcd's members stay",
        ),
      )
      .action(
        run(async (session, dir: string, flags: InitFlags) => {
          const { initPki } = await import("./pki.ts");
          const { clock } = session.io;
          if (!flags.server)
            throw new UsageError("--server is needed: where the API is reached, like https://api:6443");
          const { server: servers, san: sans = [], etcd: members } = flags;
          const written = await initPki(dir, { servers, sans, clock, ...(members && { etcd: members }) });
          const lines = written.map((name) => `wrote ${dir}/${name}`);
          await session.say(lines.length > 0 ? lines.join("\n") : unchanged(dir));
        }),
      );
    c.command("renew <dir>")
      .description("Renew what is near its end, as init made it; API servers do the same day by day")
      .addHelpText("after", examples("mini-kube pki renew /etc/mini-kube/pki"))
      .action(
        run(async (session, dir: string) => {
          const { isPki, renewPki } = await import("./pki.ts");
          if (!(await isPki(dir))) throw new CliError(`${dir} is no directory of mini-kube pki init`);
          const written = await renewPki(dir, session.io.clock);
          const lines = written.map((name) => `renewed ${dir}/${name}`);
          await session.say(lines.length > 0 ? lines.join("\n") : unchanged(dir));
        }),
      );
  },
};
