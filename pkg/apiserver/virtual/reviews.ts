/** The answers to reviews: who somebody is and who may do what, as the server itself would decide now. */
import type {
  LocalSubjectAccessReview,
  ResourceAttributes,
  SelfSubjectAccessReview,
  SelfSubjectReview,
  SelfSubjectRulesReview,
  SubjectAccessReview,
  TokenReview,
  UserInfo,
} from "../../api/generated/types.ts";
import type { ApiObject } from "../../api/object.ts";
import { type Attributes, type User, onPath, onResource } from "../../api/rbac/attributes.ts";
import { selfSubjectReviews, tokenReviews } from "../../api/kinds/authentication/reviews.ts";
import {
  localSubjectAccessReviews,
  selfSubjectAccessReviews,
  selfSubjectRulesReviews,
  subjectAccessReviews,
} from "../../api/kinds/authorization/reviews.ts";
import { badRequest, invalid } from "../../api/status.ts";
import { rfc3339 } from "../../util/clock.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { API_AUDIENCES, type Access } from "../auth/access.ts";
import { BadToken } from "../auth/authentication.ts";
import { resourceKey } from "../keys.ts";
import type { VirtualHandler, VirtualRequest } from "../virtual.ts";

/** By {@link resourceKey}. */
export function reviewHandlers(access: Access): ReadonlyMap<string, VirtualHandler> {
  const ofSubject: VirtualHandler = {
    create: (input, r) => reviewAccess(input as SubjectAccessReview, r, access),
  };
  return new Map<string, VirtualHandler>([
    [resourceKey(tokenReviews), { create: (input) => reviewToken(input as TokenReview, access) }],
    [resourceKey(selfSubjectReviews), { create: (_, r) => whoAmI(r) }],
    [resourceKey(subjectAccessReviews), ofSubject],
    [resourceKey(localSubjectAccessReviews), ofSubject],
    [
      resourceKey(selfSubjectAccessReviews),
      { create: (input, r) => reviewOwnAccess(input as SelfSubjectAccessReview, r, access) },
    ],
    [
      resourceKey(selfSubjectRulesReviews),
      { create: (input, r) => ownRules(input as SelfSubjectRulesReview, r, access) },
    ],
  ]);
}

async function reviewToken(o: TokenReview, access: Access): Promise<TokenReview> {
  if (!o.spec.token) throw badRequest("token is required for TokenReview in authentication");
  const audiences = o.spec.audiences?.length ? o.spec.audiences : API_AUDIENCES;
  try {
    const owner = await access.tokenOwner(o.spec.token, audiences);
    const user = userInfo(owner.user);
    return { ...o, status: { authenticated: true, user, audiences: [...owner.audiences] } };
  } catch (error) {
    if (!(error instanceof BadToken)) throw error;
    return { ...o, status: { user: {}, error: error.message } };
  }
}

function whoAmI({ def, context }: VirtualRequest): SelfSubjectReview {
  return {
    apiVersion: `${def.group}/${def.version}`,
    kind: def.kind,
    metadata: { creationTimestamp: rfc3339(context.now) },
    status: { userInfo: userInfo(context.user) },
  };
}

function userInfo({ name, uid, groups, extra }: User): UserInfo {
  return {
    username: name,
    ...(uid && { uid }),
    groups: [...groups],
    ...(extra && { extra: Object.fromEntries(Object.entries(extra).map(([k, v]) => [k, [...v]])) }),
  };
}

async function reviewAccess<T extends SubjectAccessReview | LocalSubjectAccessReview>(
  o: T,
  r: VirtualRequest,
  access: Access,
): Promise<T> {
  check(o, r);
  const { user = "", groups = [], uid, extra } = o.spec;
  return answer(o, { name: user, groups, ...(uid && { uid }), ...(extra && { extra }) }, access);
}

async function reviewOwnAccess(o: SelfSubjectAccessReview, r: VirtualRequest, access: Access): Promise<ApiObject> {
  check(o, r);
  return answer(o, r.context.user, access);
}

function check(o: ApiObject, { def }: VirtualRequest): void {
  const errors = def.validate?.(o) ?? [];
  if (errors.length > 0) throw invalid(def, "", errors);
}

async function answer<T extends SubjectAccessReview | SelfSubjectAccessReview>(
  o: T,
  user: User,
  access: Access,
): Promise<T> {
  const { resourceAttributes, nonResourceAttributes: path } = o.spec;
  const a = resourceAttributes
    ? attributesFrom(user, resourceAttributes)
    : onPath(user, path?.verb ?? "", path?.path ?? "");
  const { allowed, reason } = await access.decide(a);
  return { ...o, status: { allowed, ...(reason && { reason }) } };
}

function attributesFrom(user: User, o: DeepReadonly<ResourceAttributes>): Attributes {
  const { verb = "", group = "", resource = "", subresource = "", namespace = "", name = "", fieldSelector } = o;
  const selector = fieldSelector?.rawSelector ?? equalities(fieldSelector?.requirements ?? []);
  const what = { apiGroup: group, resource, subresource, namespace, name };
  return onResource(user, verb, selector ? { ...what, fieldSelector: selector } : what);
}

/** Those that a field selector can say; to leave out the others only asks for more. */
function equalities(requirements: readonly { key: string; operator: string; values?: readonly string[] }[]): string {
  const equal = requirements.filter((q) => q.operator === "In" && q.values?.length === 1);
  return equal.map((q) => `${q.key}=${(q.values?.[0] ?? "").replace(/[\\,=]/g, "\\$&")}`).join(",");
}

function ownRules(o: SelfSubjectRulesReview, r: VirtualRequest, access: Access): SelfSubjectRulesReview {
  const { namespace } = o.spec;
  if (!namespace) throw badRequest("no namespace on request");
  const { rules, incomplete, error } = access.rulesFor(r.context.user, namespace);
  const onResources = rules.filter((rule) => rule.resources?.length);
  const onPaths = rules.filter((rule) => rule.nonResourceURLs?.length);
  return {
    ...o,
    status: {
      resourceRules: onResources.map(({ verbs, apiGroups, resources, resourceNames }) => ({
        verbs: [...verbs],
        ...(apiGroups && { apiGroups: [...apiGroups] }),
        ...(resources && { resources: [...resources] }),
        ...(resourceNames && { resourceNames: [...resourceNames] }),
      })),
      nonResourceRules: onPaths.map(({ verbs, nonResourceURLs = [] }) => ({
        verbs: [...verbs],
        nonResourceURLs: [...nonResourceURLs],
      })),
      incomplete,
      ...(error && { evaluationError: error }),
    },
  };
}
