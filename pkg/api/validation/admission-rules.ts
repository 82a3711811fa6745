/** What webhooks and admission policies say of the requests they are asked about. */
import type { DeepReadonly } from "../../util/types.ts";
import type {
  MatchCondition,
  MatchResources,
  NamedRuleWithOperations,
  ParamKind,
  ParamRef,
  RuleWithOperations,
} from "../generated/types.ts";
import { dns1035Label, dnsSubdomain, qualifiedName } from "../names.ts";
import { pathSegment } from "./domain.ts";
import {
  checked,
  checkedRequired,
  each,
  type FieldErrors,
  forbidden,
  invalidValue,
  oneOf,
  required,
  tooMany,
  unique,
} from "./field.ts";
import { validateLabelSelector } from "./selector.ts";

type Rule = DeepReadonly<RuleWithOperations>;

const OPERATIONS = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
const SCOPES = ["*", "Cluster", "Namespaced"];
const MAX_CONDITIONS = 64;

export const FAILURE_POLICIES = ["Fail", "Ignore"];
export const MATCH_POLICIES = ["Equivalent", "Exact"];
export const REINVOCATION_POLICIES = ["IfNeeded", "Never"];

/** Some list that names everything names nothing else. */
const WILDCARD_ALONE = [
  ["operations", "operations"],
  ["apiGroups", "API groups"],
  ["apiVersions", "API versions"],
] as const;

export function validateRule(r: Rule, at: string): FieldErrors {
  return [
    ...WILDCARD_ALONE.flatMap(([key, words]) => {
      const list = r[key] ?? [];
      if (!list.length) return [required(`${at}.${key}`)];
      const why = `if '*' is present, must not specify other ${words}`;
      return list.length > 1 && list.includes("*") ? [invalidValue(`${at}.${key}`, list, why)] : [];
    }),
    ...each(`${at}.operations`, r.operations, (o, i) => oneOf(i, o, OPERATIONS)),
    ...each(`${at}.apiVersions`, r.apiVersions, (v, i) => (v ? [] : [required(i)])),
    ...validateResources(r.resources ?? [], `${at}.resources`),
    ...(r.scope === undefined ? [] : oneOf(`${at}.scope`, r.scope, SCOPES)),
  ];
}

function validateResources(list: readonly string[], field: string): FieldErrors {
  if (!list.length) return [required(field)];
  const plain = list.some((r) => r !== "" && r !== "*" && !r.includes("/"));
  return [
    ...each(field, list, (r, at, i) => (r ? validateCovered(r, list.slice(0, i), at) : [required(at)])),
    ...(list.length > 1 && list.includes("*/*")
      ? [invalidValue(field, list, "if '*/*' is present, must not specify other resources")]
      : []),
    ...(list.includes("*") && plain
      ? [invalidValue(field, list, "if '*' is present, must not specify other resources without subresources")]
      : []),
  ];
}

/** `pods/log` says nothing new after `pods/*` or `*\/log`. */
function validateCovered(r: string, before: readonly string[], at: string): FieldErrors {
  const slash = r.indexOf("/");
  if (slash < 0) return [];
  const covering = [`${r.slice(0, slash)}/*`, `*/${r.slice(slash + 1)}`];
  return covering
    .filter((c) => before.includes(c))
    .map((c) => invalidValue(at, r, `if '${c}' is present, must not specify ${r}`));
}

function validateNamedRule(r: DeepReadonly<NamedRuleWithOperations>, at: string): FieldErrors {
  return [
    ...each(`${at}.resourceNames`, r.resourceNames, (n, i) => checked(i, n, pathSegment)),
    ...unique(`${at}.resourceNames`, r.resourceNames, (n) => n),
    ...validateRule(r, at),
  ];
}

export function validateMatchResources(m: DeepReadonly<MatchResources> | undefined, at: string): FieldErrors {
  if (!m) return [];
  return [
    ...oneOf(`${at}.matchPolicy`, m.matchPolicy, MATCH_POLICIES),
    ...validateLabelSelector(m.namespaceSelector, `${at}.namespaceSelector`),
    ...validateLabelSelector(m.objectSelector, `${at}.objectSelector`),
    ...each(`${at}.resourceRules`, m.resourceRules, validateNamedRule),
    ...each(`${at}.excludeResourceRules`, m.excludeResourceRules, validateNamedRule),
  ];
}

/** Whether the expressions compile is for the one who evaluates them to say. */
export function validateMatchConditions(
  list: readonly DeepReadonly<MatchCondition>[] | undefined,
  field: string,
): FieldErrors {
  const count = list?.length ?? 0;
  return [
    ...(count > MAX_CONDITIONS ? [tooMany(field, count, MAX_CONDITIONS)] : []),
    ...each(field, list, (c, at) => [
      ...(c.expression?.trim() ? [] : [required(`${at}.expression`)]),
      ...checkedRequired(`${at}.name`, c.name, qualifiedName),
    ]),
    ...unique(field, list, (c) => c.name, ".name"),
  ];
}

export function validateParamKind(p: DeepReadonly<ParamKind> | undefined, at: string): FieldErrors {
  if (!p) return [];
  return [
    ...(p.apiVersion ? validateApiVersion(p.apiVersion, `${at}.apiVersion`) : [required(`${at}.apiVersion`)]),
    ...(p.kind
      ? dns1035Label(p.kind.toLowerCase()).map((why) =>
          invalidValue(`${at}.kind`, p.kind, `may have mixed case, but should otherwise match: ${why}`),
        )
      : [required(`${at}.kind`)]),
  ];
}

function validateApiVersion(text: string, field: string): FieldErrors {
  const parts = text.split("/");
  if (parts.length > 2) return [invalidValue(field, text, `unexpected GroupVersion string: ${text}`)];
  const [version = "", group] = parts.toReversed();
  return [
    ...(group ? checked(field, group, dnsSubdomain) : []),
    ...(version ? checked(field, version, dns1035Label) : [invalidValue(field, text, "version must be specified")]),
  ];
}

export function validateParamRef(p: DeepReadonly<ParamRef> | undefined, at: string): FieldErrors {
  if (!p) return [];
  const both = p.name && p.selector;
  return [
    ...(p.name ? checked(`${at}.name`, p.name, pathSegment) : []),
    ...validateLabelSelector(p.selector, `${at}.selector`),
    ...(both
      ? ["name", "selector"].map((f) => forbidden(`${at}.${f}`, "name and selector are mutually exclusive"))
      : []),
    ...(p.name || p.selector ? [] : [required(at, "one of name or selector must be specified")]),
    ...oneOf(`${at}.parameterNotFoundAction`, p.parameterNotFoundAction, ["Deny", "Allow"]),
  ];
}
