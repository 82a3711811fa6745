/** Templates of Pods in the kinds that make Pods, and the selectors that must find those Pods again. */
import type { DeepReadonly } from "../../util/types.ts";
import type { LabelSelector, PodTemplateSpec } from "../generated/types.ts";
import { validateRestartBackoff } from "../restart-backoff.ts";
import { fromLabelSelector, matchesLabels } from "../selectors.ts";
import { type FieldErrors, forbidden, invalidValue, notSupported, required } from "./field.ts";
import { validateAnnotations, validateLabels } from "./meta.ts";
import { validatePodSpec } from "./pod.ts";
import { validateLabelSelector } from "./selector.ts";

type Template = DeepReadonly<PodTemplateSpec>;

/** Labels and annotations are reported beside the spec, not under metadata: so do the servers that clients know. */
export function validatePodTemplate(t: Template | undefined, field: string): FieldErrors {
  const spec = t?.spec;
  return [
    ...validateLabels(t?.metadata?.labels, `${field}.labels`),
    ...validateAnnotations(t?.metadata?.annotations, `${field}.annotations`),
    ...validateRestartBackoff(t?.metadata?.annotations, `${field}.annotations`),
    ...(spec ? validatePodSpec(spec, `${field}.spec`) : [required(`${field}.spec.containers`)]),
    ...(spec?.ephemeralContainers?.length
      ? [forbidden(`${field}.spec.ephemeralContainers`, "ephemeral containers not allowed in pod template")]
      : []),
  ];
}

/** A Pod that is replaced when it ends is never to end by itself. */
export function validateLastingTemplate(t: Template | undefined, field: string, kind: string): FieldErrors {
  const policy = t?.spec?.restartPolicy;
  const deadline = t?.spec?.activeDeadlineSeconds;
  return [
    ...validatePodTemplate(t, field),
    ...(policy === "Always" ? [] : [notSupported(`${field}.spec.restartPolicy`, policy ?? "", ["Always"])]),
    ...(deadline === undefined
      ? []
      : [forbidden(`${field}.spec.activeDeadlineSeconds`, `activeDeadlineSeconds in ${kind} is not Supported`)]),
  ];
}

interface SelectorAndTemplate {
  readonly selector?: DeepReadonly<LabelSelector>;
  readonly template?: Template;
}

/** The selector is there, selects something, and that includes the template's Pods. */
export function validateSelector(spec: SelectorAndTemplate, field: string, kind: string): FieldErrors {
  const { selector } = spec;
  const at = `${field}.selector`;
  if (!selector) return [required(at), mismatch(spec.template, field)];
  const errors = validateLabelSelector(selector, at);
  if (isEmptySelector(selector)) return [invalidValue(at, selector, `empty selector is invalid for ${kind}`)];
  return [...errors, ...(errors.length || selects(selector, spec.template) ? [] : [mismatch(spec.template, field)])];
}

export function isEmptySelector(s: DeepReadonly<LabelSelector>): boolean {
  return Object.keys(s.matchLabels ?? {}).length === 0 && !s.matchExpressions?.length;
}

/** Only for a selector that was found valid. */
export function selects(selector: DeepReadonly<LabelSelector>, t: Template | undefined): boolean {
  return matchesLabels(fromLabelSelector(selector) ?? [], t?.metadata?.labels);
}

export function mismatch(t: Template | undefined, field: string) {
  const labels = t?.metadata?.labels;
  return invalidValue(`${field}.template.metadata.labels`, labels, "`selector` does not match template `labels`");
}
