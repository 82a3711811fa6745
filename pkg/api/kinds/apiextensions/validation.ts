/** What a CustomResourceDefinition must be, in Kubernetes' words. Its schemas are checked in api/structural. */
import { dns1035Label, dnsSubdomain, type NameCheck } from "../../names.ts";
import type {
  CustomResourceConversion,
  CustomResourceDefinition,
  CustomResourceDefinitionNames,
  CustomResourceDefinitionVersion,
} from "../../generated/types.ts";
import { semanticEqual } from "../../equal.ts";
import { checkSchema } from "../../structural/check.ts";
import { readSchema, type Schema } from "../../structural/schema.ts";
import type { FieldError } from "../../status.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import { each, type FieldErrors, forbidden, IMMUTABLE, invalidValue, oneOf, required } from "../../validation/field.ts";
import { isTrue } from "./conditions.ts";
import { validateColumns, validateSelectableFields, validateSubresources } from "./validation-views.ts";

type Crd = DeepReadonly<CustomResourceDefinition>;
type Version = DeepReadonly<CustomResourceDefinitionVersion>;

export function validateCrd(next: Crd, old?: Crd): FieldErrors {
  const { spec } = next;
  const name = next.metadata.name ?? "";
  const wanted = `${spec.names?.plural ?? ""}.${spec.group ?? ""}`;
  return [
    ...(name === wanted ? [] : [invalidValue("metadata.name", name, 'must be spec.names.plural+"."+spec.group')]),
    ...validateSpec(spec, old?.spec),
    ...(old ? validateUpdate(next, old) : []),
    ...validateStored(next),
    ...validateApproval(next, old),
    ...(spec.preserveUnknownFields && !old?.spec.preserveUnknownFields
      ? [
          invalidValue(
            "spec.preserveUnknownFields",
            true,
            "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead",
          ),
        ]
      : []),
  ];
}

function validateSpec(spec: Crd["spec"], old: Crd["spec"] | undefined): FieldErrors {
  const versions = spec.versions ?? [];
  const names = versions.map((v) => v.name);
  const storage = versions.filter((v) => v.storage).length;
  const ofAll = (why: string) => invalidValue("spec.versions", versions, why);
  return [
    ...validateGroup(spec.group),
    ...oneOf("spec.scope", spec.scope, ["Cluster", "Namespaced"]),
    ...each("spec.versions", versions, (v, at) =>
      validateVersion(
        v,
        at,
        old?.versions.find((o) => o.name === v.name),
      ),
    ),
    ...(new Set(names).size < names.length ? [ofAll("must contain unique version names")] : []),
    ...(storage === 1 ? [] : [ofAll("must have exactly one version marked as storage version")]),
    ...(["plural", "singular", "kind", "listKind"] as const).flatMap((f) =>
      spec.names?.[f] ? [] : [required(`spec.names.${f}`)],
    ),
    ...(spec.names ? validateNames(spec.names, "spec.names") : []),
    ...(spec.conversion ? validateConversion(spec.conversion) : []),
  ];
}

function validateGroup(group: string | undefined): FieldErrors {
  if (!group) return [required("spec.group")];
  const errors = dnsSubdomain(group);
  if (errors.length > 0) return [invalidValue("spec.group", group, errors.join(","))];
  return group.includes(".") ? [] : [invalidValue("spec.group", group, "should be a domain with at least one dot")];
}

function validateVersion(v: Version, at: string, old: Version | undefined): FieldErrors {
  const { schema, errors } = validateSchema(v, at, old);
  return [
    ...joined(`${at}.name`, v.name ?? "", dns1035Label),
    ...validateDeprecation(v, at),
    ...errors,
    ...validateSubresources(v.subresources, `${at}.subresources`),
    ...each(`${at}.additionalPrinterColumns`, v.additionalPrinterColumns, validateColumns),
    ...(schema ? validateSelectableFields(v.selectableFields ?? [], schema, `${at}.selectableFields`) : []),
  ];
}

/** At the root of a schema with a status of its own: whatever is said beside the fields would not hold for status alone. */
const NOT_AT_ROOT: readonly (keyof Schema)[] = [
  "$ref",
  "$schema",
  "id",
  "additionalItems",
  "allOf",
  "anyOf",
  "default",
  "definitions",
  "dependencies",
  "enum",
  "maxProperties",
  "minProperties",
  "not",
  "oneOf",
  "patternProperties",
  "x-kubernetes-embedded-resource",
  "x-kubernetes-int-or-string",
  "x-kubernetes-list-map-keys",
  "x-kubernetes-list-type",
  "x-kubernetes-map-type",
];
const AT_ROOT =
  "only [Description Type Format Title Maximum ExclusiveMaximum Minimum ExclusiveMinimum MaxLength MinLength Pattern MaxItems MinItems UniqueItems MultipleOf Required Items Properties ExternalDocs Example XPreserveUnknownFields XValidations] fields are allowed at the root of the schema if the status subresource is enabled";

function validateSchema(v: Version, at: string, old?: Version): { schema?: Schema; errors: FieldErrors } {
  const props = v.schema?.openAPIV3Schema;
  if (!props) return { errors: [required(`${at}.schema.openAPIV3Schema`)] };
  const path = `${at}.schema.openAPIV3Schema`;
  const { schema, errors } = readSchema(props, path);
  // A schema that has been accepted stays so: an upgrade must not make its CRD unwritable.
  if (semanticEqual(props, old?.schema?.openAPIV3Schema)) return { schema, errors: [] };
  if (errors.length > 0) return { errors };
  const root: FieldError[] = [];
  if (schema.nullable) root.push(forbidden(`${path}.nullable`, "nullable cannot be true at the root"));
  if (v.subresources?.status !== undefined && NOT_AT_ROOT.some((f) => schema[f])) {
    root.push(invalidValue(path, props, AT_ROOT));
  }
  return { schema, errors: [...root, ...checkSchema(schema, path)] };
}

