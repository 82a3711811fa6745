/** Which requests are one flow, and at which level they are served (pkg/apiserver/flow). */
import { keep } from "../../equal.ts";
import type { FlowSchema, PolicyRulesWithSubjects } from "../../generated/types.ts";
import { dnsSubdomain } from "../../names.ts";
import type { ResourceDef } from "../../resource.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import { checkedRequired, each, type FieldErrors, invalidValue, oneOf, required } from "../../validation/field.ts";
import { AGE, NAME } from "../columns.ts";
import { statusPart } from "../parts.ts";

const MAX_PRECEDENCE = 10_000;

export const flowSchemas: ResourceDef<FlowSchema> = {
  group: "flowcontrol.apiserver.k8s.io",
  version: "v1",
  kind: "FlowSchema",
  plural: "flowschemas",
  singular: "flowschema",
  shortNames: [],
  categories: [],
  namespaced: false,
  schema: "FlowSchema",
  setDefaults(o) {
    o.spec ??= { priorityLevelConfiguration: { name: "" } };
    o.spec.matchingPrecedence ||= 1000;
  },
  prepareForCreate(o) {
    o.status = {};
  },
  prepareForUpdate: (next, old) => keep(next, old, "status"),
  validate,
  subresources: { status: statusPart() },
  selectableFields: {},
  columns: [
    NAME,
    { name: "PriorityLevel", type: "string", cell: (o) => o.spec?.priorityLevelConfiguration?.name ?? "" },
    { name: "MatchingPrecedence", type: "string", cell: (o) => o.spec?.matchingPrecedence ?? 0 },
    { name: "DistinguisherMethod", type: "string", cell: (o) => o.spec?.distinguisherMethod?.type ?? "<none>" },
    AGE,
    {
      name: "MissingPL",
      type: "string",
      description: "references a broken or non-existent PriorityLevelConfiguration",
      cell: (o) => o.status?.conditions?.find((c) => c.type === "Dangling")?.status ?? "?",
    },
  ],
};

function validate({ spec }: DeepReadonly<FlowSchema>): FieldErrors {
  const precedence = spec?.matchingPrecedence ?? 0;
  const method = spec?.distinguisherMethod;
  return [
    ...(precedence < 1
      ? [invalidValue("spec.matchingPrecedence", precedence, "must be a positive value")]
      : precedence > MAX_PRECEDENCE
        ? [invalidValue("spec.matchingPrecedence", precedence, `must not be greater than ${MAX_PRECEDENCE}`)]
        : []),
    ...(method ? oneOf("spec.distinguisherMethod.type", method.type, ["ByNamespace", "ByUser"]) : []),
    ...checkedRequired("spec.priorityLevelConfiguration.name", spec?.priorityLevelConfiguration?.name, dnsSubdomain),
    ...each("spec.rules", spec?.rules, validateRule),
  ];
}

function validateRule(r: DeepReadonly<PolicyRulesWithSubjects>, at: string): FieldErrors {
  const any = (r.resourceRules?.length ?? 0) + (r.nonResourceRules?.length ?? 0) > 0;
  return [
    ...(r.subjects?.length ? [] : [required(`${at}.subjects`, "subjects must contain at least one value")]),
    ...each(`${at}.subjects`, r.subjects, (s, i) => oneOf(`${i}.kind`, s.kind, ["Group", "ServiceAccount", "User"])),
    ...(any ? [] : [required(at, "at least one of resourceRules and nonResourceRules has to be non-empty")]),
  ];
}
