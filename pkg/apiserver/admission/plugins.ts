/** The chain, in the order in which the plugins see a request; Kubernetes' order where it has them. */
import type { Random } from "../../util/clock.ts";
import type { AdmissionPlugin } from "../admission.ts";
import { defaultIngressClass, defaultStorageClass } from "./default-classes.ts";
import { defaultTolerationSeconds } from "./default-tolerations.ts";
import { limitRanger } from "./limit-ranger.ts";
import { namespaceLifecycle } from "./namespace-lifecycle.ts";
import { podSecurity } from "./pod-security/plugin.ts";
import { priority } from "./priority.ts";
import { resourceQuota } from "./quota/plugin.ts";
import { runtimeClass } from "./runtime-class.ts";
import { serviceAccount } from "./service-account.ts";
import { serviceAddresses } from "./service-addresses.ts";

export interface PluginOptions {
  readonly random: Random;
}

/** No agent mounts projected volumes yet. */
const MOUNT_TOKEN = false;

export function defaultPlugins(o: PluginOptions): readonly AdmissionPlugin[] {
  return [
    namespaceLifecycle,
    limitRanger,
    serviceAccount({ random: o.random, mountToken: MOUNT_TOKEN }),
    podSecurity,
    priority,
    defaultTolerationSeconds,
    defaultStorageClass,
    runtimeClass,
    defaultIngressClass,
    serviceAddresses(o),
    // Last: what it charges must not be refused by anybody else.
    resourceQuota(),
  ];
}
