/** Who may do what: asked, answered and forgotten. */
import type { DeepReadonly } from "../../../util/types.ts";
import type {
  LocalSubjectAccessReview,
  ObjectMeta,
  ResourceAttributes,
  SelfSubjectAccessReview,
  SelfSubjectRulesReview,
  SubjectAccessReview,
} from "../../generated/types.ts";
import type { ResourceDef } from "../../resource.ts";
import { type FieldErrors, invalidValue, required } from "../../validation/field.ts";
import { NAME } from "../columns.ts";

const review = {
  group: "authorization.k8s.io",
  version: "v1",
  shortNames: [],
  categories: [],
  namespaced: false,
  verbs: ["create"],
  virtual: true,
  subresources: {},
  selectableFields: {},
  columns: [NAME],
} as const;

export const subjectAccessReviews: ResourceDef<SubjectAccessReview> = {
  ...review,
  kind: "SubjectAccessReview",
  plural: "subjectaccessreviews",
  singular: "subjectaccessreview",
  schema: "SubjectAccessReview",
  validate: (o) => [...validateSubjectSpec(o.spec ?? {}), ...validateEmpty(o.metadata)],
};

export const selfSubjectAccessReviews: ResourceDef<SelfSubjectAccessReview> = {
  ...review,
  kind: "SelfSubjectAccessReview",
  plural: "selfsubjectaccessreviews",
  singular: "selfsubjectaccessreview",
  schema: "SelfSubjectAccessReview",
  validate: (o) => [...validateAttributes(o.spec ?? {}), ...validateEmpty(o.metadata)],
};

export const localSubjectAccessReviews: ResourceDef<LocalSubjectAccessReview> = {
  ...review,
  kind: "LocalSubjectAccessReview",
  plural: "localsubjectaccessreviews",
  singular: "localsubjectaccessreview",
  namespaced: true,
  schema: "LocalSubjectAccessReview",
  validate: (o) => [...validateSubjectSpec(o.spec ?? {}), ...validateLocal(o)],
};

export const selfSubjectRulesReviews: ResourceDef<SelfSubjectRulesReview> = {
  ...review,
  kind: "SelfSubjectRulesReview",
  plural: "selfsubjectrulesreviews",
  singular: "selfsubjectrulesreview",
  schema: "SelfSubjectRulesReview",
};

type Spec = DeepReadonly<SubjectAccessReview>["spec"];

function validateSubjectSpec(spec: Spec): FieldErrors {
  const someone = spec.user || spec.groups?.length;
  return [
    ...validateAttributes(spec),
    ...(someone ? [] : [invalidValue("spec.user", spec.user ?? "", "at least one of user or group must be specified")]),
  ];
}

function validateAttributes(spec: Pick<Spec, "resourceAttributes" | "nonResourceAttributes">): FieldErrors {
  const { resourceAttributes: resource, nonResourceAttributes: path } = spec;
  const one = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
  const both = "cannot be specified in combination with resourceAttributes";
  return [
    ...(resource && path ? [invalidValue("spec.nonResourceAttributes", path, both)] : []),
    ...(resource || path ? [] : [invalidValue("spec.resourceAttributes", null, one)]),
    ...validateSelector(resource, "fieldSelector"),
    ...validateSelector(resource, "labelSelector"),
  ];
}

function validateSelector(
  resource: DeepReadonly<ResourceAttributes> | undefined,
  name: "fieldSelector" | "labelSelector",
): FieldErrors {
  const selector = resource?.[name];
  if (!selector) return [];
  const field = `spec.resourceAttributes.${name}`;
  const raw = selector.rawSelector ?? "";
  const some = (selector.requirements ?? []).length > 0;
  if (raw && some) {
    return [invalidValue(`${field}.rawSelector`, raw, "may not specified at the same time as requirements")];
  }
  if (raw || some) return [];
  return [required(`${field}.requirements`, `when ${field} is specified, requirements or rawSelector is required`)];
}

function validateEmpty(metadata: DeepReadonly<ObjectMeta>, but: "" | " except for namespace" = ""): FieldErrors {
  const allowed = new Set(["managedFields", ...(but ? ["namespace"] : [])]);
  const said = Object.entries(metadata).some(
    ([key, value]) => !allowed.has(key) && value !== "" && value !== undefined,
  );
  return said ? [invalidValue("metadata", metadata, `must be empty${but}`)] : [];
}

function validateLocal({ metadata, spec }: DeepReadonly<LocalSubjectAccessReview>): FieldErrors {
  const namespace = spec?.resourceAttributes?.namespace ?? "";
  const other = spec?.resourceAttributes && namespace !== (metadata.namespace ?? "");
  const path = spec?.nonResourceAttributes;
  return [
    ...validateEmpty(metadata, " except for namespace"),
    ...(other ? [invalidValue("spec.resourceAttributes.namespace", namespace, "must match metadata.namespace")] : []),
    ...(path ? [invalidValue("spec.nonResourceAttributes", path, "disallowed on this kind of request")] : []),
  ];
}
