/** Which FlowSchema a request falls under, and which flow of it: whose requests are to be fair to those of others. Pure. */
import type {
  FlowcontrolV1Subject,
  FlowSchema,
  NonResourcePolicyRule,
  PolicyRulesWithSubjects,
  ResourcePolicyRule,
} from "../../api/generated/types.ts";
import { nameOf } from "../../api/object.ts";
import { type Attributes, serviceAccountUser, type User } from "../../api/rbac/attributes.ts";
import type { DeepReadonly } from "../../util/types.ts";

type Schema = DeepReadonly<FlowSchema>;
type Rule = DeepReadonly<PolicyRulesWithSubjects>;

const ALL = "*";
const has = (list: readonly string[] | undefined, value: string) =>
  list !== undefined && (list.includes(value) || list.includes(ALL));

/** The order in which they are tried. */
export function byPrecedence(a: Schema, b: Schema): number {
  const precedence = (s: Schema) => s.spec?.matchingPrecedence ?? 0;
  return precedence(a) - precedence(b) || (nameOf(a) < nameOf(b) ? -1 : 1);
}

export function matchesSchema(schema: Schema, a: Attributes): boolean {
  return (schema.spec?.rules ?? []).some((rule) => speaksOf(rule, a.user) && matchesRequest(rule, a));
}

/** Whether it can match any request of this user. */
export function isFor(schema: Schema, user: User): boolean {
  return (schema.spec?.rules ?? []).some((rule) => speaksOf(rule, user));
}

function speaksOf({ subjects }: Rule, user: User): boolean {
  return subjects.some((s) => isSubject(s, user));
}

function isSubject(s: DeepReadonly<FlowcontrolV1Subject>, user: User): boolean {
  switch (s.kind) {
    case "User":
      return s.user?.name === ALL || s.user?.name === user.name;
    case "Group":
      return s.group?.name === ALL || user.groups.includes(s.group?.name ?? "");
    case "ServiceAccount": {
      const { namespace = "", name = "" } = s.serviceAccount ?? {};
      if (name === ALL) return user.name.startsWith(serviceAccountUser(namespace, ""));
      return user.name === serviceAccountUser(namespace, name);
    }
    default:
      return false;
  }
}

function matchesRequest(rule: Rule, a: Attributes): boolean {
  const { path } = a;
  return path === undefined
    ? (rule.resourceRules ?? []).some((r) => matchesResource(r, a))
    : (rule.nonResourceRules ?? []).some((r) => matchesPath(r, a.verb, path));
}

function matchesResource(r: DeepReadonly<ResourcePolicyRule>, a: Attributes): boolean {
  const resource = a.subresource ? `${a.resource}/${a.subresource}` : a.resource;
  const place = a.namespace === "" ? r.clusterScope === true : has(r.namespaces, a.namespace);
  return place && has(r.verbs, a.verb) && has(r.apiGroups, a.apiGroup) && has(r.resources, resource);
}

function matchesPath(r: DeepReadonly<NonResourcePolicyRule>, verb: string, path: string): boolean {
  if (!has(r.verbs, verb)) return false;
  return r.nonResourceURLs.some(
    (u) => u === ALL || u === path || (u.endsWith("/*") && path.startsWith(u.slice(0, -1))),
  );
}

/** "": all requests of the schema are one flow. */
export function flowOf(schema: Schema, a: Attributes): string {
  const by = schema.spec?.distinguisherMethod?.type;
  if (by === "ByUser") return a.user.name;
  return by === "ByNamespace" ? a.namespace : "";
}
