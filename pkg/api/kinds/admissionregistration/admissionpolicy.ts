/** Rules about writes in CEL, and the bindings that put them into force. */
import { keep } from "../../equal.ts";
import type {
  MatchResources,
  MutatingAdmissionPolicy,
  MutatingAdmissionPolicyBinding,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
} from "../../generated/types.ts";
import { nameOf } from "../../object.ts";
import type { Column, ResourceDef } from "../../resource.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import {
  validateActions,
  validateBinding,
  validateMutatingPolicy,
  validateValidatingPolicy,
} from "../../validation/admission-policy.ts";
import { validateConditions } from "../../validation/conditions.ts";
import { AGE, NAME } from "../columns.ts";
import { statusPart } from "../parts.ts";
import { selectorText } from "../pod-template.ts";
import { defaultMatchResources } from "./defaults.ts";

type Policy = ValidatingAdmissionPolicy | MutatingAdmissionPolicy;
type Binding = ValidatingAdmissionPolicyBinding | MutatingAdmissionPolicyBinding;

const PARAM_KIND = {
  name: "ParamKind",
  type: "string",
  description: "ParamKind specifies the kind of resources used to parameterize this policy",
  cell: ({ spec }) => (spec?.paramKind ? `${spec.paramKind.apiVersion}/${spec.paramKind.kind}` : "<unset>"),
} as const satisfies Column<Policy>;

const BINDING_COLUMNS = [
  NAME,
  {
    name: "PolicyName",
    type: "string",
    description: "PolicyName indicates the policy definition which the policy binding binded to",
    cell: (o) => o.spec?.policyName ?? "",
  },
  {
    name: "ParamRef",
    type: "string",
    description: "ParamRef indicates the param resource which sets the configration param",
    cell: paramRef,
  },
  AGE,
] as const satisfies Column<Binding>[];

export const validatingAdmissionPolicies: ResourceDef<ValidatingAdmissionPolicy> = {
  group: "admissionregistration.k8s.io",
  version: "v1",
  kind: "ValidatingAdmissionPolicy",
  plural: "validatingadmissionpolicies",
  singular: "validatingadmissionpolicy",
  shortNames: [],
  categories: ["api-extensions"],
  namespaced: false,
  generations: true,
  schema: "ValidatingAdmissionPolicy",
  setDefaults: (o) => defaultPolicy((o.spec ??= {})),
  prepareForCreate(o) {
    o.status = {};
  },
  prepareForUpdate: (next, old) => keep(next, old, "status"),
  validate: (next) => validateValidatingPolicy(next.spec ?? {}, nameOf(next)),
  subresources: {
    status: statusPart<ValidatingAdmissionPolicy>((next) =>
      validateConditions(next.status?.conditions, "status.conditions"),
    ),
  },
  selectableFields: {},
  columns: [
    NAME,
    {
      name: "Validations",
      type: "integer",
      description: "Validations indicates the number of validation rules defined in this configuration",
      cell: (o) => o.spec?.validations?.length ?? 0,
    },
    PARAM_KIND,
    AGE,
  ],
};

export const mutatingAdmissionPolicies: ResourceDef<MutatingAdmissionPolicy> = {
  group: "admissionregistration.k8s.io",
  version: "v1",
  kind: "MutatingAdmissionPolicy",
  plural: "mutatingadmissionpolicies",
  singular: "mutatingadmissionpolicy",
  shortNames: [],
  categories: ["api-extensions"],
  namespaced: false,
  generations: true,
  schema: "MutatingAdmissionPolicy",
  setDefaults: (o) => defaultPolicy((o.spec ??= {})),
  validate: (next) => validateMutatingPolicy(next.spec ?? {}),
  subresources: {},
  selectableFields: {},
  columns: [
    NAME,
    {
      name: "Mutations",
      type: "integer",
      description: "Mutation indicates the number of mutations rules defined in this configuration",
      cell: (o) => o.spec?.mutations?.length ?? 0,
    },
    PARAM_KIND,
    AGE,
  ],
};

export const validatingAdmissionPolicyBindings: ResourceDef<ValidatingAdmissionPolicyBinding> = {
  group: "admissionregistration.k8s.io",
  version: "v1",
  kind: "ValidatingAdmissionPolicyBinding",
  plural: "validatingadmissionpolicybindings",
  singular: "validatingadmissionpolicybinding",
  shortNames: [],
  categories: ["api-extensions"],
  namespaced: false,
  generations: true,
  schema: "ValidatingAdmissionPolicyBinding",
  setDefaults(o) {
    o.spec ??= { policyName: "", validationActions: [] };
    defaultBinding(o);
  },
  validate: ({ spec }) => [
    ...validateBinding(spec),
    ...validateActions(spec.validationActions, "spec.validationActions"),
  ],
  subresources: {},
  selectableFields: {},
  columns: BINDING_COLUMNS,
};

export const mutatingAdmissionPolicyBindings: ResourceDef<MutatingAdmissionPolicyBinding> = {
  group: "admissionregistration.k8s.io",
  version: "v1",
  kind: "MutatingAdmissionPolicyBinding",
  plural: "mutatingadmissionpolicybindings",
  singular: "mutatingadmissionpolicybinding",
  shortNames: [],
  categories: ["api-extensions"],
  namespaced: false,
  generations: true,
  schema: "MutatingAdmissionPolicyBinding",
  setDefaults: defaultBinding,
  validate: ({ spec = {} }) => validateBinding(spec),
  subresources: {},
  selectableFields: {},
  columns: BINDING_COLUMNS,
};

function defaultPolicy(spec: { failurePolicy?: string; matchConstraints?: MatchResources }): void {
  spec.failurePolicy ||= "Fail";
  if (spec.matchConstraints) defaultMatchResources(spec.matchConstraints);
}

function defaultBinding({ spec }: Binding): void {
  if (spec?.matchResources) defaultMatchResources(spec.matchResources);
}

/** Whether the parameters have a namespace cannot be told from here. */
function paramRef({ spec }: DeepReadonly<Binding>): string {
  const ref = spec?.paramRef;
  if (ref?.name) return `${ref.namespace || "*"}/${ref.name}`;
  return ref?.selector ? selectorText(ref.selector) : "<unset>";
}
