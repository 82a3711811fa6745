/** The table of all kinds: the one place that knows which there are. */
import { namespaces } from "./kinds/core/namespace.ts";
import { nodes } from "./kinds/core/node.ts";
import { pods } from "./kinds/core/pod.ts";
import { configMaps } from "./kinds/core/configmap.ts";
import { secrets } from "./kinds/core/secret.ts";
import { serviceAccounts } from "./kinds/core/serviceaccount.ts";
import { componentStatuses } from "./kinds/core/componentstatus.ts";
import { endpoints } from "./kinds/core/endpoints.ts";
import { events } from "./kinds/core/event.ts";
import { limitRanges } from "./kinds/core/limitrange.ts";
import { persistentVolumeClaims } from "./kinds/core/persistentvolumeclaim.ts";
import { persistentVolumes } from "./kinds/core/persistentvolume.ts";
import { podTemplates } from "./kinds/core/podtemplate.ts";
import { replicationControllers } from "./kinds/core/replicationcontroller.ts";
import { resourceQuotas } from "./kinds/core/resourcequota.ts";
import { services } from "./kinds/core/service.ts";
import { controllerRevisions } from "./kinds/apps/controllerrevision.ts";
import { daemonSets } from "./kinds/apps/daemonset.ts";
import { deployments } from "./kinds/apps/deployment.ts";
import { replicaSets } from "./kinds/apps/replicaset.ts";
import { statefulSets } from "./kinds/apps/statefulset.ts";
import { cronJobs } from "./kinds/batch/cronjob.ts";
import { jobs } from "./kinds/batch/job.ts";
import { horizontalPodAutoscalers } from "./kinds/autoscaling/horizontalpodautoscaler.ts";
import { horizontalPodAutoscalersV1 } from "./kinds/autoscaling/horizontalpodautoscaler-v1.ts";
import { podDisruptionBudgets } from "./kinds/policy/poddisruptionbudget.ts";
import { endpointSlices } from "./kinds/discovery/endpointslice.ts";
import { ingressClasses } from "./kinds/networking/ingressclass.ts";
import { ingresses } from "./kinds/networking/ingress.ts";
import { ipAddresses } from "./kinds/networking/ipaddress.ts";
import { networkPolicies } from "./kinds/networking/networkpolicy.ts";
import { serviceCidrs } from "./kinds/networking/servicecidr.ts";
import { newStyleEvents } from "./kinds/events/event.ts";
import { leases } from "./kinds/coordination/lease.ts";
import { priorityClasses } from "./kinds/scheduling/priorityclass.ts";
import { certificateSigningRequests } from "./kinds/certificates/certificatesigningrequest.ts";
import { clusterTrustBundles } from "./kinds/certificates/clustertrustbundle.ts";
import { runtimeClasses } from "./kinds/node/runtimeclass.ts";
import { customResourceDefinitions } from "./kinds/apiextensions/customresourcedefinition.ts";
import { nodeMetrics } from "./kinds/metrics/metrics.ts";
import { podMetrics } from "./kinds/metrics/metrics.ts";
import { csiDrivers } from "./kinds/storage/csidriver.ts";
import { csiStorageCapacities } from "./kinds/storage/csistoragecapacity.ts";
import { volumeAttachments } from "./kinds/storage/volumeattachment.ts";
import { volumeAttributesClasses } from "./kinds/storage/volumeattributesclass.ts";
import { storageClasses } from "./kinds/storage/storageclass.ts";
import { csiNodes } from "./kinds/storage/csinode.ts";
import { roleBindings } from "./kinds/rbac/rolebinding.ts";
import { clusterRoleBindings } from "./kinds/rbac/rolebinding.ts";
import { roles } from "./kinds/rbac/role.ts";
import { clusterRoles } from "./kinds/rbac/role.ts";
import { flowSchemas } from "./kinds/flowcontrol/flowschema.ts";
import { priorityLevelConfigurations } from "./kinds/flowcontrol/prioritylevelconfiguration.ts";
import { apiServices } from "./kinds/apiregistration/apiservice.ts";
import { validatingWebhookConfigurations } from "./kinds/admissionregistration/webhookconfiguration.ts";
import { mutatingWebhookConfigurations } from "./kinds/admissionregistration/webhookconfiguration.ts";
import { validatingAdmissionPolicies } from "./kinds/admissionregistration/admissionpolicy.ts";
import { mutatingAdmissionPolicies } from "./kinds/admissionregistration/admissionpolicy.ts";
import { validatingAdmissionPolicyBindings } from "./kinds/admissionregistration/admissionpolicy.ts";
import { mutatingAdmissionPolicyBindings } from "./kinds/admissionregistration/admissionpolicy.ts";
import { selfSubjectReviews, tokenReviews } from "./kinds/authentication/reviews.ts";
import {
  localSubjectAccessReviews,
  selfSubjectAccessReviews,
  selfSubjectRulesReviews,
  subjectAccessReviews,
} from "./kinds/authorization/reviews.ts";
import type { ApiObject } from "./object.ts";
import { apiVersionOf } from "./object.ts";
import type { ResourceDef } from "./resource.ts";

