/** `mini-kube join`: the work is join.ts's, loaded when used. */
import { type CommandModule, examples } from "../../pkg/cli/command.ts";
import { UsageError } from "../../pkg/cli/io.ts";
import { DEFAULT_AGENT_DIR } from "../component/agent-home.ts";
import { address, nodeLabels, nodeTaints, portOrAny } from "../component/flags.ts";
import { defineNodeFlags, type NodeFlags, nodeFlagsAgain } from "./node-flags.ts";

interface JoinFlags extends NodeFlags {
  token?: string;
  caHash?: string;
  nodeName?: string;
  dataDir: string;
  detach?: boolean;
  address?: string;
  port?: string;
  nodeLabels?: string;
  registerWithTaints?: string;
  observeAddress?: string;
  logLevel?: string;
}

/** Flags that the agent has, too: it is given them as they are. */
const AGENT_FLAGS = ["address", "port", "nodeLabels", "registerWithTaints", "observeAddress", "logLevel"] as const;

/** Said before anything is done: a flag that the agent would refuse. */
function checked(check: (value: string) => unknown): (value: string) => string {
  return (value) => {
    check(value);
    return value;
  };
}

const flagName = (key: string) => `--${key.replaceAll(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}`;

function serverUrl(value: string): string {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (url?.protocol === "https:" && url.pathname === "/" && url.search === "") return url.origin;
  throw new UsageError(`${value}: the address of an API server is needed like https://10.0.0.1:6443`);
}

export const command: CommandModule = {
  define: (c, run) => {
    c.argument("<server>", "https://HOST:PORT of an API server of the cluster", serverUrl)
      .option("--token <token>", "by which it joins; of: mini-kube token create")
      .option("--ca-hash <hash>", "sha256:HEX of the cluster's CA, by which it is known")
      .option("--node-name <name>", "this machine's name as a Node (default: its host name)")
      .option(
        "--address <ip>",
        "where others reach this machine (default: as the API server sees it)",
        checked(address("--address")),
      )
      .option("--port <port>", "where the agent's own endpoint is served; 0: any free one", checked(portOrAny))
      .option("--data-dir <dir>", "certificates, and the volumes of Pods", DEFAULT_AGENT_DIR)
      .option("--node-labels <labels>", "key=value,…", checked(nodeLabels))
      .option("--register-with-taints <taints>", "key=value:Effect,…", checked(nodeTaints))
      .option("--observe-address <host:port>", "where the agent's health and metrics are served")
      .option("--log-level <level>", "debug, info, warn or error")
      .option("-d, --detach", "leave the agent running in the background");
    defineNodeFlags((flag, help) => void c.option(flag, help));
    c.addHelpText(
      "after",
      examples(
        "mini-kube token create --print-join-command        on the cluster: prints what to run here",
        "mini-kube join https://10.0.0.1:6443 --token abcdef.0123456789abcdef --ca-hash sha256:… --detach",
        "mini-kube join … --node-labels zone=a,disk=ssd --register-with-taints dedicated=web:NoSchedule",
      ),
    ).action(
      run(async (session, server: string, flags: JoinFlags) => {
        const { joinCluster } = await import("./join.ts");
        const given = AGENT_FLAGS.flatMap((key) => {
          const value = flags[key];
          return value === undefined ? [] : [flagName(key), value];
        });
        const { env, clock, signal } = session.io;
        await joinCluster({
          server,
          token: flags.token,
          caHash: flags.caHash,
          nodeName: flags.nodeName,
          dataDir: flags.dataDir,
          detach: flags.detach ?? false,
          agentArgs: [...given, ...nodeFlagsAgain(flags)],
          env: env as NodeJS.ProcessEnv,
          clock,
          signal,
          say: (line) => session.say(line),
        });
      }),
    );
  },
};
