/** LimitRange: what containers get that ask for nothing, and what nobody may ask for. */
import type { Container, LimitRange, LimitRangeItem, PersistentVolumeClaim, Pod } from "../../api/generated/types.ts";
import { limitRanges } from "../../api/kinds/core/limitrange.ts";
import { formatQuantity, type Quantity } from "../../api/quantity.ts";
import { parseList, podResources, type ResourceList } from "../../api/resource-list.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { AdmissionPlugin, AdmissionRequest } from "../admission.ts";
import { createsPod, forbidden, isResource } from "./refuse.ts";

const ANNOTATION = "kubernetes.io/limit-ranger";

/** Fills in requests and limits that containers leave out, and says so in an annotation. */
export function setLimitDefaults(range: DeepReadonly<LimitRange>, pod: Pod): void {
  const items = (range.spec?.limits ?? []).filter((i) => i.type === "Container");
  const defaults = {
    requests: Object.assign({}, ...items.map((i) => i.defaultRequest)) as Record<string, string>,
    limits: Object.assign({}, ...items.map((i) => i.default)) as Record<string, string>,
  };
  const done = [
    ...(pod.spec?.containers ?? []).flatMap((c) => fill(c, defaults, "container")),
    ...(pod.spec?.initContainers ?? []).flatMap((c) => fill(c, defaults, "init container")),
  ];
  if (done.length === 0) return;
  pod.metadata.annotations = {
    ...pod.metadata.annotations,
    [ANNOTATION]: `LimitRanger plugin set: ${done.join("; ")}`,
  };
}

function fill(c: Container, defaults: Record<"requests" | "limits", Record<string, string>>, what: string): string[] {
  return (["requests", "limits"] as const).flatMap((part) => {
    const has = c.resources?.[part] ?? {};
    const missing = Object.keys(defaults[part]).filter((name) => !(name in has));
    if (missing.length === 0) return [];
    c.resources = { ...c.resources, [part]: { ...defaults[part], ...has } };
    return [`${missing.sort().join(", ")} ${part.slice(0, -1)} for ${what} ${c.name}`];
  });
}

/** What one resource of one thing asks for; undefined: nothing. */
interface Asked {
  readonly request: Quantity | undefined;
  readonly limit: Quantity | undefined;
}

/** Why what is asked for breaks the bound. `what` reads `cpu usage per Container is 2`, or so. */
type Rule = (asked: Asked, bound: Quantity) => string | undefined;

const show = (q: Quantity) => formatQuantity(q);

const atLeast: Rule = ({ request, limit }, bound) => {
  if (!request) return ".  No request is specified";
  if (request.nano < bound.nano) return `, but request is ${show(request)}`;
  return limit && limit.nano < bound.nano ? `, but limit is ${show(limit)}` : undefined;
};

const atMost: Rule = ({ request, limit }, bound) => {
  if (!limit) return ".  No limit is specified";
  if (limit.nano > bound.nano) return `, but limit is ${show(limit)}`;
  return request && request.nano > bound.nano ? `, but request is ${show(request)}` : undefined;
};

const requestAtMost: Rule = ({ request }, bound) => {
  if (!request) return ".  No request is specified";
  return request.nano > bound.nano ? `, but request is ${show(request)}` : undefined;
};

const ratioAtMost: Rule = ({ request, limit }, bound) => {
  if (!request?.nano) return ", but no request is specified or request is 0";
  if (!limit?.nano) return ", but no limit is specified or limit is 0";
  const ratio = Number(limit.nano) / Number(request.nano);
  return ratio > Number(bound.nano) / 1e9 ? `, but provided ratio is ${ratio.toFixed(6)}` : undefined;
};

type BoundField = "min" | "max" | "maxLimitRequestRatio";
const WORDS: Readonly<Record<BoundField, (resource: string, type: string) => string>> = {
  min: (resource, type) => `minimum ${resource} usage per ${type}`,
  max: (resource, type) => `maximum ${resource} usage per ${type}`,
  maxLimitRequestRatio: (resource, type) => `${resource} max limit to request ratio per ${type}`,
};
const RULES: Readonly<Partial<Record<BoundField, Rule>>> = {
  min: atLeast,
  max: atMost,
  maxLimitRequestRatio: ratioAtMost,
};
const CLAIM_RULES: Readonly<Partial<Record<BoundField, Rule>>> = { min: atLeast, max: requestAtMost };

/** What of the Pod breaks the range, in Kubernetes' words. */
export function limitsBrokenByPod(range: DeepReadonly<LimitRange>, pod: DeepReadonly<Pod>): string[] {
  const spec = pod.spec ?? { containers: [] };
  const containers = [...(spec.containers ?? []), ...(spec.initContainers ?? [])];
  return (range.spec?.limits ?? []).flatMap((item) => {
    if (item.type === "Container") {
      return containers.flatMap((c) =>
        broken(item, RULES, parseList(c.resources?.requests), parseList(c.resources?.limits)),
      );
    }
    return item.type === "Pod" ? broken(item, RULES, podResources(spec, "requests"), podResources(spec, "limits")) : [];
  });
}

export function limitsBrokenByClaim(
  range: DeepReadonly<LimitRange>,
  claim: DeepReadonly<PersistentVolumeClaim>,
): string[] {
  const requests = parseList(claim.spec?.resources?.requests);
  const items = (range.spec?.limits ?? []).filter((i) => i.type === "PersistentVolumeClaim");
  return items.flatMap((item) => broken(item, CLAIM_RULES, requests, new Map()));
}

function broken(
  item: DeepReadonly<LimitRangeItem>,
  rules: Readonly<Partial<Record<BoundField, Rule>>>,
  requests: ResourceList,
  limits: ResourceList,
): string[] {
  return (Object.entries(rules) as [BoundField, Rule][]).flatMap(([field, rule]) =>
    [...parseList(item[field])].flatMap(([resource, bound]) => {
      const why = rule({ request: requests.get(resource), limit: limits.get(resource) }, bound);
      return why ? [`${WORDS[field](resource, item.type)} is ${show(bound)}${why}`] : [];
    }),
  );
}

/** Several errors in one message, as Go's aggregate prints them: each once. */
export function aggregate(errors: readonly string[]): string {
  const once = [...new Set(errors)];
  return once.length === 1 ? (once[0] ?? "") : `[${once.join(", ")}]`;
}

/** Pods are limited when they are born or resized, claims whenever they are written. */
export const limitRanger: AdmissionPlugin = {
  name: "LimitRanger",
  mutate(r, view) {
    if (!createsPod(r) || !r.object) return;
    for (const range of view.list(limitRanges, r.namespace)) setLimitDefaults(range, r.object as Pod);
  },
  validate(r, view) {
    const check = limitCheckOf(r);
    if (!check || r.old?.metadata.deletionTimestamp) return;
    for (const range of view.list(limitRanges, r.namespace)) {
      const broken = check(range);
      if (broken.length) throw forbidden(r, aggregate(broken));
    }
  },
};

function limitCheckOf(r: AdmissionRequest): ((range: DeepReadonly<LimitRange>) => string[]) | undefined {
  const { object } = r;
  if (!object) return undefined;
  const resizes = r.subresource === "resize" && isResource(r, "", "pods");
  if (createsPod(r) || resizes) return (range) => limitsBrokenByPod(range, object as Pod);
  return r.subresource === "" && isResource(r, "", "persistentvolumeclaims")
    ? (range) => limitsBrokenByClaim(range, object as PersistentVolumeClaim)
    : undefined;
}
