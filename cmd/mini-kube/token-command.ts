/** `mini-kube token`: the work is token.ts's, loaded when used. */
import type { BootstrapToken } from "../../pkg/api/bootstrap-token.ts";
import { type CommandModule, examples } from "../../pkg/cli/command.ts";
import { CliError, UsageError } from "../../pkg/cli/io.ts";
import { TablePrinter } from "../../pkg/cli/output/table.ts";
import type { Session } from "../../pkg/cli/session.ts";
import { parseDuration } from "../../pkg/cli/until.ts";
import { Client } from "../../pkg/client/client.ts";
import { singleKubeconfig } from "../../pkg/client/kubeconfig.ts";
import { rfc3339 } from "../../pkg/util/clock.ts";
import { toYaml } from "../../pkg/util/yaml.ts";

interface CreateFlags {
  ttl: number;
  description?: string;
  printJoinCommand?: boolean;
  output?: string;
}

const DAY_MS = 24 * 3_600_000;
const OUTPUTS = ["json", "kubeconfig"];

function ttl(value: string): number {
  const ms = value === "0" ? 0 : parseDuration(value);
  if (ms === undefined || ms < 0) throw new UsageError(`--ttl ${value}: a time is needed like 24h, or 0 for no end`);
  return ms;
}

function output(value: string): string {
  if (OUTPUTS.includes(value)) return value;
  throw new UsageError(`-o ${value}: choose one of ${OUTPUTS.join(", ")}`);
}

const clientOf = (session: Session) => new Client(session.transport, "mini-kube");

async function create(session: Session, flags: CreateFlags): Promise<void> {
  const { createToken, joinCommand, onlyHere, serverForOthers } = await import("./token.ts");
  const client = clientOf(session);
  const { connection } = session.context;
  const made = await createToken(client, { ttlMs: flags.ttl, description: flags.description }, session.io.clock);
  if (flags.output === "json") return session.say(JSON.stringify(made, undefined, 2));
  if (flags.output === undefined && !flags.printJoinCommand) return session.say(made.token);
  const { ca } = connection;
  if (ca === undefined) throw new CliError("the kubeconfig names no CA: a machine could not know the cluster by it");
  const server = await serverForOthers(client, connection);
  if (flags.output === "kubeconfig") {
    const { token } = made;
    const { cert: _, key: __, ...rest } = connection;
    return session.say(toYaml(singleKubeconfig("bootstrap", { ...rest, server, token })));
  }
  if (onlyHere(server)) session.warn(`only this machine reaches ${server}: start mini-kube up with --address`);
  await session.say(joinCommand(server, made.token, ca));
}

function row(t: BootstrapToken, now: number): string[] {
  const rest = t.expiresAt - now;
  const left = rest <= 0 ? "<expired>" : `${Math.floor(rest / 3_600_000)}h${Math.floor((rest % 3_600_000) / 60_000)}m`;
  const [ttlText, until] = t.expiresAt === Infinity ? ["<forever>", "<never>"] : [left, rfc3339(t.expiresAt)];
  return [`${t.id}.${t.secret}`, ttlText, until, t.usages.join(","), t.description || "<none>", t.groups.join(",")];
}

const HEAD = ["TOKEN", "TTL", "EXPIRES", "USAGES", "DESCRIPTION", "EXTRA GROUPS"];

export const command: CommandModule = {
  define: (c, run) => {
    c.command("create")
      .description("Make a token by which machines join")
      .option("--ttl <time>", "how long it holds; 0: without end", ttl, DAY_MS)
      .option("--description <text>", "what it is for")
      .option("--print-join-command", "print the whole command to run on the machine that joins")
      .option("-o, --output <form>", "json; or kubeconfig: for mini-kube-agent --bootstrap-kubeconfig", output)
      .addHelpText(
        "after",
        examples(
          "mini-kube token create --print-join-command      what to run on the machine that joins",
          'mini-kube token create --ttl 2h --description "rack 4"',
          "mini-kube token create -o kubeconfig > bootstrap.kubeconfig",
        ),
      )
      .action(run(create));
    c.command("list")
      .description("Show all tokens")
      .addHelpText("after", examples("mini-kube token list"))
      .action(
        run(async (session) => {
          const { listTokens } = await import("./token.ts");
          const tokens = await listTokens(clientOf(session));
          const now = session.io.clock.now();
          const rows = tokens.map((t) => row(t, now));
          await session.say(new TablePrinter(session.paint).format({ header: HEAD, rows }));
        }),
      );
    c.command("delete <token>")
      .description("Take a token back: nobody joins by it any more; who has joined stays")
      .addHelpText("after", examples("mini-kube token delete abc123"))
      .action(
        run(async (session, token: string) => {
          const { deleteToken } = await import("./token.ts");
          const id = await deleteToken(clientOf(session), token);
          if (id === undefined) throw new UsageError(`${token}: a token or its first six characters are needed`);
          await session.say(`token ${id} deleted`);
        }),
      );
  },
};
