/** Ephemeral containers: for looking into a Pod that runs. They come, and neither change nor go. */
import type { DeepReadonly } from "../../util/types.ts";
import { differences, semanticEqual } from "../equal.ts";
import type { Container, EphemeralContainer, Pod, PodSpec } from "../generated/types.ts";
import { validateContainer } from "./container.ts";
import { duplicate, each, type FieldErrors, forbidden, unique } from "./field.ts";
import { validatePod } from "./pod.ts";

type Spec = DeepReadonly<PodSpec>;
type Ephemeral = DeepReadonly<EphemeralContainer>;

/** Nothing of a Pod may rest on one: what would make it a service, or hold resources, is not for it. */
const UNFIT = [
  "ports",
  "resources",
  "resizePolicy",
  "restartPolicy",
  "restartPolicyRules",
  "livenessProbe",
  "readinessProbe",
  "startupProbe",
  "lifecycle",
] as const;
const CANNOT = "cannot be set for an Ephemeral Container";

export function validateEphemeralUpdate(next: DeepReadonly<Pod>, old: DeepReadonly<Pod>): FieldErrors {
  const is = next.spec?.ephemeralContainers ?? [];
  const was = old.spec?.ephemeralContainers ?? [];
  return [
    ...validatePod(next),
    ...(next.spec ? validateEphemeral(next.spec, "spec.ephemeralContainers") : []),
    ...was.flatMap((before) => validateUnchanged(before, is)),
  ];
}

/** The order may change: patches do not keep it. */
function validateUnchanged(before: Ephemeral, list: readonly Ephemeral[]): FieldErrors {
  const field = "spec.ephemeralContainers";
  const existing = `existing ephemeral containers ${JSON.stringify(before.name)} may not be`;
  const after = list.find((c) => c.name === before.name);
  if (!after) return [forbidden(field, `${existing} removed\n`)];
  if (semanticEqual(before, after)) return [];
  return [forbidden(field, `${existing} changed\n${differences(before, after, before.name).join("\n")}`)];
}

function validateEphemeral(spec: Spec, field: string): FieldErrors {
  const others = [...(spec.containers ?? []), ...(spec.initContainers ?? [])].map((c) => c.name);
  return [
    ...each(field, spec.ephemeralContainers, (c, at) => [
      ...validateContainer(c as DeepReadonly<Container>, spec, at),
      ...(others.includes(c.name) ? [duplicate(`${at}.name`, c.name)] : []),
      ...validateTarget(c.targetContainerName, others, `${at}.targetContainerName`),
      ...validateFit(c, at),
    ]),
    ...unique(field, spec.ephemeralContainers, (c) => c.name, ".name"),
  ];
}

function validateTarget(target: string | undefined, others: readonly string[], field: string): FieldErrors {
  return target && !others.includes(target) ? [{ type: "NotFound", field, value: target, detail: "" }] : [];
}

function validateFit(c: Ephemeral, at: string): FieldErrors {
  return [
    ...UNFIT.filter((key) => !semanticEqual(c[key], undefined)).map((key) => forbidden(`${at}.${key}`, CANNOT)),
    ...each(`${at}.volumeMounts`, c.volumeMounts, (m, mount) =>
      (["subPath", "subPathExpr"] as const).filter((key) => m[key]).map((key) => forbidden(`${mount}.${key}`, CANNOT)),
    ),
  ];
}
