/** The kinds that plugins look up. Where a server does not have one of them, there is nothing to find. */
import type {
  Endpoints,
  EndpointSlice,
  IngressClass,
  LimitRange,
  MutatingWebhookConfiguration,
  Namespace,
  Pod,
  PriorityClass,
  ResourceQuota,
  RuntimeClass,
  Service,
  ServiceAccount,
  StorageClass,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
  ValidatingWebhookConfiguration,
} from "../../api/generated/types.ts";
import type { ApiObject } from "../../api/object.ts";
import type { ResourceRef } from "../../api/resource.ts";

function ref<T extends ApiObject>(group: string, kind: string, plural: string, namespaced: boolean): ResourceRef<T> {
  return { group, version: "v1", kind, plural, namespaced };
}

const REGISTRATION = "admissionregistration.k8s.io";

export const namespaces = ref<Namespace>("", "Namespace", "namespaces", false);
export const pods = ref<Pod>("", "Pod", "pods", true);
export const services = ref<Service>("", "Service", "services", true);
export const endpoints = ref<Endpoints>("", "Endpoints", "endpoints", true);
export const endpointSlices = ref<EndpointSlice>("discovery.k8s.io", "EndpointSlice", "endpointslices", true);
export const serviceAccounts = ref<ServiceAccount>("", "ServiceAccount", "serviceaccounts", true);
export const limitRanges = ref<LimitRange>("", "LimitRange", "limitranges", true);
export const resourceQuotas = ref<ResourceQuota>("", "ResourceQuota", "resourcequotas", true);
export const priorityClasses = ref<PriorityClass>("scheduling.k8s.io", "PriorityClass", "priorityclasses", false);
export const runtimeClasses = ref<RuntimeClass>("node.k8s.io", "RuntimeClass", "runtimeclasses", false);
export const storageClasses = ref<StorageClass>("storage.k8s.io", "StorageClass", "storageclasses", false);
export const ingressClasses = ref<IngressClass>("networking.k8s.io", "IngressClass", "ingressclasses", false);
export const mutatingWebhooks = ref<MutatingWebhookConfiguration>(
  REGISTRATION,
  "MutatingWebhookConfiguration",
  "mutatingwebhookconfigurations",
  false,
);
export const validatingWebhooks = ref<ValidatingWebhookConfiguration>(
  REGISTRATION,
  "ValidatingWebhookConfiguration",
  "validatingwebhookconfigurations",
  false,
);
export const policies = ref<ValidatingAdmissionPolicy>(
  REGISTRATION,
  "ValidatingAdmissionPolicy",
  "validatingadmissionpolicies",
  false,
);
export const policyBindings = ref<ValidatingAdmissionPolicyBinding>(
  REGISTRATION,
  "ValidatingAdmissionPolicyBinding",
  "validatingadmissionpolicybindings",
  false,
);
