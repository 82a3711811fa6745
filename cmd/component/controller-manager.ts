/** All controllers: alone or as one of several. */
import type { Transport } from "../../pkg/client/transport.ts";
import { runControllers } from "../../pkg/controllers/controllers.ts";
import type { ControllerSettings } from "../../pkg/controllers/parts.ts";
import { systemClock } from "../../pkg/util/clock.ts";
import type { Logger } from "../../pkg/util/log.ts";
import type { Metrics } from "../../pkg/util/metrics.ts";
import { certificateAuthority, type KeyPair } from "../../pkg/util/pki.ts";
import { ensureDefinitions } from "./definitions.ts";
import { elected } from "./elected.ts";
import { partsOf } from "./parts.ts";

export const CONTROLLER_MANAGER_USER = "system:kube-controller-manager";

export interface ControllerManagerProgram {
  /** As {@link CONTROLLER_MANAGER_USER}. */
  readonly transport: Transport;
  readonly settings: ControllerSettings;
  /** Undefined: there is no other one. */
  readonly identity: string | undefined;
  readonly leaseSeconds?: number | undefined;
  readonly log: Logger;
  readonly metrics?: Metrics | undefined;
}

/** Settles when the signal aborts, or when it breaks. */
export function startControllerManager(
  { transport, settings, identity, leaseSeconds, log, metrics }: ControllerManagerProgram,
  signal: AbortSignal,
): Promise<void> {
  const parts = partsOf("kube-controller-manager", transport, log, metrics);
  const lead = async (s: AbortSignal) => {
    await ensureDefinitions(parts);
    await runControllers({ ...parts, ...settings }, s);
  };
  return elected(parts, { lease: "kube-controller-manager", identity, leaseSeconds }, lead, signal);
}

/** What a user may say of controllers; in seconds. */
export interface ControllerFlags {
  /** How soon a silent node counts as lost. */
  readonly graceSeconds?: number | undefined;
  readonly autoscalerSyncSeconds?: number | undefined;
  /** The longest that a certificate is good for that a node asks for. */
  readonly signingSeconds?: number | undefined;
}

/** `ca`: whoever signs the certificates of the cluster. */
export function controllerSettings(ca: KeyPair, o: ControllerFlags): ControllerSettings {
  const nodeLifecycle = o.graceSeconds === undefined ? {} : { graceMs: o.graceSeconds * 1000 };
  const autoscaler = o.autoscalerSyncSeconds === undefined ? {} : { syncMs: o.autoscalerSyncSeconds * 1000 };
  const { signingSeconds } = o;
  return {
    caCert: ca.cert,
    authority: certificateAuthority(ca, systemClock),
    nodeLifecycle,
    autoscaler,
    signingSeconds,
  };
}
