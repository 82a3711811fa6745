/**
 * What a Pod asks for and agents do not do yet. The API server warns whoever writes it, and a Warning event of the Pod
 * names it all: nothing is ignored silently.
 */
import type { DeepReadonly } from "../util/types.ts";
import type { Container as ApiContainer, PodSpec } from "./generated/types.ts";

type Container = DeepReadonly<ApiContainer>;

const VOLUME_TYPES: ReadonlySet<string> = new Set([
  "name",
  "emptyDir",
  "ephemeral",
  "hostPath",
  "persistentVolumeClaim",
  "configMap",
  "secret",
  "downwardAPI",
  "projected",
]);

/** What everybody has who says nothing of it. */
const DEFAULT_MESSAGE_PATH = "/dev/termination-log";

/** The volume's type when there is no support for it. */
export function unsupportedVolume(v: object): string | undefined {
  return Object.keys(v).find((k) => !VOLUME_TYPES.has(k));
}

/** Field paths in the order of the spec; empty for most Pods. */
export function unsupportedFields({ spec }: { readonly spec?: DeepReadonly<PodSpec> }): readonly string[] {
  if (!spec) return [];
  const security = spec.securityContext;
  const found = [
    ...present("spec", spec, ["overhead", "resourceClaims", "runtimeClassName", "resources"]),
    ...truthy("spec", { hostIPC: spec.hostIPC, hostPID: spec.hostPID, setHostnameAsFQDN: spec.setHostnameAsFQDN }),
    ...(spec.hostUsers === false ? ["spec.hostUsers"] : []),
    ...(spec.imagePullSecrets?.length ? ["spec.imagePullSecrets"] : []),
    ...(spec.ephemeralContainers?.length ? ["spec.ephemeralContainers"] : []),
    ...(spec.volumes ?? []).flatMap((v, n) => emptyDir(`spec.volumes[${n}].emptyDir`, v.emptyDir)),
    ...present("spec.securityContext", security ?? {}, ["fsGroup", "sysctls", "seLinuxOptions", "appArmorProfile"]),
    ...seccomp("spec.securityContext", security?.seccompProfile),
  ];
  const inits = (spec.initContainers ?? []).flatMap((c, n) => ofContainer(`spec.initContainers[${n}]`, c, true));
  return [
    ...found,
    ...inits,
    ...(spec.containers ?? []).flatMap((c, n) => ofContainer(`spec.containers[${n}]`, c, false)),
  ];
}

function emptyDir(path: string, v: { readonly medium?: string; readonly sizeLimit?: string } = {}): string[] {
  return [...(v.medium ? [`${path}.medium`] : []), ...present(path, v, ["sizeLimit"])];
}

function ofContainer(path: string, c: Container, init: boolean): string[] {
  return [
    ...present(path, c, ["lifecycle", "restartPolicyRules", "volumeDevices"]),
    ...(c.restartPolicy !== undefined ? [`${path}.restartPolicy`] : []),
    ...((c.terminationMessagePath ?? DEFAULT_MESSAGE_PATH) === DEFAULT_MESSAGE_PATH
      ? []
      : [`${path}.terminationMessagePath`]),
    ...(c.terminationMessagePolicy === "FallbackToLogsOnError" ? [`${path}.terminationMessagePolicy`] : []),
    ...(["livenessProbe", "readinessProbe", "startupProbe"] as const).flatMap((name) =>
      c[name] && (init || c[name].grpc) ? [`${path}.${name}${init ? "" : ".grpc"}`] : [],
    ),
    ...(c.volumeMounts ?? []).flatMap((m, n) => [
      ...(m.mountPropagation !== undefined && m.mountPropagation !== "None"
        ? [`${path}.volumeMounts[${n}].mountPropagation`]
        : []),
      ...((m.recursiveReadOnly ?? "Disabled") === "Disabled" ? [] : [`${path}.volumeMounts[${n}].recursiveReadOnly`]),
      ...(m.subPathExpr !== undefined ? [`${path}.volumeMounts[${n}].subPathExpr`] : []),
    ]),
    ...(c.env ?? []).flatMap((e, n) => (e.valueFrom?.fileKeyRef ? [`${path}.env[${n}].valueFrom.fileKeyRef`] : [])),
    ...present(`${path}.securityContext`, c.securityContext ?? {}, ["seLinuxOptions", "appArmorProfile", "procMount"]),
    ...seccomp(`${path}.securityContext`, c.securityContext?.seccompProfile),
  ];
}

/** Docker's own profile is the runtime's default; others are not passed on. */
function seccomp(path: string, profile: { readonly type: string } | undefined): string[] {
  return profile && profile.type !== "RuntimeDefault" ? [`${path}.seccompProfile`] : [];
}

function present(path: string, o: object, names: readonly string[]): string[] {
  return names.filter((n) => (o as Readonly<Record<string, unknown>>)[n] !== undefined).map((n) => `${path}.${n}`);
}

function truthy(path: string, o: Readonly<Record<string, boolean | undefined>>): string[] {
  return Object.entries(o).flatMap(([name, on]) => (on ? [`${path}.${name}`] : []));
}
