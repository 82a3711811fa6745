/** What every controller is given. */
import type { Client } from "../client/client.ts";
import type { Informers } from "../informer/informers.ts";
import type { ServedKinds } from "../informer/served-kinds.ts";
import type { Clock, Random } from "../util/clock.ts";
import type { Logger } from "../util/log.ts";
import type { Metrics } from "../util/metrics.ts";
import type { CertificateAuthority } from "../util/certificates.ts";
import type { AutoscalerSettings } from "./horizontalpodautoscaler/settings.ts";
import type { NodeRanges } from "./nodeipam/plan.ts";
import type { NodeLifecycleSettings } from "./nodelifecycle/settings.ts";
import type { PodGcSettings } from "./podgc/plan.ts";

/** How some of them are set; what is left out is as their own files have it. */
export interface ControllerSettings {
  readonly autoscaler?: Partial<AutoscalerSettings>;
  readonly nodeLifecycle?: Partial<NodeLifecycleSettings>;
  readonly podGc?: Partial<PodGcSettings>;
  /** From what nodes get the addresses of their Pods. Default: they get none. */
  readonly nodeRanges?: NodeRanges;
  /** PEM of the cluster's CA. */
  readonly caCert?: string;
  /** Reads and signs certificate requests. Default: nobody does. */
  readonly authority?: CertificateAuthority;
  /** The longest a certificate is good for that was asked for. Default: a year. */
  readonly signingSeconds?: number | undefined;
}

export interface ControllerParts extends ControllerSettings {
  readonly client: Client;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: Random;
  /** Counts what goes through their queues. */
  readonly metrics?: Metrics | undefined;
  /** Shared by all controllers. */
  readonly informers: Informers;
  readonly kinds: ServedKinds;
}