/**
 * Code generic over kinds sees every row as a row of ApiObjects. That is sound because it hands a row only objects that
 * were decoded by that row's own schema.
 */
function row<T extends ApiObject>(def: ResourceDef<T>): ResourceDef {
  return def as unknown as ResourceDef;
}

/** In the order in which discovery lists them. */
export const resources: readonly ResourceDef[] = [
  row(namespaces),
  row(nodes),
  row(pods),
  row(configMaps),
  row(secrets),
  row(serviceAccounts),
  row(componentStatuses),
  row(endpoints),
  row(events),
  row(limitRanges),
  row(persistentVolumeClaims),
  row(persistentVolumes),
  row(podTemplates),
  row(replicationControllers),
  row(resourceQuotas),
  row(services),
  row(controllerRevisions),
  row(daemonSets),
  row(deployments),
  row(replicaSets),
  row(statefulSets),
  row(cronJobs),
  row(jobs),
  row(horizontalPodAutoscalers),
  row(horizontalPodAutoscalersV1),
  row(podDisruptionBudgets),
  row(endpointSlices),
  row(ingressClasses),
  row(ingresses),
  row(ipAddresses),
  row(networkPolicies),
  row(serviceCidrs),
  row(newStyleEvents),
  row(leases),
  row(priorityClasses),
  row(certificateSigningRequests),
  row(clusterTrustBundles),
  row(runtimeClasses),
  row(customResourceDefinitions),
  row(nodeMetrics),
  row(podMetrics),
  row(csiDrivers),
  row(csiStorageCapacities),
  row(volumeAttachments),
  row(volumeAttributesClasses),
  row(storageClasses),
  row(csiNodes),
  row(roleBindings),
  row(clusterRoleBindings),
  row(tokenReviews),
  row(selfSubjectReviews),
  row(subjectAccessReviews),
  row(localSubjectAccessReviews),
  row(selfSubjectAccessReviews),
  row(selfSubjectRulesReviews),
  row(roles),
  row(clusterRoles),
  row(flowSchemas),
  row(priorityLevelConfigurations),
  row(apiServices),
  row(validatingWebhookConfigurations),
  row(mutatingWebhookConfigurations),
  row(validatingAdmissionPolicies),
  row(mutatingAdmissionPolicies),
  row(validatingAdmissionPolicyBindings),
  row(mutatingAdmissionPolicyBindings),
];

const byPlural = new Map(resources.map((d) => [`${apiVersionOf(d)}/${d.plural}`, d]));
const byKind = new Map(resources.map((d) => [`${apiVersionOf(d)}/${d.kind}`, d]));

export function findByPlural(group: string, version: string, plural: string): ResourceDef | undefined {
  return byPlural.get(`${apiVersionOf({ group, version })}/${plural}`);
}

export function findByKind(apiVersion: string, kind: string): ResourceDef | undefined {
  return byKind.get(`${apiVersion}/${kind}`);
}
