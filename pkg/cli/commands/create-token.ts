/** `create token`: prints a token by which one acts as a ServiceAccount for a while. */
import type { Command } from "commander";
import type { AuthenticationV1TokenRequest } from "../../api/generated/types.ts";
import { serviceAccounts } from "../../api/kinds/core/serviceaccount.ts";
import { Client } from "../../client/client.ts";
import type { Run } from "../command.ts";
import { CliError, UsageError } from "../io.ts";
import type { Session } from "../session.ts";
import { parseDuration } from "../until.ts";
import { collect } from "./get.ts";

interface TokenFlags {
  duration?: number;
  audience?: string[];
  boundObjectKind?: string;
  boundObjectName?: string;
  boundObjectUid?: string;
}

export function defineToken(parent: Command, run: Run): void {
  parent
    .command("token")
    .description("A token by which to act as a service account")
    .argument("<service account>")
    .option("--duration <time>", "how long it holds, such as 10m or 24h (default: 1h)", seconds)
    .option("--audience <name>", "whom it is meant for (may be repeated; default: the API)", collect)
    .option("--bound-object-kind <kind>", "Pod, Secret or Node: it dies with that object")
    .option("--bound-object-name <name>", "which one")
    .option("--bound-object-uid <uid>", "and no later one of that name")
    .action(run(createToken));
}

function seconds(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined) throw new UsageError(`--duration ${text}: expected something like 10m or 24h`);
  return Math.floor(ms / 1000);
}

async function createToken(session: Session, name: string, o: TokenFlags): Promise<void> {
  const { boundObjectKind: kind, boundObjectName: object, boundObjectUid: uid, duration, audience } = o;
  if ((kind === undefined) !== (object === undefined)) {
    throw new UsageError("--bound-object-kind and --bound-object-name go together");
  }
  const bound = kind && { boundObjectRef: { kind, apiVersion: "v1", name: object, ...(uid && { uid }) } };
  const spec = {
    ...(duration !== undefined && { expirationSeconds: duration }),
    ...(audience && { audiences: audience }),
    ...bound,
  };
  const accounts = new Client(session.transport, "mini-kube").resource(serviceAccounts, session.namespace);
  const answer = (await accounts.subresource(name, "token", { spec })) as AuthenticationV1TokenRequest;
  const token = answer.status?.token;
  if (!token) throw new CliError("the server gave no token");
  await session.say(token);
}
