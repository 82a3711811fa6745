/**
 * PodSecurity: a Pod that breaks the level its namespace enforces is refused; what breaks the level it warns of is only
 * told, for the templates of workloads too. Changing a namespace's level tells which of its Pods would not pass.
 */
import type { Namespace, Pod, PodTemplateSpec } from "../../../api/generated/types.ts";
import { namespaces } from "../../../api/kinds/core/namespace.ts";
import { pods } from "../../../api/kinds/core/pod.ts";
import { type ApiObject, controllerOf, nameOf } from "../../../api/object.ts";
import { invalid } from "../../../api/status.ts";
import { deepEqual } from "../../../api/equal.ts";
import { own } from "../../../util/keys.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import type { AdmissionPlugin, AdmissionRequest, ClusterView } from "../../admission.ts";
import { forbidden, isResource } from "../refuse.ts";
import type { PodShape } from "./pod-shape.ts";
import {
  describe,
  isNoStricter,
  isPrivileged,
  type LevelVersion,
  policyOf,
  sameLevel,
  showLevel,
  violations,
} from "./policy.ts";

/** Existing Pods that are checked when a namespace gets stricter. */
const MAX_CHECKED = 3000;

type Template = DeepReadonly<PodTemplateSpec> | undefined;
type WithTemplate = DeepReadonly<ApiObject> & {
  readonly template?: Template;
  readonly spec?: {
    readonly template?: Template;
    readonly jobTemplate?: { readonly spec?: { readonly template?: Template } };
  };
};

const inSpec = (o: WithTemplate) => o.spec?.template;
/** Where the Pod template of a workload is. */
const TEMPLATES: Readonly<Record<string, (o: WithTemplate) => Template>> = {
  "/replicationcontrollers": inSpec,
  "/podtemplates": (o) => o.template,
  "apps/replicasets": inSpec,
  "apps/deployments": inSpec,
  "apps/statefulsets": inSpec,
  "apps/daemonsets": inSpec,
  "batch/jobs": inSpec,
  "batch/cronjobs": (o) => o.spec?.jobTemplate?.spec?.template,
};

export const podSecurity: AdmissionPlugin = {
  name: "PodSecurity",
  validate(r, view) {
    if ((r.operation !== "CREATE" && r.operation !== "UPDATE") || !r.object) return;
    if (isResource(r, "", "namespaces")) return r.subresource === "" ? checkNamespace(r, view) : undefined;
    if (isResource(r, "", "pods")) return checkPod(r, view);
    const template = r.subresource === "" && own(TEMPLATES, `${r.def.group}/${r.def.plural}`)?.(r.object);
    if (template) tell(r, view, { metadata: template.metadata ?? {}, spec: template.spec ?? { containers: [] } });
  },
};

/** Subresources that can make another Pod of it. */
const SIGNIFICANT: readonly string[] = ["", "ephemeralcontainers", "resize"];

function checkPod(r: AdmissionRequest, view: ClusterView): void {
  const pod = r.object as Pod;
  if (!SIGNIFICANT.includes(r.subresource)) return;
  if (r.old && !changesImages(pod, r.old as DeepReadonly<Pod>)) return;
  const { policy } = policyOf(labelsOf(view, r.namespace));
  const shape = shapeOf(pod);
  const broken = violations(policy.enforce, shape);
  if (broken.length) throw forbidden(r, `violates PodSecurity "${showLevel(policy.enforce)}": ${describe(broken)}`);
  tell(r, view, shape);
}

function tell(r: AdmissionRequest, view: ClusterView, shape: PodShape): void {
  const { policy } = policyOf(labelsOf(view, r.namespace));
  if (isPrivileged(policy, "warn")) return;
  const found = violations(policy.warn, shape);
  if (found.length) r.warn(`would violate PodSecurity "${showLevel(policy.warn)}": ${describe(found)}`);
}

function checkNamespace(r: AdmissionRequest, view: ClusterView): void {
  const next = policyOf(r.object?.metadata.labels);
  const before = r.old && policyOf(r.old.metadata.labels);
  if (next.errors.length && !(before?.errors.length && deepEqual(next.errors, before.errors))) {
    throw invalid(r.def, r.object?.metadata.name ?? r.name, next.errors);
  }
  const level = next.policy.enforce;
  if (!before || sameLevel(level, before.policy.enforce) || isNoStricter(level, before.policy.enforce)) return;
  existingViolations(level, r.name, view).forEach((warning) => r.warn(warning));
}

/** One line for each kind of violation, with the first Pod by name and how many others there are. */
export function existingViolations(level: LevelVersion, namespace: string, view: ClusterView): string[] {
  const all = representatives([...view.list(pods, namespace)]);
  const byReason = new Map<string, string[]>();
  for (const pod of all.slice(0, MAX_CHECKED)) {
    const reason = violations(level, shapeOf(pod))
      .map((v) => v.reason)
      .join(", ");
    if (reason) byReason.set(reason, [...(byReason.get(reason) ?? []), nameOf(pod)]);
  }
  const lines = [...byReason].map(([reason, names]) => `${first(names)}: ${reason}`).sort();
  const head = `existing pods in namespace "${namespace}" violate the new PodSecurity enforce level "${showLevel(level)}"`;
  const cut = `new PodSecurity enforce level only checked against the first ${MAX_CHECKED} of ${all.length} existing pods`;
  return [...(all.length > MAX_CHECKED ? [cut] : []), ...(lines.length ? [head] : []), ...lines];
}

function first(names: readonly string[]): string {
  const name = [...names].sort()[0] ?? "";
  const others = names.length - 1;
  if (others === 0) return name;
  return `${name} (and ${others} other ${others === 1 ? "pod" : "pods"})`;
}

/** Pods of one controller are alike: the first of each comes before the rest, in case not all can be looked at. */
function representatives(all: readonly DeepReadonly<Pod>[]): readonly DeepReadonly<Pod>[] {
  const seen = new Set<string>();
  const [firsts, rest]: [DeepReadonly<Pod>[], DeepReadonly<Pod>[]] = [[], []];
  for (const pod of all) {
    const owner = controllerOf(pod)?.uid;
    (owner && seen.has(owner) ? rest : firsts).push(pod);
    if (owner) seen.add(owner);
  }
  return [...firsts, ...rest];
}

function shapeOf(pod: DeepReadonly<Pod>): PodShape {
  return { metadata: pod.metadata, spec: pod.spec ?? { containers: [] } };
}

function labelsOf(view: ClusterView, namespace: string): Readonly<Record<string, string>> | undefined {
  return (view.get(namespaces, "", namespace) as DeepReadonly<Namespace> | undefined)?.metadata.labels;
}

/** Nothing else of a running Pod can change that the standards look at. */
function changesImages(pod: DeepReadonly<Pod>, old: DeepReadonly<Pod>): boolean {
  return (["containers", "initContainers", "ephemeralContainers"] as const).some((list) => {
    const before = new Map((old.spec?.[list] ?? []).map((c) => [c.name, c.image]));
    const now = pod.spec?.[list] ?? [];
    return now.length !== before.size || now.some((c) => !before.has(c.name) || before.get(c.name) !== c.image);
  });
}
