#!/usr/bin/env node
/** The program `mini-kube-controller-manager`: one of any number, of which one acts. */
import { hostname } from "node:os";
import { systemClock } from "../../pkg/util/clock.ts";
import { nodeRangesOf } from "../component/cluster-network.ts";
import { readClusterConfig } from "../component/cluster-config.ts";
import { apiCheck, connect, followKubeconfig, readConnection } from "../component/connection.ts";
import { controllerSettings, startControllerManager } from "../component/controller-manager.ts";
import { newIdentity } from "../component/elected.ts";
import { LEASE_FLAG, leaseDuration, seconds } from "../component/flags.ts";
import { partsOf } from "../component/parts.ts";
import { readCa } from "../component/pki-dir.ts";
import { runProgram } from "../component/program.ts";

interface Flags {
  readonly kubeconfig?: string;
  readonly pkiDir?: string;
  readonly leaderElectLeaseDuration?: number;
  readonly nodeMonitorGracePeriod?: number;
  readonly horizontalPodAutoscalerSyncPeriod?: number;
  readonly clusterSigningDuration?: number;
}

const NAME = "mini-kube-controller-manager";

await runProgram<Flags>({
  name: NAME,
  summary: "Runs all controllers. Of several, one acts; when it ends, another goes on.",
  observeAddress: "127.0.0.1:10257",
  examples: [
    `${NAME} --kubeconfig /etc/mini-kube/pki/controller-manager.kubeconfig --pki-dir /etc/mini-kube/pki`,
    `${NAME} … --node-monitor-grace-period 20s     wait longer until a silent node counts as lost`,
  ],
  define: (c) =>
    c
      .option("--kubeconfig <file>", "where the API servers are, and who this is")
      .option("--pki-dir <dir>", "the cluster's CA: ca.crt, and ca.key to sign certificates with")
      .option(...LEASE_FLAG, leaseDuration)
      .option("--node-monitor-grace-period <seconds>", "a node silent for this long is lost (default: 6)", seconds)
      .option("--cluster-signing-duration <seconds>", "so long nodes' certificates hold (default: a year)", seconds)
      .option(
        "--horizontal-pod-autoscaler-sync-period <seconds>",
        "how often autoscalers look at the load (default: 15)",
        seconds,
      ),
  run: async (flags, { signal, log, metrics, observe }) => {
    const transport = connect(readConnection(flags.kubeconfig), NAME);
    const ca = await readCa(flags.pkiDir);
    void followKubeconfig(flags.kubeconfig, transport, { clock: systemClock, log }, signal);
    await observe([apiCheck(transport)]);
    const config = await readClusterConfig(partsOf(NAME, transport, log), signal);
    const settings = {
      ...controllerSettings(ca, {
        graceSeconds: flags.nodeMonitorGracePeriod,
        autoscalerSyncSeconds: flags.horizontalPodAutoscalerSyncPeriod,
        signingSeconds: flags.clusterSigningDuration,
      }),
      nodeRanges: nodeRangesOf(config),
    };
    const election = { identity: newIdentity(hostname()), leaseSeconds: flags.leaderElectLeaseDuration };
    await startControllerManager({ transport, settings, ...election, log, metrics }, signal);
    transport.close();
  },
});
