/** The commands that save a cluster's records and bring them back; the work is backup.ts's, loaded when used. */
import type { Command } from "commander";
import { type CommandModule, examples } from "../../pkg/cli/command.ts";
import type { Session } from "../../pkg/cli/session.ts";

interface Flags {
  store?: string;
  storeCaFile?: string;
  storeCertFile?: string;
  storeKeyFile?: string;
  dataDir?: string;
  pkiDir?: string;
}

const surroundings = ({ io }: Session) => ({
  env: io.env as NodeJS.ProcessEnv,
  say: (line: string) => void io.stdout.write(`${line}\n`),
  note: (line: string) => void io.stderr.write(`${line}\n`),
});

const storeFlags = (c: Command, store: string): Command =>
  c
    .option("--store <store>", store)
    .option("--store-ca-file <file>", "the CA of etcd's certificates, for etcds://")
    .option("--store-cert-file <file>", "the client certificate for etcd")
    .option("--store-key-file <file>", "its key")
    .option("--data-dir <dir>", "as given to up")
    .option("--pki-dir <dir>", "where the cluster's keys are (default: those of this home)");

export const backupCommand: CommandModule = {
  define: (c, run) =>
    storeFlags(c.argument("<file>"), "lmdb or etcd://host:port,… (default: that of the running cluster, else lmdb)")
      .option("--with-keys", "put the cluster's keys into the file, too: then it is all that a restore needs")
      .addHelpText(
        "after",
        examples(
          "mini-kube backup cluster.backup                  of this machine's cluster, while it runs or not",
          "mini-kube backup cluster.backup --with-keys      with its CA and the key of its Secrets",
          "mini-kube backup cluster.backup --store etcd://10.0.0.1:2379,10.0.0.2:2379",
          "zcat cluster.backup | head -3                    it is lines of JSON",
        ),
      )
      .action(
        run(async (session, file: string, flags: Flags & { withKeys?: boolean }) => {
          const { backup } = await import("./backup.ts");
          await backup(file, { ...flags, ...surroundings(session) });
        }),
      ),
};

export const restoreCommand: CommandModule = {
  define: (c, run) =>
    storeFlags(c.argument("<file>"), "where to: lmdb (default) or etcd://host:port,…")
      .option("--force", "replace all that the store holds")
      .addHelpText(
        "after",
        examples(
          "mini-kube restore cluster.backup                 into this machine's store; then: mini-kube up",
          "mini-kube restore cluster.backup --force         in place of what is there",
          "mini-kube restore cluster.backup --store etcd://10.0.0.1:2379   the cluster moves to etcd",
        ),
      )
      .action(
        run(async (session, file: string, flags: Flags & { force?: boolean }) => {
          const { restoreBackup } = await import("./backup.ts");
          await restoreBackup(file, { ...flags, ...surroundings(session) });
        }),
      ),
};
