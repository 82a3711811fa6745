import type { IngressClass, IngressClassParametersReference } from "../../generated/types.ts";
import { dnsLabel, dnsSubdomain } from "../../names.ts";
import type { ResourceDef } from "../../resource.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import { pathSegment, validateDomainPrefixedPath } from "../../validation/domain.ts";
import {
  checked,
  checkedRequired,
  type FieldErrors,
  forbidden,
  IMMUTABLE,
  invalidValue,
  oneOf,
  required,
  tooLong,
} from "../../validation/field.ts";
import { AGE, NAME } from "../columns.ts";

const MAX_CONTROLLER_BYTES = 250;

export const ingressClasses: ResourceDef<IngressClass> = {
  group: "networking.k8s.io",
  version: "v1",
  kind: "IngressClass",
  plural: "ingressclasses",
  singular: "ingressclass",
  shortNames: [],
  categories: [],
  namespaced: false,
  generations: true,
  schema: "IngressClass",
  setDefaults(o) {
    o.spec ??= {};
    if (o.spec.parameters) o.spec.parameters.scope ||= "Cluster";
  },
  validate({ spec = {} }, old) {
    const { controller = "", parameters } = spec;
    return [
      ...(old && old.spec?.controller !== spec.controller
        ? [invalidValue("spec.controller", controller, IMMUTABLE)]
        : []),
      ...(controller.length > MAX_CONTROLLER_BYTES ? [tooLong("spec.controller", MAX_CONTROLLER_BYTES)] : []),
      ...validateDomainPrefixedPath(controller, "spec.controller"),
      ...(parameters ? validateParameters(parameters, "spec.parameters") : []),
    ];
  },
  subresources: {},
  selectableFields: {},
  columns: [
    NAME,
    {
      name: "Controller",
      type: "string",
      description: "Controller that is responsible for handling this class",
      cell: (o) => o.spec?.controller ?? "",
    },
    {
      name: "Parameters",
      type: "string",
      description: "A reference to a resource with additional parameters",
      cell: parameters,
    },
    AGE,
  ],
};

function parameters({ spec }: DeepReadonly<IngressClass>): string {
  const to = spec?.parameters;
  return to ? `${to.kind}${to.apiGroup === undefined ? "" : `.${to.apiGroup}`}/${to.name}` : "<none>";
}

function validateParameters(p: DeepReadonly<IngressClassParametersReference>, at: string): FieldErrors {
  return [
    ...(p.apiGroup === undefined ? [] : checked(`${at}.apiGroup`, p.apiGroup, dnsSubdomain)),
    ...checkedRequired(`${at}.kind`, p.kind, pathSegment),
    ...checkedRequired(`${at}.name`, p.name, pathSegment),
    ...oneOf(`${at}.scope`, p.scope, ["Cluster", "Namespace"]),
    ...validateNamespace(p, `${at}.namespace`),
  ];
}

function validateNamespace(p: DeepReadonly<IngressClassParametersReference>, field: string): FieldErrors {
  if (p.scope === "Cluster" && p.namespace !== undefined) {
    return [forbidden(field, "`parameters.scope` is set to 'Cluster'")];
  }
  if (p.scope !== "Namespace") return [];
  return p.namespace === undefined
    ? [required(field, "`parameters.scope` is set to 'Namespace'")]
    : checked(field, p.namespace, dnsLabel);
}
