/**
 * What the models of the client library lack, and clients and patches need: how lists and maps merge.
 *
 * Source: the struct tags `patchStrategy`, `patchMergeKey` and the markers `+listType`, `+listMapKey`, `+mapType`,
 * `+structType`, `+default` in types.go of k8s.io/{api,apimachinery,apiextensions-apiserver,kube-aggregator} v0.36.0.
 * A test holds every entry against the schema.
 */

/** How a field of two versions of an object becomes one. */
export interface MergeRule {
  /** For server-side apply. A list without one counts as atomic: replaced as a whole. */
  readonly listType?: "atomic" | "set" | "map";
  /** What tells the items of a list of type `map` apart. */
  readonly listMapKeys?: readonly string[];
  /** For server-side apply: the map or object is replaced as a whole. */
  readonly mapType?: "atomic";
  /**
   * For strategic merge patches. `merge` merges lists by {@link mergeKey} (scalars: as a set); without it lists are
   * replaced. `retainKeys` also drops the keys that `$retainKeys` does not name. Objects merge anyway, unless `replace`.
   */
  readonly strategy?: readonly ("merge" | "retainKeys" | "replace")[];
  readonly mergeKey?: string;
}

/** A list merged by one field, the same for both kinds of merge. */
const by = (key: string, ...more: "retainKeys"[]): MergeRule => ({
  listType: "map",
  listMapKeys: [key],
  strategy: ["merge", ...more],
  mergeKey: key,
});

/** A rule, and the fields it holds for as `Type.field`. */
export const FIELD_RULES: readonly (readonly [MergeRule, string])[] = [
  [
    by("type"),
    `APIServiceStatus.conditions ComponentStatus.conditions DaemonSetStatus.conditions DeploymentStatus.conditions
    FlowSchemaStatus.conditions NamespaceStatus.conditions NodeStatus.addresses NodeStatus.conditions
    PersistentVolumeClaimStatus.conditions PodDisruptionBudgetStatus.conditions PodStatus.conditions
    PriorityLevelConfigurationStatus.conditions ReplicaSetStatus.conditions ReplicationControllerStatus.conditions
    ServiceCIDRStatus.conditions ServiceStatus.conditions StatefulSetStatus.conditions
    V1alpha2PodGroupStatus.conditions V1alpha3DeviceTaintRuleStatus.conditions
    V1alpha3ResourcePoolStatusRequestStatus.conditions V1beta1PodCertificateRequestStatus.conditions
    V1beta1ServiceCIDRStatus.conditions V1beta1StorageVersionMigrationStatus.conditions
    V1beta2DeviceTaintRuleStatus.conditions V2HorizontalPodAutoscalerStatus.conditions`,
  ],
  [
    by("name"),
    `CSINodeSpec.drivers Container.env ContainerStatus.allocatedResourcesStatus EphemeralContainer.env
    MutatingAdmissionPolicySpec.matchConditions MutatingWebhook.matchConditions MutatingWebhookConfiguration.webhooks
    PodSpec.containers PodSpec.ephemeralContainers PodSpec.imagePullSecrets PodSpec.initContainers
    PodSpec.schedulingGates ServiceAccount.secrets V1alpha1MutatingAdmissionPolicySpec.matchConditions
    V1beta1MutatingAdmissionPolicySpec.matchConditions ValidatingAdmissionPolicySpec.matchConditions
    ValidatingAdmissionPolicySpec.variables ValidatingWebhook.matchConditions ValidatingWebhookConfiguration.webhooks`,
  ],
  [
    by("name", "retainKeys"),
    `PodSpec.resourceClaims PodSpec.volumes PodStatus.resourceClaimStatuses V1alpha2PodGroupSpec.resourceClaims
    V1alpha2PodGroupStatus.resourceClaimStatuses V1alpha2PodGroupTemplate.resourceClaims`,
  ],
  [by("mountPath"), "Container.volumeMounts ContainerStatus.volumeMounts EphemeralContainer.volumeMounts"],
  [by("devicePath"), "Container.volumeDevices EphemeralContainer.volumeDevices"],
  [by("ip"), "PodSpec.hostAliases PodStatus.podIPs"],
  [by("rule"), "JSONSchemaProps.x-kubernetes-validations"],
  [
    by("uid"),
    `ObjectMeta.ownerReferences ResourceClaimStatus.reservedFor V1beta1ResourceClaimStatus.reservedFor
    V1beta2ResourceClaimStatus.reservedFor`,
  ],
  [{ ...by("containerPort"), listMapKeys: ["containerPort", "protocol"] }, "Container.ports EphemeralContainer.ports"],
  [{ ...by("port"), listMapKeys: ["port", "protocol"] }, "ServiceSpec.ports"],
  [{ ...by("topologyKey"), listMapKeys: ["topologyKey", "whenUnsatisfiable"] }, "PodSpec.topologySpreadConstraints"],
  [{ listType: "atomic", strategy: ["merge"], mergeKey: "type" }, "JobStatus.conditions"],
  [{ listType: "atomic", strategy: ["merge"], mergeKey: "ip" }, "PodStatus.hostIPs"],
  [
    { listType: "map", listMapKeys: ["type"] },
    `AllocatedDeviceStatus.conditions CertificateSigningRequestStatus.conditions
    CustomResourceDefinitionStatus.conditions V1alpha1StorageVersionStatus.conditions
    V1beta1AllocatedDeviceStatus.conditions V1beta2AllocatedDeviceStatus.conditions
    ValidatingAdmissionPolicyStatus.conditions`,
  ],
  [{ listType: "map", listMapKeys: ["name"] }, "ResourceRequirements.claims V1alpha2WorkloadSpec.podGroupTemplates"],
  [{ listType: "map", listMapKeys: ["resourceID"] }, "ResourceStatus.resources"],
  [{ listType: "map", listMapKeys: ["apiServerID"] }, "V1alpha1StorageVersionStatus.storageVersions"],
  [
    { listType: "map", listMapKeys: ["driver", "device", "pool", "shareID"] },
    "ResourceClaimStatus.devices V1beta1ResourceClaimStatus.devices V1beta2ResourceClaimStatus.devices",
  ],
  [{ listType: "set", strategy: ["merge"] }, "NodeSpec.podCIDRs ObjectMeta.finalizers"],
  [
    { listType: "set" },
    `CSIDriverSpec.volumeLifecycleModes ContainerRestartRuleOnExitCodes.values Endpoint.addresses
    NodeAllocatableResourceClaimStatus.containers NonResourcePolicyRule.nonResourceURLs NonResourcePolicyRule.verbs
    PodFailurePolicyOnExitCodesRequirement.values ResourcePolicyRule.apiGroups ResourcePolicyRule.namespaces
    ResourcePolicyRule.resources ResourcePolicyRule.verbs UncountedTerminatedPods.failed
    UncountedTerminatedPods.succeeded V1alpha1ServerStorageVersion.decodableVersions
    V1alpha1ServerStorageVersion.servedVersions ValidatingAdmissionPolicyBindingSpec.validationActions`,
  ],
  [{ strategy: ["retainKeys"] }, "DeploymentSpec.strategy"],
  [{ strategy: ["replace"] }, "PodDisruptionBudgetSpec.selector"],
  [
    { mapType: "atomic" },
    "PodSpec.nodeSelector ReplicationControllerSpec.selector Scheduling.nodeSelector ServiceSpec.selector",
  ],
];

