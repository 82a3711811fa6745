/** `mini-kube status`: how the cluster is, and what is to be done; this machine's own, or one that a kubeconfig names. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { CliError } from "../../pkg/cli/io.ts";
import type { GlobalFlags, Session } from "../../pkg/cli/session.ts";
import { collect } from "../../pkg/cli/status/collect.ts";
import type { ClusterFacts } from "../../pkg/cli/status/facts.ts";
import { factLines, verdictLines } from "../../pkg/cli/status/print.ts";
import { type Verdict, verdictsOf } from "../../pkg/cli/status/verdicts.ts";
import { type Connection, loadKubeconfig, resolveContext } from "../../pkg/client/kubeconfig.ts";
import { toYaml } from "../../pkg/util/yaml.ts";
import { askStatus, type Home, openHome, type RunningCluster } from "./home.ts";
import { describeRunning } from "./up.ts";

export interface StatusFlags extends GlobalFlags {
  readonly output?: "json" | "yaml";
  readonly watch?: boolean;
}

/** As `-o json` has it. */
export interface StatusReport {
  /** Nothing wants somebody to act. */
  readonly healthy: boolean;
  readonly verdicts: readonly Verdict[];
  /** This machine's cluster, if it is the one. */
  readonly process?: RunningCluster;
  /** Undefined: the API does not answer. */
  readonly cluster?: ClusterFacts;
}

const WATCH_MS = 5_000;
const NOT_RUNNING = "mini-kube is not running; start it with: mini-kube up --detach";

/** Prints; ends with 1 unless all is well. */
export async function status(session: Session, flags: StatusFlags): Promise<void> {
  const { io } = session;
  const home = openHome({ env: io.env as NodeJS.ProcessEnv });
  for (;;) {
    const asked = await askOne(session, flags, home);
    if (!asked) {
      if (flags.output === undefined) await session.say(NOT_RUNNING);
      throw new CliError(flags.output === undefined ? "" : NOT_RUNNING);
    }
    await session.say(textOf(asked, session, flags, home));
    if (!flags.watch) {
      if (!asked.healthy) throw new CliError("");
      return;
    }
    await io.clock.sleep(WATCH_MS, io.signal);
  }
}

/** Undefined: nothing runs here, and no other cluster was named. */
async function askOne(session: Session, flags: GlobalFlags, home: Home): Promise<StatusReport | undefined> {
  const running = await askStatus(home);
  const named = flags.kubeconfig !== undefined || flags.context !== undefined;
  if (!running && !named && !session.io.env["KUBECONFIG"]) {
    if (running === null) throw new CliError("mini-kube is just starting; ask again in a moment");
    return undefined;
  }
  const own = running && (!named || session.context.connection.server === running.server) ? running : undefined;
  const connection = own ? connectionOf(home) : session.context.connection;
  return reportOf(session, connection, own, own && home);
}

export function connectionOf(home: Home): Connection {
  return resolveContext(loadKubeconfig({ files: [home.kubeconfig], required: true })).connection;
}

export async function reportOf(
  { io: { clock } }: Pick<Session, "io">,
  connection: Connection,
  own?: RunningCluster,
  home?: Home,
): Promise<StatusReport> {
  const process = own && { process: own };
  try {
    const cluster = await collect({ connection, clock, certificates: home ? certificatesIn(home.pki) : {} });
    const verdicts = verdictsOf(cluster);
    return { healthy: verdicts.every((v) => v.severity !== "trouble"), verdicts, ...process, cluster };
  } catch (error) {
    const text = `the API does not answer: ${(error as Error).message.split("\n").join("; ")}`;
    return { healthy: false, verdicts: [{ severity: "trouble", text }], ...process };
  }
}

/** By file; the CA stands in the kubeconfig, too. */
function certificatesIn(dir: string): Record<string, string> {
  const files = readdirSync(dir, { withFileTypes: true }).filter(
    (f) => f.isFile() && f.name.endsWith(".crt") && f.name !== "ca.crt",
  );
  return Object.fromEntries(files.map(({ name }) => [`pki/${name}`, readFileSync(join(dir, name), "utf8")]));
}

function textOf(report: StatusReport, { paint }: Session, { output }: StatusFlags, home: Home): string {
  if (output === "json") return JSON.stringify(report, undefined, 2);
  if (output === "yaml") return toYaml(report);
  const { process: own, cluster } = report;
  return [
    own
      ? describeRunning(own, home)
      : `mini-kube ${cluster?.version ?? ""} at ${cluster?.server ?? "the server"}`.trim(),
    ...(cluster ? factLines(cluster) : []),
    ...verdictLines(report.verdicts, paint),
  ].join("\n");
}
