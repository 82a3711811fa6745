/** The chain, in the order in which the plugins see a request; Kubernetes' order where it has them. */
import type { ResourceDef } from "../../api/resource.ts";
import type { Clock, Random } from "../../util/clock.ts";
import type { Logger } from "../../util/log.ts";
import type { AdmissionPlugin } from "../admission.ts";
import { certificateApproval, certificateSigning, certificateSubjectRestriction } from "./certificates.ts";
import { claimResize } from "./claim-resize.ts";
import { defaultIngressClass, defaultStorageClass } from "./default-classes.ts";
import { defaultTolerationSeconds, TOLERATION_SECONDS } from "./default-tolerations.ts";
import { expressionCheck } from "./expression-check.ts";
import { inUseProtection } from "./in-use-protection.ts";
import { jobQueue } from "./job-queue.ts";
import { limitRanger } from "./limit-ranger.ts";
import { equivalentsIn } from "./matching.ts";
import { namespaceLifecycle } from "./namespace-lifecycle.ts";
import { nodeRestriction } from "./node-restriction.ts";
import { taintNodesByCondition } from "./node-taints.ts";
import { podSecurity } from "./pod-security/plugin.ts";
import { validatingPolicy } from "./policy/plugin.ts";
import { priority } from "./priority.ts";
import { rbacEscalation } from "./rbac-escalation.ts";
import { resourceQuota } from "./quota/plugin.ts";
import { runtimeClass } from "./runtime-class.ts";
import { serviceAccount } from "./service-account.ts";
import { serviceAddresses } from "./service-addresses.ts";
import { templateRights } from "./template-rights.ts";
import { verticalPodAutoscaler } from "./vpa.ts";
import { mutatingWebhook, validatingWebhook } from "./webhooks/plugin.ts";

export interface PluginOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** All kinds served at this moment. */
  readonly resources: () => readonly ResourceDef[];
  /** Whether Pods get a token of their ServiceAccount: off where nobody would issue it. */
  readonly mountTokens: boolean;
  /** How long Pods stay on a node that is not ready or away, if they do not say. */
  readonly tolerationSeconds?: number | undefined;
  /** From what Services have their addresses. */
  readonly serviceCidr: string;
}

export function defaultPlugins(o: PluginOptions): readonly AdmissionPlugin[] {
  const builtIn = [
    namespaceLifecycle,
    limitRanger,
    rbacEscalation,
    templateRights,
    nodeRestriction,
    taintNodesByCondition,
    serviceAccount({ random: o.random, mountToken: o.mountTokens }),
    podSecurity,
    priority,
    jobQueue,
    defaultTolerationSeconds(o.tolerationSeconds ?? TOLERATION_SECONDS),
    defaultStorageClass,
    inUseProtection,
    claimResize,
    runtimeClass,
    certificateApproval,
    certificateSigning,
    certificateSubjectRestriction,
    defaultIngressClass,
    verticalPodAutoscaler,
  ];
  const withKinds = { ...o, equivalents: equivalentsIn(o.resources) };
  return [
    ...builtIn,
    mutatingWebhook(withKinds, builtIn),
    serviceAddresses({ random: o.random, cidr: o.serviceCidr }),
    expressionCheck,
    validatingPolicy(withKinds),
    validatingWebhook(withKinds),
    // Last: what it charges must not be refused by anybody else.
    resourceQuota(),
  ];
}
