/** Every field of a Pod is done, or named as not done: of one that Kubernetes adds, somebody must decide. */
import { describe, expect, test } from "@jest/globals";
import type { PodSpec } from "./generated/types.ts";
import { type Field, fieldOf, mustSchemaOf, objectTypeOf } from "./schema.ts";
import { refusedFields, UNSUPPORTED_PATHS, unsupportedFields, unsupportedVolume } from "./unsupported.ts";

/** By type: what the scheduler, the controllers, admission and the agent do as Kubernetes does it. */
const DONE: Readonly<Record<string, string>> = {
  PodSpec: `activeDeadlineSeconds affinity automountServiceAccountToken containers dnsConfig dnsPolicy enableServiceLinks
    ephemeralContainers hostAliases hostIPC hostNetwork hostPID hostUsers hostname hostnameOverride imagePullSecrets
    initContainers nodeName nodeSelector os overhead preemptionPolicy priority priorityClassName readinessGates resources
    restartPolicy runtimeClassName schedulerName schedulingGates securityContext serviceAccount serviceAccountName setHostnameAsFQDN
    shareProcessNamespace subdomain terminationGracePeriodSeconds tolerations topologySpreadConstraints volumes`,
  // windowsOptions: without meaning on Linux, there as here.
  PodSecurityContext: `appArmorProfile fsGroup fsGroupChangePolicy runAsGroup runAsNonRoot runAsUser seLinuxOptions
    seccompProfile supplementalGroups supplementalGroupsPolicy sysctls windowsOptions`,
  SecurityContext: `allowPrivilegeEscalation appArmorProfile capabilities privileged procMount readOnlyRootFilesystem
    runAsGroup runAsNonRoot runAsUser seLinuxOptions seccompProfile windowsOptions`,
  AppArmorProfile: "localhostProfile type",
  SELinuxOptions: "level role type user",
  SeccompProfile: "localhostProfile type",
  Sysctl: "name value",
  Capabilities: "add drop",
  WindowsSecurityContextOptions: "gmsaCredentialSpec gmsaCredentialSpecName hostProcess runAsUserName",
  Container: `args command env envFrom image imagePullPolicy lifecycle livenessProbe name ports readinessProbe
    resizePolicy resources restartPolicy restartPolicyRules securityContext startupProbe stdin stdinOnce
    terminationMessagePath terminationMessagePolicy tty volumeDevices volumeMounts workingDir`,
  EphemeralContainer: `args command env envFrom image imagePullPolicy lifecycle livenessProbe name ports readinessProbe
    resizePolicy resources restartPolicy restartPolicyRules securityContext startupProbe stdin stdinOnce
    targetContainerName terminationMessagePath terminationMessagePolicy tty volumeDevices volumeMounts workingDir`,
  Lifecycle: "postStart preStop stopSignal",
  LifecycleHandler: "exec httpGet sleep tcpSocket",
  Probe: `exec failureThreshold grpc httpGet initialDelaySeconds periodSeconds successThreshold tcpSocket
    terminationGracePeriodSeconds timeoutSeconds`,
  ExecAction: "command",
  GRPCAction: "port service",
  HTTPGetAction: "host httpHeaders path port scheme",
  HTTPHeader: "name value",
  SleepAction: "seconds",
  TCPSocketAction: "host port",
  ContainerRestartRule: "action exitCodes",
  ContainerRestartRuleOnExitCodes: "operator values",
  ContainerPort: "containerPort hostIP hostPort name protocol",
  ContainerResizePolicy: "resourceName restartPolicy",
  ResourceRequirements: "limits requests",
  EnvVar: "name value valueFrom",
  EnvVarSource: "configMapKeyRef fieldRef fileKeyRef resourceFieldRef secretKeyRef",
  EnvFromSource: "configMapRef prefix secretRef",
  ConfigMapEnvSource: "name optional",
  SecretEnvSource: "name optional",
  ConfigMapKeySelector: "key name optional",
  SecretKeySelector: "key name optional",
  FileKeySelector: "key optional path volumeName",
  ObjectFieldSelector: "apiVersion fieldPath",
  ResourceFieldSelector: "containerName divisor resource",
  VolumeDevice: "devicePath name",
  VolumeMount: "mountPath mountPropagation name readOnly recursiveReadOnly subPath subPathExpr",
  Volume: "configMap downwardAPI emptyDir ephemeral hostPath name persistentVolumeClaim projected secret",
  ConfigMapVolumeSource: "defaultMode items name optional",
  SecretVolumeSource: "defaultMode items optional secretName",
  DownwardAPIVolumeSource: "defaultMode items",
  EmptyDirVolumeSource: "medium sizeLimit",
  EphemeralVolumeSource: "volumeClaimTemplate",
  HostPathVolumeSource: "path type",
  PersistentVolumeClaimVolumeSource: "claimName readOnly",
  PersistentVolumeClaimTemplate: "metadata spec",
  ProjectedVolumeSource: "defaultMode sources",
  VolumeProjection: "clusterTrustBundle configMap downwardAPI secret serviceAccountToken",
  ClusterTrustBundleProjection: "labelSelector name optional path signerName",
  ConfigMapProjection: "items name optional",
  SecretProjection: "items name optional",
  DownwardAPIProjection: "items",
  ServiceAccountTokenProjection: "audience expirationSeconds path",
  KeyToPath: "key mode path",
  DownwardAPIVolumeFile: "fieldRef mode path resourceFieldRef",
  PodDNSConfig: "nameservers options searches",
  PodDNSConfigOption: "name value",
  HostAlias: "hostnames ip",
  LocalObjectReference: "name",
  PodOS: "name",
  PodReadinessGate: "conditionType",
  PodSchedulingGate: "name",
  Toleration: "effect key operator tolerationSeconds value",
  TopologySpreadConstraint: `labelSelector matchLabelKeys maxSkew minDomains nodeAffinityPolicy nodeTaintsPolicy
    topologyKey whenUnsatisfiable`,
  Affinity: "nodeAffinity podAffinity podAntiAffinity",
  NodeAffinity: "preferredDuringSchedulingIgnoredDuringExecution requiredDuringSchedulingIgnoredDuringExecution",
  PodAffinity: "preferredDuringSchedulingIgnoredDuringExecution requiredDuringSchedulingIgnoredDuringExecution",
  PodAntiAffinity: "preferredDuringSchedulingIgnoredDuringExecution requiredDuringSchedulingIgnoredDuringExecution",
  PreferredSchedulingTerm: "preference weight",
  NodeSelector: "nodeSelectorTerms",
  NodeSelectorTerm: "matchExpressions matchFields",
  NodeSelectorRequirement: "key operator values",
  WeightedPodAffinityTerm: "podAffinityTerm weight",
  PodAffinityTerm: "labelSelector matchLabelKeys mismatchLabelKeys namespaceSelector namespaces topologyKey",
  LabelSelector: "matchExpressions matchLabels",
  LabelSelectorRequirement: "key operator values",
};

