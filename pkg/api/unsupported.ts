/**
 * What a Pod may ask for and agents do not do. The API server warns whoever writes it, and a Warning event of the Pod
 * names it all: nothing is ignored silently. unsupported.test.ts knows what is done with every other field of a Pod, so
 * that none is forgotten. Who teaches the agent one of these takes its row away here and gives it one there.
 */
import type { DeepReadonly } from "../util/types.ts";
import type { PodSpec } from "./generated/types.ts";

type AnyPod = { readonly spec?: DeepReadonly<PodSpec> };

/** Whether a field that has this value asks for what is not done. */
type Asks = (value: unknown) => boolean;
/** By path: `a.b` is a field of a field, `a[].b` one of each element. */
type Rows = Readonly<Record<string, Asks>>;

const present: Asks = () => true;
const filled: Asks = (v) => !Array.isArray(v) || v.length > 0;
const is =
  (value: unknown): Asks =>
  (v) =>
    v === value;

const CONTAINER: Rows = {
  "resources.claims": filled,
};

const IGNORED: Rows = {
  resourceClaims: present,
  schedulingGroup: present,
  "securityContext.seLinuxChangePolicy": present,
  ...within("initContainers[]", CONTAINER),
  ...within("containers[]", CONTAINER),
};

/** With these a Pod does not start, and an event says why. */
const REFUSED: Rows = {
  // Docker has one user namespace for all of its containers, or none.
  hostUsers: is(false),
  ...within(
    "volumes[]",
    Object.fromEntries(
      [
        "awsElasticBlockStore",
        "azureDisk",
        "azureFile",
        "cephfs",
        "cinder",
        "csi",
        "fc",
        "flexVolume",
        "flocker",
        "gcePersistentDisk",
        "gitRepo",
        "glusterfs",
        "image",
        "iscsi",
        "nfs",
        "photonPersistentDisk",
        "portworxVolume",
        "quobyte",
        "rbd",
        "scaleIO",
        "storageos",
        "vsphereVolume",
        "projected.sources[].podCertificate",
      ].map((type) => [type, present]),
    ),
  ),
};

const VOLUME_TYPES: ReadonlySet<string> = new Set(
  Object.keys(REFUSED).flatMap((path) => /^volumes\[\]\.(\w+)$/.exec(path)?.[1] ?? []),
);

/** The volume's type when there is no support for it. */
export function unsupportedVolume(v: object): string | undefined {
  return Object.keys(v).find((k) => VOLUME_TYPES.has(k));
}

/** What runs as if it was not asked for. Field paths; empty for most Pods. */
export function unsupportedFields(pod: AnyPod): readonly string[] {
  return asked(pod, IGNORED);
}

/** What the Pod cannot be started with. */
export function refusedFields(pod: AnyPod): readonly string[] {
  return asked(pod, REFUSED);
}

/** All paths that some row speaks of, below `spec`. */
export const UNSUPPORTED_PATHS: readonly string[] = [...Object.keys(IGNORED), ...Object.keys(REFUSED)];

function within(path: string, rows: Rows): Rows {
  return Object.fromEntries(Object.entries(rows).map(([name, asks]) => [`${path}.${name}`, asks]));
}

function asked({ spec }: AnyPod, rows: Rows): readonly string[] {
  if (!spec) return [];
  return Object.entries(rows).flatMap(([path, asks]) =>
    find("spec", spec, path.split(".")).flatMap(([at, value]) => (asks(value) ? [at] : [])),
  );
}

/** What is there of a path, each with where it is. */
function find(at: string, value: unknown, [step, ...rest]: readonly string[]): readonly (readonly [string, unknown])[] {
  if (step === undefined) return [[at, value]];
  const name = step.replace("[]", "");
  const inner = (value as Readonly<Record<string, unknown>> | null)?.[name];
  if (inner === undefined) return [];
  if (name === step) return find(`${at}.${name}`, inner, rest);
  const elements: readonly unknown[] = Array.isArray(inner) ? inner : [];
  return elements.flatMap((e, n) => find(`${at}.${name}[${n}]`, e, rest));
}
