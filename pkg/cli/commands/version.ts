/** `version`: of this program and of the server. */
import { ApiError } from "../../api/status.ts";
import { errorText } from "../errors.ts";
import { CliError, UsageError } from "../io.ts";
import { CLIENT_VERSION } from "../session.ts";
import { type CommandModule, examples } from "../command.ts";
import type { Session } from "../session.ts";
import { toYaml } from "../../util/yaml.ts";

interface Options {
  client?: boolean;
  output?: string;
}

export const command: CommandModule = {
  define: (c, run) =>
    c
      .option("--client", "of this program only")
      .option("-o, --output <format>", "json or yaml")
      .addHelpText("after", examples("mini-kube version", "mini-kube version --client -o json"))
      .action(run(version)),
};

async function version(session: Session, o: Options): Promise<void> {
  const clientVersion = {
    gitVersion: `v${CLIENT_VERSION}`,
    platform: `${process.platform}/${process.arch}`,
    nodeVersion: process.version,
  };
  let failure: unknown;
  let serverVersion: { gitVersion?: string } | undefined;
  if (!o.client) {
    try {
      serverVersion = JSON.parse(await session.transport.text("/version")) as { gitVersion?: string };
    } catch (error) {
      failure = error;
    }
  }
  const all = { clientVersion, ...(serverVersion && { serverVersion }) };
  if (o.output === "json") await session.say(JSON.stringify(all, null, 2));
  else if (o.output === "yaml") await session.say(toYaml(all));
  else if (o.output !== undefined) throw new UsageError(`--output ${o.output}: choose json or yaml`);
  else {
    await session.say(`Client Version: ${clientVersion.gitVersion}`);
    if (serverVersion) await session.say(`Server Version: ${serverVersion.gitVersion}`);
  }
  // The client's half is told in any case.
  if (failure instanceof ApiError) throw failure;
  if (failure !== undefined) throw new CliError(errorText(failure).replace(/^error: /, ""));
}