/** They belong to other kinds. */
const ELSEWHERE: ReadonlySet<string> = new Set(["ObjectMeta", "PersistentVolumeClaimSpec"]);

const doneOf = (type: string) => new Set((DONE[type] ?? "").split(/\s+/));

/** The fields that a row speaks of, as `Type.field`. */
function fieldAt(path: string): string {
  let type = "PodSpec";
  let at = "";
  for (const step of path.replaceAll("[]", "").split(".")) {
    const field: Field | undefined = fieldOf(type, step);
    if (!field) throw new Error(`${path}: ${type} has no ${step}`);
    at = `${type}.${step}`;
    type = objectTypeOf(field.type) ?? "";
  }
  return at;
}

/** All types that a Pod is made of, as far as they are done. */
function typesOf(): string[] {
  const found = new Set<string>(["PodSpec"]);
  for (const type of found) {
    const done = doneOf(type);
    for (const [name, field] of mustSchemaOf(type).fields) {
      const inner = done.has(name) ? objectTypeOf(field.type) : undefined;
      if (inner !== undefined && !ELSEWHERE.has(inner)) found.add(inner);
    }
  }
  return [...found];
}

describe("all fields of a Pod", () => {
  const named = new Set(UNSUPPORTED_PATHS.map(fieldAt));
  const types = typesOf();

  test.each(types)("%s", (type) => {
    const all = [...mustSchemaOf(type).fields.keys()];
    const done = doneOf(type);
    expect(all.filter((f) => !done.has(f) && !named.has(`${type}.${f}`))).toEqual([]);
    expect([...done].filter((f) => !all.includes(f))).toEqual([]);
  });

  test("are those of many types, and of no others", () => {
    expect(types.length).toBeGreaterThan(70);
    expect(Object.keys(DONE).filter((type) => !types.includes(type))).toEqual([]);
  });
});

const pod = (spec: Partial<PodSpec>) => ({ spec: { containers: [], ...spec } });

test("what is not done is named where it stands, and nothing else is", () => {
  const container = { name: "c", securityContext: { seccompProfile: { type: "Unconfined" } } };
  expect(unsupportedFields(pod({ hostPID: true, containers: [container] }))).toEqual([]);
  const claims = { resources: { claims: [{ name: "gpu" }] } };
  expect(
    unsupportedFields(pod({ resourceClaims: [{ name: "gpu" }], containers: [container, { name: "d", ...claims }] })),
  ).toEqual(["spec.resourceClaims", "spec.containers[1].resources.claims"]);
});

test("what keeps a Pod from starting, too", () => {
  const sources = [{ configMap: { name: "c" } }, { podCertificate: { keyType: "ED25519", signerName: "s/s" } }];
  const volumes = [
    { name: "a", emptyDir: {} },
    { name: "b", nfs: { server: "s", path: "/" } },
    { name: "c", projected: { sources } },
  ];
  expect(refusedFields(pod({ hostUsers: false, volumes }))).toEqual([
    "spec.hostUsers",
    "spec.volumes[1].nfs",
    "spec.volumes[2].projected.sources[1].podCertificate",
  ]);
  expect(refusedFields(pod({ hostUsers: true, volumes: volumes.slice(0, 1) }))).toEqual([]);
  expect(volumes.map(unsupportedVolume)).toEqual([undefined, "nfs", undefined]);
});
