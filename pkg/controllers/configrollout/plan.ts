/** Whether what a workload's Pods were started with has changed since. Pure. */
import type { ConfigMap, Container, PodTemplateSpec, Secret, Volume } from "../../api/generated/types.ts";
import type { ApiObject } from "../../api/object.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { hashOf } from "../workload/hash.ts";

/** On a Deployment, StatefulSet or DaemonSet: "true" asks for all this. */
export const ROLLOUT_ON_CONFIG_CHANGE = "mini-kube.io/rollout-on-config-change";
/** On the same: what was there when it was last looked at, as JSON of {@link Seen}. */
export const SEEN = "mini-kube.io/config-seen";
/** On its Pod template: a new value is a new template. */
export const CONFIG_HASH = "mini-kube.io/config-hash";

export interface Workload extends ApiObject {
  spec?: { template?: PodTemplateSpec };
}

export type Config = DeepReadonly<ConfigMap | Secret>;
export type ConfigKind = "ConfigMap" | "Secret";

export interface Reference {
  readonly kind: ConfigKind;
  readonly name: string;
  /** The Pods start without it. */
  readonly optional: boolean;
}

/** By `ConfigMap/name` or `Secret/name`: a hash of its data. */
type Seen = Readonly<Record<string, string>>;

export interface ConfigPlan {
  readonly seen: string;
  /** A roll-out, and what it is for: `ConfigMap/app`. None: this is only noted for later. */
  readonly rollout?: { readonly hash: string; readonly changed: readonly string[] };
}

const ABSENT = "absent";

/**
 * Undefined: there is nothing to do. What is referenced is compared with what was noted on the workload itself, not on
 * its template: an undo brings back the older template, and is not undone. What the template refers to anew has come
 * with a roll-out of its own. While something is lacking that Pods cannot start without, nothing is decided.
 */
export function planConfigRollout(
  workload: DeepReadonly<Workload>,
  find: (r: Reference) => Config | undefined,
): ConfigPlan | undefined {
  const { annotations, deletionTimestamp } = workload.metadata;
  if (annotations?.[ROLLOUT_ON_CONFIG_CHANGE] !== "true" || deletionTimestamp !== undefined) return undefined;
  const found = referencesOf(workload.spec?.template).map((r) => ({ ...r, config: find(r) }));
  if (found.some((r) => !r.config && !r.optional)) return undefined;
  const now: Seen = Object.fromEntries(
    found.map((r) => [`${r.kind}/${r.name}`, r.config ? dataHash(r.config) : ABSENT]),
  );
  const seen = JSON.stringify(now);
  if (annotations[SEEN] === seen) return undefined;
  const before = parseSeen(annotations[SEEN]);
  const changed = Object.keys(now).filter((key) => before[key] !== undefined && before[key] !== now[key]);
  return changed.length > 0 ? { seen, rollout: { hash: hashOf(now), changed } } : { seen };
}

const dataHash = ({ data, ...rest }: Config) => hashOf([data ?? {}, "binaryData" in rest ? rest.binaryData : {}]);

/** What somebody has written there in its place counts as nothing. */
function parseSeen(text: string | undefined): Seen {
  try {
    const value: unknown = JSON.parse(text ?? "{}");
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Seen) : {};
  } catch {
    return {};
  }
}

/** Each once, in order; optional when it is so wherever it is named. Not those that only pull images. */
export function referencesOf(template: DeepReadonly<PodTemplateSpec> | undefined): readonly Reference[] {
  const { containers = [], initContainers = [], volumes = [] } = template?.spec ?? {};
  const all = [...[...initContainers, ...containers].flatMap(inEnvironment), ...volumes.flatMap(inVolume)];
  const byKey = new Map<string, Reference>();
  for (const r of all) {
    const key = `${r.kind}/${r.name}`;
    byKey.set(key, { ...r, optional: r.optional && (byKey.get(key)?.optional ?? true) });
  }
  return [...byKey].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, r]) => r);
}

type Source = { readonly optional?: boolean } | undefined;

function reference(kind: ConfigKind, source: Source, name: string | undefined): readonly Reference[] {
  return source && name ? [{ kind, name, optional: source.optional ?? false }] : [];
}

const configMap = (s: DeepReadonly<{ name?: string; optional?: boolean }> | undefined) =>
  reference("ConfigMap", s, s?.name);
const secret = (s: DeepReadonly<{ name?: string; optional?: boolean }> | undefined) => reference("Secret", s, s?.name);

function inEnvironment(c: DeepReadonly<Pick<Container, "env" | "envFrom">>): readonly Reference[] {
  return [
    ...(c.env ?? []).flatMap(({ valueFrom: v }) => [...configMap(v?.configMapKeyRef), ...secret(v?.secretKeyRef)]),
    ...(c.envFrom ?? []).flatMap((e) => [...configMap(e.configMapRef), ...secret(e.secretRef)]),
  ];
}

function inVolume(v: DeepReadonly<Volume>): readonly Reference[] {
  return [
    ...configMap(v.configMap),
    ...reference("Secret", v.secret, v.secret?.secretName),
    ...(v.projected?.sources ?? []).flatMap((s) => [...configMap(s.configMap), ...secret(s.secret)]),
  ];
}
