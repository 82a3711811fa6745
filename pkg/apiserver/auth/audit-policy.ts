/** How much of which request is written down: rules of an audit.k8s.io Policy, of which the first that fits counts. */
import type { Attributes } from "../../api/rbac/attributes.ts";
import type { DeepReadonly } from "../../util/types.ts";

/** Each tells what the one before tells, and more. */
export const LEVELS = ["None", "Metadata", "Request", "RequestResponse"] as const;
export type Level = (typeof LEVELS)[number];

interface AuditRule {
  readonly level: Level;
  readonly users?: readonly string[];
  readonly userGroups?: readonly string[];
  readonly verbs?: readonly string[];
  readonly namespaces?: readonly string[];
  readonly nonResourceURLs?: readonly string[];
  readonly resources?: DeepReadonly<{ group?: string; resources?: string[]; resourceNames?: string[] }[]>;
}

export interface AuditPolicy {
  readonly rules: readonly AuditRule[];
}

/** One level for everything but what only asks whether the server is well. */
export function policyOfLevel(level: Level): AuditPolicy {
  const quiet = ["/healthz*", "/livez*", "/readyz*", "/version*"];
  return { rules: [{ level: "None", nonResourceURLs: quiet }, { level }] };
}

/** Throws Error, with what is wrong. */
export function readPolicy(value: unknown): AuditPolicy {
  const { apiVersion, kind, rules } = (value ?? {}) as Readonly<Record<string, unknown>>;
  if (kind !== "Policy" || apiVersion !== "audit.k8s.io/v1") throw new Error("not a Policy of audit.k8s.io/v1");
  if (!Array.isArray(rules) || rules.length === 0) throw new Error("rules: at least one is needed");
  rules.forEach((rule: Partial<AuditRule> | null, i) => {
    if (LEVELS.every((level) => level !== rule?.level)) {
      throw new Error(`rules[${i}].level: ${JSON.stringify(rule?.level)}: choose ${LEVELS.join(", ")}`);
    }
  });
  return { rules: rules as AuditRule[] };
}

/** `a` undefined: nobody knows who asks, nor for what. */
export function levelFor(policy: AuditPolicy, a: Attributes): Level {
  return policy.rules.find((rule) => fits(rule, a))?.level ?? "None";
}

/** What is not said fits all. */
const among = (words: readonly string[] | undefined, word: string) => !words?.length || words.includes(word);

function fits(rule: AuditRule, a: Attributes): boolean {
  if (!among(rule.users, a.user.name) || !among(rule.verbs, a.verb)) return false;
  if (rule.userGroups?.length && !rule.userGroups.some((g) => a.user.groups.includes(g))) return false;
  if (rule.namespaces?.length || rule.resources?.length) return fitsResource(rule, a);
  if (rule.nonResourceURLs?.length) return a.path !== undefined && fitsPath(rule.nonResourceURLs, a.path);
  return true;
}

function fitsPath(urls: readonly string[], path: string): boolean {
  return urls.some((url) => url === path || (url.endsWith("*") && path.startsWith(url.replace(/\*+$/, ""))));
}

function fitsResource({ namespaces, resources }: AuditRule, a: Attributes): boolean {
  if (a.path !== undefined || !among(namespaces, a.namespace)) return false;
  if (!resources?.length) return true;
  const combined = a.subresource ? `${a.resource}/${a.subresource}` : a.resource;
  const patterns = new Set(["*", combined, `${a.resource}/*`, ...(a.subresource ? [`*/${a.subresource}`] : [])]);
  return resources.some(({ group = "", resources: names, resourceNames }) => {
    if (group !== a.apiGroup && group !== "*") return false;
    if (!names?.length) return true;
    return among(resourceNames, a.name) && names.some((n) => patterns.has(n));
  });
}
