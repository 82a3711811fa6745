#!/usr/bin/env node
/** The program `mini-kube-scheduler`: one of any number, of which one acts. */
import { hostname } from "node:os";
import { systemClock } from "../../pkg/util/clock.ts";
import { apiCheck, connect, followKubeconfig, readConnection } from "../component/connection.ts";
import { newIdentity } from "../component/elected.ts";
import { LEASE_FLAG, leaseDuration } from "../component/flags.ts";
import { runProgram } from "../component/program.ts";
import { startScheduler } from "../component/scheduler.ts";

interface Flags {
  readonly kubeconfig?: string;
  readonly leaderElectLeaseDuration?: number;
}

await runProgram<Flags>({
  name: "mini-kube-scheduler",
  summary: "Chooses a node for every Pod. Of several, one acts; when it ends, another goes on.",
  observeAddress: "127.0.0.1:10259",
  examples: ["mini-kube-scheduler --kubeconfig /etc/mini-kube/pki/scheduler.kubeconfig"],
  define: (c) =>
    c.option("--kubeconfig <file>", "where the API servers are, and who this is").option(...LEASE_FLAG, leaseDuration),
  run: async (flags, { signal, log, metrics, observe }) => {
    const transport = connect(readConnection(flags.kubeconfig), "mini-kube-scheduler");
    void followKubeconfig(flags.kubeconfig, transport, { clock: systemClock, log }, signal);
    await observe([apiCheck(transport)]);
    const election = { identity: newIdentity(hostname()), leaseSeconds: flags.leaderElectLeaseDuration };
    await startScheduler({ transport, ...election, log, metrics }, signal);
    transport.close();
  },
});
