/** The controllers there are: the one list that a controller manager runs. */
import { Informers, type InformersOptions } from "../informer/informers.ts";
import { ServedKinds } from "../informer/served-kinds.ts";
import { together } from "../reconcile/scope.ts";
import type { Metrics } from "../util/metrics.ts";
import type { ControllerParts, ControllerSettings } from "./parts.ts";
import { runTokenCleaner } from "./token-cleaner/controller.ts";
import { runCertificates } from "./certificates/controller.ts";
import { runClusterRoleAggregation } from "./clusterrole-aggregation/controller.ts";
import { runCronJobs } from "./cronjob/controller.ts";
import { runConfigRollouts } from "./configrollout/controller.ts";
import { runDaemonSets } from "./daemonset/controller.ts";
import { runDeployments } from "./deployment/controller.ts";
import { runDisruptionController } from "./disruption/controller.ts";
import { runEndpointsController } from "./endpoints/controller.ts";
import { runEndpointSliceController } from "./endpointslice/controller.ts";
import { runEndpointSliceMirroring } from "./endpointslice/mirroring.ts";
import { runGarbageCollector } from "./garbagecollector/controller.ts";
import { runJobs } from "./job/controller.ts";
import { runHorizontalPodAutoscalers } from "./horizontalpodautoscaler/controller.ts";
import { runJobQueues } from "./job-queue/controller.ts";
import { runLoadBalancers } from "./loadbalancer/controller.ts";
import { runNamespaceController } from "./namespace/controller.ts";
import { runNamespaceDefaults } from "./namespacedefaults/controller.ts";
import { runNodeIpam } from "./nodeipam/controller.ts";
import { runNodeLifecycle } from "./nodelifecycle/controller.ts";
import { runPodGc } from "./podgc/controller.ts";
import { runReplicaSets, runReplicationControllers } from "./replicaset/controller.ts";
import { runPersistentVolumeController } from "./persistentvolume/controller.ts";
import { runEphemeralVolumes } from "./persistentvolume/ephemeral.ts";
import { runClaimProtection, runVolumeProtection } from "./persistentvolume/protection.ts";
import { runResourceQuotaController } from "./resourcequota/controller.ts";
import { runServiceAccountTokens } from "./serviceaccount-token/controller.ts";
import { runStatefulSets } from "./statefulset/controller.ts";
import { runTemplates } from "./template/controller.ts";
import { runTtlAfterFinished } from "./ttl-after-finished/controller.ts";
import { runVerticalPodAutoscalers } from "./verticalpodautoscaler/controller.ts";
import { runTaintEviction } from "./tainteviction/controller.ts";

/** Each runs until the signal aborts. */
const controllers: readonly ((o: ControllerParts, signal: AbortSignal) => Promise<void>)[] = [
  runNamespaceController,
  runNamespaceDefaults,
  runGarbageCollector,
  runServiceAccountTokens,
  runClusterRoleAggregation,
  runDeployments,
  runConfigRollouts,
  runReplicaSets,
  runReplicationControllers,
  runStatefulSets,
  runDaemonSets,
  runJobs,
  runCronJobs,
  runTtlAfterFinished,
  runJobQueues,
  runNodeIpam,
  runNodeLifecycle,
  runTaintEviction,
  runPodGc,
  runCertificates,
  runTokenCleaner,
  runHorizontalPodAutoscalers,
  runVerticalPodAutoscalers,
  runResourceQuotaController,
  runDisruptionController,
  runEndpointsController,
  runEndpointSliceController,
  runEndpointSliceMirroring,
  runLoadBalancers,
  runPersistentVolumeController,
  runVolumeProtection,
  runClaimProtection,
  runEphemeralVolumes,
  runTemplates,
];

export type ControllersOptions = InformersOptions & ControllerSettings & { readonly metrics?: Metrics | undefined };

/** Runs all of them, on one set of informers, until the signal aborts. Rejects when one breaks; the others end then. */
export async function runControllers(o: ControllersOptions, signal: AbortSignal): Promise<void> {
  const informers = new Informers(o);
  const kinds = new ServedKinds(informers);
  const parts: ControllerParts = { ...o, informers, kinds };
  await together(signal, (s) => informers.run(s), ...controllers.map((run) => (s: AbortSignal) => run(parts, s)));
}
