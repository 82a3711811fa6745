/**
 * Which Go package each type comes from: it is part of the name OpenAPI gives it (`io.k8s.api.core.v1.Pod`) but not of the
 * models. The client's API classes tell which kinds a group lists; a type belongs to the group that reaches it first.
 */
import { existsSync, readFileSync } from "node:fs";
import { METRICS_PACKAGE } from "./extra.mjs";

const META = "io.k8s.apimachinery.pkg.apis.meta.v1";

/** In the order of claiming: what core reaches is core's, whoever else uses it. */
const GROUPS = [
  ["CoreV1", "io.k8s.api.core.v1"],
  ["AppsV1", "io.k8s.api.apps.v1"],
  ["BatchV1", "io.k8s.api.batch.v1"],
  ["AutoscalingV2", "io.k8s.api.autoscaling.v2"],
  ["AutoscalingV1", "io.k8s.api.autoscaling.v1"],
  ["NetworkingV1", "io.k8s.api.networking.v1"],
  ["NetworkingV1beta1", "io.k8s.api.networking.v1beta1"],
  ["PolicyV1", "io.k8s.api.policy.v1"],
  ["RbacAuthorizationV1", "io.k8s.api.rbac.v1"],
  ["AuthenticationV1", "io.k8s.api.authentication.v1"],
  ["AuthorizationV1", "io.k8s.api.authorization.v1"],
  ["StorageV1", "io.k8s.api.storage.v1"],
  ["StorageV1beta1", "io.k8s.api.storage.v1beta1"],
  ["CoordinationV1", "io.k8s.api.coordination.v1"],
  ["CoordinationV1beta1", "io.k8s.api.coordination.v1beta1"],
  ["CoordinationV1alpha2", "io.k8s.api.coordination.v1alpha2"],
  ["DiscoveryV1", "io.k8s.api.discovery.v1"],
  ["EventsV1", "io.k8s.api.events.v1"],
  ["SchedulingV1", "io.k8s.api.scheduling.v1"],
  ["SchedulingV1alpha2", "io.k8s.api.scheduling.v1alpha2"],
  ["NodeV1", "io.k8s.api.node.v1"],
  ["CertificatesV1", "io.k8s.api.certificates.v1"],
  ["CertificatesV1beta1", "io.k8s.api.certificates.v1beta1"],
  ["CertificatesV1alpha1", "io.k8s.api.certificates.v1alpha1"],
  ["AdmissionregistrationV1", "io.k8s.api.admissionregistration.v1"],
  ["AdmissionregistrationV1beta1", "io.k8s.api.admissionregistration.v1beta1"],
  ["AdmissionregistrationV1alpha1", "io.k8s.api.admissionregistration.v1alpha1"],
  ["FlowcontrolApiserverV1", "io.k8s.api.flowcontrol.v1"],
  ["ResourceV1", "io.k8s.api.resource.v1"],
  ["ResourceV1beta2", "io.k8s.api.resource.v1beta2"],
  ["ResourceV1beta1", "io.k8s.api.resource.v1beta1"],
  ["ResourceV1alpha3", "io.k8s.api.resource.v1alpha3"],
  ["StoragemigrationV1beta1", "io.k8s.api.storagemigration.v1beta1"],
  ["InternalApiserverV1alpha1", "io.k8s.api.apiserverinternal.v1alpha1"],
  ["ApiextensionsV1", "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1"],
  ["ApiregistrationV1", "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1"],
];

/** Kinds that no group lists, and types of core and meta that only other groups use. */
const KNOWN = {
  [META]: words(`ObjectMeta ListMeta LabelSelector Status DeleteOptions WatchEvent Condition FieldSelectorRequirement
    GroupResource APIGroup APIGroupList APIResource APIResourceList APIVersions`),
  "io.k8s.apimachinery.pkg.version": ["VersionInfo"],
  "io.k8s.api.core.v1": ["Binding", "TopologySelectorTerm"],
  "io.k8s.api.policy.v1": ["Eviction"],
  "io.k8s.api.autoscaling.v1": ["Scale"],
  "io.k8s.api.authentication.v1": ["AuthenticationV1TokenRequest", "TokenReview", "SelfSubjectReview"],
  "io.k8s.api.authorization.v1": words(
    "SubjectAccessReview LocalSubjectAccessReview SelfSubjectAccessReview SelfSubjectRulesReview",
  ),
  [METRICS_PACKAGE]: ["NodeMetricsList", "PodMetricsList"],
};

function words(text) {
  return text.split(/\s+/);
}

/** @returns {Map<string, string>} type name → package */
export function assignPackages(models, apisDir) {
  const byName = new Map(models.map((m) => [m.name, m]));
  const byModel = new Map(models.map((m) => [m.model, m]));
  const owner = new Map();
  const claim = (name, pkg) => {
    const model = byName.get(name);
    if (!model) throw new Error(`packages.mjs: there is no type ${name}`);
    if (owner.has(name)) return;
    owner.set(name, pkg);
    for (const { type } of model.fields) {
      const target = type.replace(/^(?:\[\]|\{\})+/, "");
      if (/^[A-Z]/.test(target)) claim(target, pkg);
    }
  };
  const claimKnown = (pkg) => KNOWN[pkg]?.forEach((name) => claim(name, pkg));
  claimKnown(META);
  claimKnown("io.k8s.apimachinery.pkg.version");
  claimKnown(METRICS_PACKAGE);
  for (const [api, pkg] of GROUPS) {
    const file = `${apisDir}/${api}Api.js`;
    if (!existsSync(file)) throw new Error(`${file} is missing: does the group still exist?`);
    claimKnown(pkg);
    for (const [, list] of readFileSync(file, "utf8").matchAll(/"(\w+List)"/g)) {
      const model = byModel.get(list);
      if (model && model.name !== "APIResourceList") claim(model.name, pkg);
    }
  }
  const orphans = models.filter((m) => !owner.has(m.name)).map((m) => m.name);
  if (orphans.length > 0) throw new Error(`packages.mjs: no package for ${orphans.join(", ")}`);
  return owner;
}
