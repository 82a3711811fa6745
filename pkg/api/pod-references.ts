/** What of its namespace a Pod refers to: what its node needs to see. */
import type { DeepReadonly } from "../util/types.ts";
import type { Container, Pod, PodSpec, Volume } from "./generated/types.ts";
import { nameOf } from "./object.ts";

export interface PodReferences {
  readonly secrets: ReadonlySet<string>;
  readonly configmaps: ReadonlySet<string>;
  readonly persistentvolumeclaims: ReadonlySet<string>;
  readonly serviceaccounts: ReadonlySet<string>;
}

/** Made by a node for a Pod that it runs on its own: it must give the node no rights. */
export const MIRROR_ANNOTATION = "kubernetes.io/config.mirror";

const NONE: PodReferences = {
  secrets: new Set(),
  configmaps: new Set(),
  persistentvolumeclaims: new Set(),
  serviceaccounts: new Set(),
};

type Names = readonly (string | undefined)[];
const known = new WeakMap<object, PodReferences>();

/** Remembered for as long as the object is: Pods are shared and never changed in place. */
export function podReferences(pod: DeepReadonly<Pod>): PodReferences {
  let found = known.get(pod);
  if (!found) {
    const mirrors = pod.metadata.annotations?.[MIRROR_ANNOTATION] !== undefined;
    found = mirrors || !pod.spec ? NONE : collectReferences(pod.spec, nameOf(pod));
    known.set(pod, found);
  }
  return found;
}

/** `podName`: what the claims of its ephemeral volumes are called after. */
export function collectReferences(spec: DeepReadonly<PodSpec>, podName: string): PodReferences {
  const volumes = spec.volumes ?? [];
  const containers = [...(spec.initContainers ?? []), ...spec.containers, ...(spec.ephemeralContainers ?? [])];
  return {
    secrets: set([
      ...(spec.imagePullSecrets ?? []).map((s) => s.name),
      ...containers.flatMap((c) => envNames(c, "secretKeyRef", "secretRef")),
      ...volumes.flatMap(secretNames),
    ]),
    configmaps: set([
      ...containers.flatMap((c) => envNames(c, "configMapKeyRef", "configMapRef")),
      ...volumes.flatMap((v) => [v.configMap?.name, ...(v.projected?.sources ?? []).map((s) => s.configMap?.name)]),
    ]),
    persistentvolumeclaims: set(
      volumes.map((v) => (v.ephemeral ? `${podName}-${v.name}` : v.persistentVolumeClaim?.claimName)),
    ),
    serviceaccounts: set([spec.serviceAccountName]),
  };
}

function envNames(
  c: DeepReadonly<Pick<Container, "env" | "envFrom">>,
  key: "secretKeyRef" | "configMapKeyRef",
  all: "secretRef" | "configMapRef",
): Names {
  return [...(c.env ?? []).map((e) => e.valueFrom?.[key]?.name), ...(c.envFrom ?? []).map((e) => e[all]?.name)];
}

/** Of all the kinds of volumes that know a secret. */
function secretNames(v: DeepReadonly<Volume>): Names {
  return [
    v.secret?.secretName,
    ...(v.projected?.sources ?? []).map((s) => s.secret?.name),
    v.azureFile?.secretName,
    v.cephfs?.secretRef?.name,
    v.cinder?.secretRef?.name,
    v.csi?.nodePublishSecretRef?.name,
    v.flexVolume?.secretRef?.name,
    v.iscsi?.secretRef?.name,
    v.rbd?.secretRef?.name,
    v.scaleIO?.secretRef.name,
    v.storageos?.secretRef?.name,
  ];
}

function set(names: Names): ReadonlySet<string> {
  return new Set(names.filter((n) => n !== undefined && n !== "") as string[]);
}
