/** Resizing a Pod where it runs: cpu and memory of its containers, and nothing that would make it another Pod. */
import type { DeepReadonly } from "../../util/types.ts";
import { deepClone, semanticEqual } from "../equal.ts";
import type { Container, Pod, PodSpec, ResourceRequirements } from "../generated/types.ts";
import { isRestartableInit, qosClass } from "../pod.ts";
import { each, type FieldErrors, forbidden, invalidValue } from "./field.ts";
import { validatePod } from "./pod.ts";

type ReadonlyPod = DeepReadonly<Pod>;
type Spec = DeepReadonly<PodSpec>;
type Resources = DeepReadonly<ResourceRequirements>;

const LISTS = ["containers", "initContainers"] as const;
const RESIZABLE = ["cpu", "memory"];

/** All but the resources is as it was; containers that do not fit the old ones are left for validation to see. */
export function keepAllButResources(next: Pod, old: ReadonlyPod): void {
  const { spec } = next;
  if (!spec || !old.spec || !sameContainers(spec, old.spec)) return;
  const sized = deepClone(old.spec) as PodSpec;
  if (spec.resources) sized.resources = spec.resources;
  else delete sized.resources;
  for (const list of LISTS) {
    sized[list]?.forEach((c, i) => {
      const { resources, resizePolicy } = spec[list]?.[i] ?? {};
      Object.assign(c, { resources: resources ?? {}, ...(resizePolicy && { resizePolicy }) });
    });
  }
  next.spec = sized;
}

function sameContainers(a: Spec, b: Spec): boolean {
  return LISTS.every((list) => names(a[list]).join() === names(b[list]).join());
}

const names = (list: readonly DeepReadonly<Container>[] | undefined) => (list ?? []).map((c) => c.name);

export function validateResize(next: ReadonlyPod, old: ReadonlyPod): FieldErrors {
  const [is, was] = [next.spec, old.spec];
  if (!is || !was) return validatePod(next);
  const order = LISTS.flatMap((list) => validateOrder(names(is[list]), names(was[list]), list));
  const valid = validatePod(next);
  if (order.length || valid.length) return [...valid, ...order];
  return [
    ...validateWhole(next, old),
    ...validateRemoved(is.resources, was.resources, "spec.resources"),
    ...LISTS.flatMap((list) =>
      each(`spec.${list}`, was[list], (c, at, i) =>
        validateRemoved(is[list]?.[i]?.resources, c.resources, `${at}.resources`),
      ),
    ),
    ...validateInit(is, was),
    ...(semanticEqual(withoutCpuAndMemory(is), withoutCpuAndMemory(was))
      ? []
      : [forbidden("spec", "only cpu and memory resources are mutable")]),
  ];
}

function validateOrder(is: readonly string[], was: readonly string[], list: (typeof LISTS)[number]): FieldErrors {
  if (is.length !== was.length) return [forbidden(`spec.${list}`, `${list} may not be added or removed on resize`)];
  return each(`spec.${list}`, was, (name, at, i) =>
    is[i] === name ? [] : [forbidden(`${at}.name`, `${list} may not be renamed or reordered on resize`)],
  );
}

/** Who runs the Pod reports what its containers have; who does not, could not change it. */
function validateWhole(next: ReadonlyPod, old: ReadonlyPod): FieldErrors {
  const before = old.status?.qosClass ?? qosClass(old);
  const running = old.status?.containerStatuses?.find((c) => c.state?.running);
  return [
    ...(qosClass(next) === before
      ? []
      : [invalidValue("spec", before, "Pod QOS Class may not change as a result of resizing")]),
    ...(running && !running.resources ? [forbidden("spec", "Pod running on node without support for resize")] : []),
  ];
}

function validateRemoved(is: Resources | undefined, was: Resources | undefined, field: string): FieldErrors {
  return (["requests", "limits"] as const)
    .filter((list) => Object.keys(was?.[list] ?? {}).some((name) => is?.[list]?.[name] === undefined))
    .map((list) => forbidden(`${field}.${list}`, `resource ${list} cannot be removed`));
}

/** What runs once cannot be started again with its new size. */
function validateInit(is: Spec, was: Spec): FieldErrors {
  return each("spec.initContainers", is.initContainers, (c, at, i) => {
    const restarts = c.resizePolicy?.some((p) => p.restartPolicy === "RestartContainer");
    if (isRestartableInit(c) || !restarts || semanticEqual(c, was.initContainers?.[i])) return [];
    const why = "non-sidecar init containers with a resize policy of RestartContainer cannot be resized";
    return [forbidden(at, why)];
  });
}

function withoutCpuAndMemory(spec: Spec): object {
  const rest = deepClone(spec) as PodSpec;
  const holders = [rest, ...rest.containers, ...(rest.initContainers ?? [])];
  for (const { resources } of holders) {
    for (const list of [resources?.requests, resources?.limits]) {
      for (const name of list ? RESIZABLE : []) delete list?.[name];
    }
  }
  return rest;
}