function validateDeprecation({ deprecated, deprecationWarning: text }: Version, at: string): FieldErrors {
  if (text === undefined) return [];
  const errors = [
    ...(deprecated ? [] : ["can only be set for deprecated versions"]),
    ...(text.length > 256 ? ["must be <= 256 characters long"] : []),
    ...(text === "" ? ["must not be an empty string"] : []),
    ...(/\p{C}/u.test(text) ? [unprintable(text)] : []),
  ];
  return errors.map((why) => invalidValue(`${at}.deprecationWarning`, text, why));
}

const unprintable = (text: string) =>
  `must only contain printable UTF-8 characters; non-printable character found at index ${text.search(/\p{C}/u)}`;

/** All that is wrong with a name is one error. */
function joined(field: string, value: string, check: NameCheck, prefix = ""): FieldErrors {
  const errors = check(value);
  return errors.length > 0 ? [invalidValue(field, value, prefix + errors.join(","))] : [];
}

function validateNames(names: DeepReadonly<CustomResourceDefinitionNames>, at: string): FieldErrors {
  const { plural, singular, kind, listKind, shortNames, categories } = names;
  const label = (field: string, value: string | undefined) =>
    value ? joined(`${at}.${field}`, value, dns1035Label) : [];
  const kindName = (field: string, value: string | undefined) => {
    const errors = value ? dns1035Label(value.toLowerCase()) : [];
    const why = `may have mixed case, but should otherwise match: ${errors.join(",")}`;
    return errors.length > 0 ? [invalidValue(`${at}.${field}`, value, why)] : [];
  };
  return [
    ...label("plural", plural),
    ...label("singular", singular),
    ...kindName("kind", kind),
    ...kindName("listKind", listKind),
    ...each(`${at}.shortNames`, shortNames, (n, field) => joined(field, n, dns1035Label)),
    ...(kind && kind === listKind
      ? [invalidValue(`${at}.listKind`, listKind, "kind and listKind may not be the same")]
      : []),
    ...each(`${at}.categories`, categories, (n, field) => joined(field, n, dns1035Label)),
  ];
}

function validateConversion(c: DeepReadonly<CustomResourceConversion>): FieldErrors {
  const at = "spec.conversion";
  const strategy = oneOf(`${at}.strategy`, c.strategy, ["None", "Webhook"]);
  const config = c.webhook?.clientConfig;
  if (c.strategy !== "Webhook") {
    const why = "should not be set when strategy is not set to Webhook";
    return [...strategy, ...(c.webhook ? [forbidden(`${at}.webhookClientConfig`, why)] : [])];
  }
  const versions = c.webhook?.conversionReviewVersions ?? [];
  const field = `${at}.webhookClientConfig`;
  return [
    ...strategy,
    ...(config ? [] : [required(field, "required when strategy is set to Webhook")]),
    ...(config && (config.url === undefined) === (config.service === undefined)
      ? [required(field, "exactly one of url or service is required")]
      : []),
    ...(versions.length === 0 ? [required(`${at}.conversionReviewVersions`)] : []),
    ...(versions.length > 0 && !versions.some((v) => v === "v1" || v === "v1beta1")
      ? [invalidValue(`${at}.conversionReviewVersions`, versions, "must include at least one of v1, v1beta1")]
      : []),
  ];
}

function validateUpdate(next: Crd, old: Crd): FieldErrors {
  const fixed: [string, unknown, unknown][] = [
    ...(isTrue(old, "Established")
      ? ([
          ["spec.scope", next.spec.scope, old.spec.scope],
          ["spec.names.kind", next.spec.names.kind, old.spec.names.kind],
        ] as [string, unknown, unknown][])
      : []),
    ["spec.group", next.spec.group, old.spec.group],
    ["spec.names.plural", next.spec.names.plural, old.spec.names.plural],
  ];
  return fixed.flatMap(([field, now, before]) => (now === before ? [] : [invalidValue(field, now, IMMUTABLE)]));
}

function validateStored(crd: Crd): FieldErrors {
  const field = "status.storedVersions";
  const stored = crd.status?.storedVersions ?? [];
  const versions = crd.spec.versions ?? [];
  if (stored.length === 0) return [invalidValue(field, stored, "must have at least one stored version")];
  const gone = stored.filter((name) => !versions.some((v) => v.name === name));
  return gone.map((name) =>
    invalidValue(
      `${field}[${stored.indexOf(name)}]`,
      name,
      `missing from spec.versions; ${name} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in ${name} and removes ${name} from status.storedVersions`,
    ),
  );
}

const APPROVAL = "api-approved.kubernetes.io";

/** Kubernetes' own groups are not anybody's. */
function validateApproval(next: Crd, old?: Crd): FieldErrors {
  const group = next.spec.group ?? "";
  const approval = next.metadata.annotations?.[APPROVAL];
  if (!/(^|\.)(k8s|kubernetes)\.io$/.test(group) || (old && old.metadata.annotations?.[APPROVAL] === approval))
    return [];
  const field = `metadata.annotations[${APPROVAL}]`;
  if (approval === undefined) {
    return [
      required(
        field,
        'protected groups must have approval annotation "api-approved.kubernetes.io", see https://github.com/kubernetes/enhancements/pull/1111',
      ),
    ];
  }
  if (approval.startsWith("unapproved") || URL.canParse(approval)) return [];
  const why = `protected groups must have approval annotation "${APPROVAL}" with either a URL or a reason starting with "unapproved", see https://github.com/kubernetes/enhancements/pull/1111`;
  return [invalidValue(field, approval, why)];
}