/** Types whose values are always replaced as a whole by server-side apply. */
export const ATOMIC_TYPES = `
  ConfigMapKeySelector CoreV1EndpointPort CrossVersionObjectReference DiscoveryV1EndpointPort EndpointAddress
  FileKeySelector LabelSelector LocalObjectReference MatchResources NamedRuleWithOperations NodeSelector
  NodeSelectorTerm ObjectFieldSelector ObjectReference OwnerReference ParamKind ParamRef RbacV1Subject
  ResourceFieldSelector RoleRef ScopeSelector SecretKeySelector SecretReference ServiceBackendPort
  TopologySelectorTerm TypedLocalObjectReference V1alpha1MatchResources V1alpha1NamedRuleWithOperations
  V1alpha1ParamKind V1alpha1ParamRef V1beta1MatchResources V1beta1NamedRuleWithOperations V1beta1ParamKind
  V1beta1ParamRef V1beta1Variable Variable`;

/** Defaults that the schema itself states; server-side apply needs them for list keys that a client left out. */
export const SCHEMA_DEFAULTS: Readonly<Record<string, string | number | boolean>> = {
  "AzureDiskVolumeSource.cachingMode": "ReadWrite",
  "AzureDiskVolumeSource.fsType": "ext4",
  "AzureDiskVolumeSource.kind": "Shared",
  "AzureDiskVolumeSource.readOnly": false,
  "ContainerPort.protocol": "TCP",
  "DeviceToleration.operator": "Equal",
  "FileKeySelector.optional": false,
  "GRPCAction.service": "",
  "ISCSIPersistentVolumeSource.iscsiInterface": "default",
  "ISCSIVolumeSource.iscsiInterface": "default",
  "LocalObjectReference.name": "",
  "RBDPersistentVolumeSource.keyring": "/etc/ceph/keyring",
  "RBDPersistentVolumeSource.pool": "rbd",
  "RBDPersistentVolumeSource.user": "admin",
  "RBDVolumeSource.keyring": "/etc/ceph/keyring",
  "RBDVolumeSource.pool": "rbd",
  "RBDVolumeSource.user": "admin",
  "ReplicationControllerSpec.minReadySeconds": 0,
  "ReplicationControllerSpec.replicas": 1,
  "ScaleIOPersistentVolumeSource.fsType": "xfs",
  "ScaleIOPersistentVolumeSource.storageMode": "ThinProvisioned",
  "ScaleIOVolumeSource.fsType": "xfs",
  "ScaleIOVolumeSource.storageMode": "ThinProvisioned",
  "ScaleSpec.replicas": 0,
  "ServicePort.protocol": "TCP",
};
