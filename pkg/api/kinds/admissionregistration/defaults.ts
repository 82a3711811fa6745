/** What webhooks and policies say where their author is silent. */
import type { MatchResources, MutatingWebhook, RuleWithOperations, ValidatingWebhook } from "../../generated/types.ts";

/** Also of webhooks' rules. */
interface Matching {
  matchPolicy?: string;
  namespaceSelector?: object;
  objectSelector?: object;
}

function defaultMatching(m: Matching): void {
  m.matchPolicy ||= "Equivalent";
  m.namespaceSelector ??= {};
  m.objectSelector ??= {};
}

function defaultRules(rules: readonly RuleWithOperations[] | undefined): void {
  for (const r of rules ?? []) r.scope ||= "*";
}

export function defaultMatchResources(m: MatchResources): void {
  defaultMatching(m);
  defaultRules(m.resourceRules);
  defaultRules(m.excludeResourceRules);
}

export function defaultWebhook(h: ValidatingWebhook | MutatingWebhook): void {
  h.failurePolicy ||= "Fail";
  h.timeoutSeconds ??= 10;
  defaultMatching(h);
  defaultRules(h.rules);
  if (h.clientConfig?.service) h.clientConfig.service.port ??= 443;
}
