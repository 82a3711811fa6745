/** Who somebody is: asked, answered and forgotten. */
import type { SelfSubjectReview, TokenReview } from "../../generated/types.ts";
import type { ResourceDef } from "../../resource.ts";
import { NAME } from "../columns.ts";

const review = {
  group: "authentication.k8s.io",
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

export const tokenReviews: ResourceDef<TokenReview> = {
  ...review,
  kind: "TokenReview",
  plural: "tokenreviews",
  singular: "tokenreview",
  schema: "TokenReview",
};

export const selfSubjectReviews: ResourceDef<SelfSubjectReview> = {
  ...review,
  kind: "SelfSubjectReview",
  plural: "selfsubjectreviews",
  singular: "selfsubjectreview",
  schema: "SelfSubjectReview",
};
