/** Mutating and validating admission webhooks: the cluster's own rules, asked of programs outside. */
import { deepClone, semanticEqual } from "../../../api/equal.ts";
import {
  mutatingWebhookConfigurations,
  validatingWebhookConfigurations,
} from "../../../api/kinds/admissionregistration/webhookconfiguration.ts";
import type { MutatingWebhook } from "../../../api/generated/types.ts";
import type { ApiObject } from "../../../api/object.ts";
import { applyJsonPatch } from "../../../api/patch/json-patch.ts";
import type { ResourceDef } from "../../../api/resource.ts";
import { ApiError } from "../../../api/status.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import type { AdmissionPlugin, AdmissionRequest, ClusterView } from "../../admission.ts";
import { policyOf } from "../../view.ts";
import { isExempt } from "../matching.ts";
import { shownAs, unshown } from "../shown.ts";
import { ask, interest, type WebhookOptions } from "./ask.ts";

type Hook = DeepReadonly<MutatingWebhook>;

/**
 * Asks them one after the other, by name of the configuration. When one has changed the object, the built-in plugins
 * `before` see it once more, and then those webhooks that want to (reinvocationPolicy IfNeeded) and were asked before the
 * change.
 */
export function mutatingWebhook(o: WebhookOptions, before: readonly AdmissionPlugin[]): AdmissionPlugin {
  return {
    name: "MutatingAdmissionWebhook",
    mutate(r, view) {
      if (isExempt(r)) return;
      const hooks = [...view.list(mutatingWebhookConfigurations)].flatMap((c) => c.webhooks ?? []);
      if (hooks.length > 0) return mutate(hooks, r, view, o, before);
    },
  };
}

async function mutate(
  hooks: readonly Hook[],
  r: AdmissionRequest,
  view: ClusterView,
  o: WebhookOptions,
  before: readonly AdmissionPlugin[],
): Promise<void> {
  const asked: Hook[] = [];
  const again = new Set<Hook>();
  let changed = false;
  for (const hook of hooks) {
    const outcome = await askToChange(hook, r, view, o);
    if (outcome === "changed") {
      changed = true;
      asked.forEach((h) => again.add(h));
    }
    if (outcome !== "not asked" && hook.reinvocationPolicy === "IfNeeded") asked.push(hook);
  }
  if (!changed) return;
  const sofar = deepClone(r.object);
  for (const plugin of before) await plugin.mutate?.(r, view);
  if (!semanticEqual(sofar, r.object)) asked.forEach((h) => again.add(h));
  for (const hook of hooks) if (again.has(hook)) await askToChange(hook, r, view, o);
}

async function askToChange(
  hook: Hook,
  r: AdmissionRequest,
  view: ClusterView,
  o: WebhookOptions,
): Promise<"not asked" | "kept" | "changed"> {
  const def = interest(hook, r, view, o);
  if (!def) return "not asked";
  const answer = await ask(hook, r, def, { ...o, view, mutating: true });
  if (!answer || !Array.isArray(answer.patch) || answer.patch.length === 0) return "kept";
  if (!r.object) {
    const why = `admission webhook "${hook.name}" attempted to modify the object, which is not supported for this operation`;
    throw new ApiError("InternalError", `Internal error occurred: ${why}`, { causes: [{ message: why }] });
  }
  return patch(r, r.object, def, answer.patch) ? "changed" : "kept";
}

/** In the kind that the webhook knows; what the schema has no place for is dropped. Whether anything has changed. */
function patch(r: AdmissionRequest, object: ApiObject, def: ResourceDef, operations: readonly unknown[]): boolean {
  const before = deepClone(object);
  try {
    const { object: shown } = shownAs(def, r);
    replace(object, unshown(def, r, object, applyJsonPatch(shown, operations)));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ApiError("InternalError", `Internal error occurred: ${why}`, { causes: [{ message: why }] });
  }
  if (r.def.subresources[r.subresource]?.type === "part" || r.subresource === "") policyOf(r.def).setDefaults?.(object);
  return !semanticEqual(before, object);
}

/** Everything that holds the object sees the new state. */
function replace(object: ApiObject, next: ApiObject): void {
  const target = object as unknown as Record<string, unknown>;
  for (const key of Object.keys(target)) delete target[key];
  Object.assign(target, next);
}

/** All at once; the first refusal in their order is the answer. */
export function validatingWebhook(o: WebhookOptions): AdmissionPlugin {
  return {
    name: "ValidatingAdmissionWebhook",
    validate(r, view) {
      if (isExempt(r)) return;
      const hooks = [...view.list(validatingWebhookConfigurations)].flatMap((c) => c.webhooks ?? []);
      const wanted = hooks.flatMap((hook) => {
        const def = interest(hook, r, view, o);
        return def ? [{ hook, def }] : [];
      });
      if (wanted.length === 0) return;
      return validate(wanted.map(({ hook, def }) => ask(hook, r, def, { ...o, view, mutating: false })));
    },
  };
}

async function validate(questions: readonly Promise<unknown>[]): Promise<void> {
  const outcomes = await Promise.allSettled(questions);
  const refused = outcomes.find((outcome) => outcome.status === "rejected");
  if (refused) throw refused.reason;
}
