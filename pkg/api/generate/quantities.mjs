/**
 * The fields that hold quantities (`500m`, `1Gi`), which the models show as plain strings. For maps and lists: their
 * values. Source: fields of type resource.Quantity and ResourceList in types.go of k8s.io/api v0.36.0; a type stands for
 * all its versions.
 */
const QUANTITIES = {
  CSIStorageCapacity: ["capacity", "maximumVolumeSize"],
  CapacityRequestPolicy: ["default", "validValues"],
  CapacityRequestPolicyRange: ["max", "min", "step"],
  CapacityRequirements: ["requests"],
  ContainerStatus: ["allocatedResources"],
  Counter: ["value"],
  DeviceCapacity: ["value"],
  DeviceRequestAllocationResult: ["consumedCapacity"],
  EmptyDirVolumeSource: ["sizeLimit"],
  HPAScalingRules: ["tolerance"],
  LimitRangeItem: ["default", "defaultRequest", "max", "maxLimitRequestRatio", "min"],
  MetricTarget: ["averageValue", "value"],
  MetricValueStatus: ["averageValue", "value"],
  NodeAllocatableResourceClaimStatus: ["resources"],
  NodeAllocatableResourceMapping: ["allocationMultiplier"],
  NodeStatus: ["allocatable", "capacity"],
  Overhead: ["podFixed"],
  PersistentVolumeClaimStatus: ["allocatedResources", "capacity"],
  PersistentVolumeSpec: ["capacity"],
  PodSpec: ["overhead"],
  PodStatus: ["allocatedResources"],
  ResourceFieldSelector: ["divisor"],
  ResourceQuotaSpec: ["hard"],
  ResourceQuotaStatus: ["hard", "used"],
  ResourceRequirements: ["limits", "requests"],
  VolumeResourceRequirements: ["limits", "requests"],
};

const unseen = new Set(Object.entries(QUANTITIES).flatMap(([type, fields]) => fields.map((f) => `${type}.${f}`)));
const all = new Set(unseen);

/** @param {string} path Go type and field: `EmptyDirVolumeSource.sizeLimit` */
export function isQuantity(path) {
  unseen.delete(path);
  return all.has(path);
}

/** What no model had, after all were read: a table entry that has rotted. */
export function unseenQuantities() {
  return [...unseen];
}
