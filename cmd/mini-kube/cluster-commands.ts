/** The commands that start, stop and look at the cluster of this machine; the work is up.ts's, loaded when used. */
import { Option } from "commander";
import { UsageError } from "../../pkg/cli/io.ts";
import { type CommandModule, examples } from "../../pkg/cli/command.ts";
import { address, bool, port, portOrNone, seconds } from "../component/flags.ts";
import { defineNodeFlags } from "./node-flags.ts";
import type { Session } from "../../pkg/cli/session.ts";
import type { UpFlags } from "./up.ts";

function store(value: string): string {
  if (value === "lmdb" || value === "memory" || /^etcds?:\/\//.test(value)) return value;
  throw new UsageError(`--store ${value}: choose lmdb, memory or etcd://host:port,… (etcds:// for TLS)`);
}

/** The process in the background gets the same arguments, and this, which takes `--detach` back: the last one counts. */
const STAY = "--no-detach";

const surroundings = (session: Session) => ({
  env: session.io.env as NodeJS.ProcessEnv,
  say: (line: string) => void session.io.stdout.write(`${line}\n`),
});

export const upCommand: CommandModule = {
  define: (c, run) => {
    defineNodeFlags((flag, help) => void c.option(flag, help));
    return c
      .option("-d, --detach", "leave it running in the background")
      .addOption(new Option(STAY).hideHelp())
      .option("--node-name <name>", "this machine's name as a Node (default: its host name)")
      .option("--store <store>", "where the objects are kept: lmdb (default), memory or etcd://host:port,…", store)
      .option("--store-ca-file <file>", "the CA of etcd's certificates, for etcds://")
      .option("--store-cert-file <file>", "the client certificate for etcd")
      .option("--store-key-file <file>", "its key")
      .option("--port <port>", "where the API is served (default: 6443)", port)
      .option(
        "--address <ip>",
        "where other machines reach this one (default: nothing is reached from outside)",
        address("--address"),
      )
      .option("--pod-cidr <cidr>", "the addresses of Pods (default: 10.244.0.0/16, or the next that is free)")
      .option("--service-cidr <cidr>", "the addresses of Services (default: 10.96.0.0/16, or the next that is free)")
      .option("--data-dir <dir>", "where lmdb keeps its file (default: $MINI_KUBE_HOME/data)")
      .option("--audit-log <file>", "write down every request to the API: who, what, when, with what success")
      .option("--audit-policy <file>", "which requests, and how much of them (a Policy of audit.k8s.io/v1)")
      .option("--token-file <file>", 'bearer tokens of other users: lines of token,user,uid,"group1,group2"')
      .option("--anonymous-auth <bool>", "whether anybody is told of health and version (default: true)", bool)
      .option("--node-monitor-grace-period <seconds>", "a node silent for this long is lost (default: 6)", seconds)
      .option("--default-toleration-seconds <seconds>", "so long Pods stay on a lost node (default: 5)", seconds)
      .option("--cluster-signing-duration <seconds>", "so long nodes' certificates hold (default: a year)", seconds)
      .option(
        "--horizontal-pod-autoscaler-sync-period <seconds>",
        "how often autoscalers look at the load (default: 15)",
        seconds,
      )
      .option("--ingress-http-port <port>", "where Ingresses are served, or none (default: 80)", portOrNone)
      .option("--ingress-https-port <port>", "the same by TLS, or none (default: 443)", portOrNone)
      .option("--ingress-access-log <file>", "gets a line of JSON for every request to an Ingress")
      .option("--ingress-metrics-port <port>", "where the ingress's counters are served, on 127.0.0.1", port)
      .addHelpText(
        "after",
        examples(
          "mini-kube up                                   in this terminal, until Ctrl-C",
          "mini-kube up --detach                          in the background; end it with: mini-kube down",
          "mini-kube up --store etcd://127.0.0.1:2379     keep the objects in etcd",
          "mini-kube up --store etcd://10.0.0.1:2379 --address 10.0.0.2   one of several machines of a cluster",
        ),
      )
      .action(
        run(async (session, { detach, ...flags }: UpFlags & { detach?: boolean }) => {
          const { up } = await import("./up.ts");
          const detached = detach ? [...process.argv.slice(2), STAY] : undefined;
          await up({ ...flags, detached, ...surroundings(session) });
        }),
      );
  },
};

export const downCommand: CommandModule = {
  define: (c, run) =>
    c
      .option("--purge", "remove the objects and everything else it kept, too")
      .option("--data-dir <dir>", "as given to up")
      .addHelpText(
        "after",
        examples(
          "mini-kube down             stop; the next up brings the Pods back",
          "mini-kube down --purge     leave nothing behind",
        ),
      )
      .action(
        run(async (session, flags: { purge?: boolean; dataDir?: string }) => {
          const { down } = await import("./up.ts");
          await down({ ...flags, ...surroundings(session) });
        }),
      ),
};
