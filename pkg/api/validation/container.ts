/** Containers of a Pod: those that run, those that run before, and what they must not have in common. */
import type { DeepReadonly } from "../../util/types.ts";
import type { Container, ContainerPort, PodSpec, SecurityContext } from "../generated/types.ts";
import { dnsLabel, portName, portNumber } from "../names.ts";
import { isRestartableInit } from "../pod.ts";
import { validateEnv, validateEnvFrom } from "./env.ts";
import {
  checked,
  checkedRequired,
  duplicate,
  each,
  type FieldErrors,
  forbidden,
  invalidValue,
  oneOf,
  required,
  unique,
} from "./field.ts";
import { validateLifecycle, validateProbes } from "./probe.ts";
import { validateRequirements } from "./resources.ts";
import { validateContainerRestart } from "./restart.ts";
import { validateMounts } from "./volumes.ts";

type ReadonlyContainer = DeepReadonly<Container>;
type Spec = DeepReadonly<PodSpec>;

const MAX_ID = 2 ** 31 - 1;

export function validateContainers(spec: Spec, field: string): FieldErrors {
  const main = `${field}.containers`;
  const init = `${field}.initContainers`;
  const containers = spec.containers ?? [];
  const taken = new Set(containers.map((c) => c.name));
  return [
    ...(containers.length ? [] : [required(main)]),
    ...each(main, containers, (c, at) => [...validateContainer(c, spec, at), ...validateContainerRestart(c, at)]),
    ...unique(main, containers, (c) => c.name, ".name"),
    ...each(init, spec.initContainers, (c, at) => [
      ...validateContainer(c, spec, at),
      ...validateInitContainer(c, at),
      ...(taken.has(c.name) ? [duplicate(`${at}.name`, c.name)] : []),
    ]),
    ...unique(init, spec.initContainers, (c) => c.name, ".name"),
    ...hostPortConflicts(containers, main),
  ];
}

/** Whatever kind of container it is. */
export function validateContainer(c: ReadonlyContainer, spec: Spec, at: string): FieldErrors {
  return [
    ...checkedRequired(`${at}.name`, c.name, dnsLabel),
    ...validateImage(c.image, `${at}.image`),
    ...oneOf(`${at}.terminationMessagePolicy`, c.terminationMessagePolicy, ["File", "FallbackToLogsOnError"]),
    ...validatePorts(c.ports, spec.hostNetwork === true, `${at}.ports`),
    ...validateEnv(c.env, `${at}.env`),
    ...validateEnvFrom(c.envFrom, `${at}.envFrom`),
    ...validateMounts(c.volumeMounts, spec.volumes ?? [], `${at}.volumeMounts`),
    ...oneOf(`${at}.imagePullPolicy`, c.imagePullPolicy, ["Always", "IfNotPresent", "Never"]),
    ...validateRequirements(c.resources, `${at}.resources`),
    ...validateSecurity(c.securityContext, `${at}.securityContext`),
    ...validateLifecycle(c, spec, at),
    ...validateProbes(c, at),
  ];
}

/** Whether a registry could know the name is the agent's to find out (InvalidImageName). */
export function validateImage(image: string | undefined, field: string): FieldErrors {
  if (!image) return [required(field)];
  return image.trim() === image ? [] : [invalidValue(field, image, "must not have leading or trailing whitespace")];
}

function validateInitContainer(c: ReadonlyContainer, at: string): FieldErrors {
  const restart = validateContainerRestart(c, at);
  if (isRestartableInit(c)) return restart;
  const why = "may not be set for init containers without restartPolicy=Always";
  const unfit = (["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] as const).filter((k) => c[k]);
  return [...restart, ...unfit.map((k) => forbidden(`${at}.${k}`, why))];
}

function validatePorts(
  ports: readonly DeepReadonly<ContainerPort>[] | undefined,
  hostNetwork: boolean,
  field: string,
): FieldErrors {
  return [
    ...each(field, ports, (p, at) => [
      ...(p.name ? checked(`${at}.name`, p.name, portName) : []),
      ...(p.containerPort ? inRange(p.containerPort, `${at}.containerPort`) : [required(`${at}.containerPort`)]),
      ...(p.hostPort ? inRange(p.hostPort, `${at}.hostPort`) : []),
      ...(hostNetwork && p.hostPort && p.hostPort !== p.containerPort
        ? [invalidValue(`${at}.hostPort`, p.hostPort, "must match `containerPort` when `hostNetwork` is true")]
        : []),
      ...oneOf(`${at}.protocol`, p.protocol, ["SCTP", "TCP", "UDP"]),
    ]),
    ...unique(field, ports, (p) => p.name, ".name"),
  ];
}

function inRange(port: number, field: string): FieldErrors {
  return portNumber(port).map((detail) => invalidValue(field, port, detail));
}

/** The host has each of its ports once. */
function hostPortConflicts(containers: readonly ReadonlyContainer[], field: string): FieldErrors {
  const seen = new Set<string>();
  return each(field, containers, (c, at) =>
    each(`${at}.ports`, c.ports, (p, portAt) => {
      if (!p.hostPort) return [];
      const id = `${p.protocol ?? "TCP"}/${p.hostIP ?? ""}/${p.hostPort}`;
      if (seen.has(id)) return [duplicate(`${portAt}.hostPort`, id)];
      seen.add(id);
      return [];
    }),
  );
}

export function validateId(id: number | undefined, field: string): FieldErrors {
  if (id === undefined || (id >= 0 && id <= MAX_ID)) return [];
  return [invalidValue(field, id, `must be between 0 and ${MAX_ID}, inclusive`)];
}

function validateSecurity(s: DeepReadonly<SecurityContext> | undefined, field: string): FieldErrors {
  const contradiction = s?.allowPrivilegeEscalation === false && s.privileged === true;
  return [
    ...validateId(s?.runAsUser, `${field}.runAsUser`),
    ...validateId(s?.runAsGroup, `${field}.runAsGroup`),
    ...(contradiction
      ? [invalidValue(field, s, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true")]
      : []),
  ];
}
