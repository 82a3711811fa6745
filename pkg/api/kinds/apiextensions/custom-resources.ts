/** The kinds that a CustomResourceDefinition adds: one for each version it serves, all of them views of the stored one. */
import { mergeTypeOf } from "../../apply/built-in.ts";
import type { MergeType } from "../../apply/merge-type.ts";
import { deepClone, keep } from "../../equal.ts";
import type { CustomResourceDefinition, CustomResourceDefinitionVersion } from "../../generated/types.ts";
import { type ApiObject, apiVersionOf } from "../../object.ts";
import type { ResourceDef, Subresource, Verb, View } from "../../resource.ts";
import { customSchema } from "../../structural/custom.ts";
import { readSchema } from "../../structural/schema.ts";
import { compareVersions } from "../../versions.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import { customColumns } from "./columns.ts";
import { isTrue } from "./conditions.ts";
import { customScale } from "./scale.ts";
import { selectableFields } from "./selectable.ts";

type Crd = DeepReadonly<CustomResourceDefinition>;
type Version = DeepReadonly<CustomResourceDefinitionVersion>;
type Status = Extract<Subresource<ApiObject>, { type: "part" }>;

/** The names are those that were accepted. Versions are in the order in which clients should prefer them. */
export function customResourceDefs(crd: Crd): ResourceDef[] {
  const stored = crd.spec.versions.find((v) => v.storage);
  if (!stored) return [];
  // Watches find their objects by the stored kind's fields, so it has those of all versions.
  const all = crd.spec.versions.flatMap((v) => v.selectableFields ?? []);
  const storedDef = { ...defOf(crd, stored), selectableFields: selectableFields(all) };
  return crd.spec.versions
    .filter((v) => v.served)
    .toSorted((a, b) => compareVersions(a.name, b.name))
    .map((v) => (v === stored ? storedDef : { ...defOf(crd, v), view: viewOf(storedDef, v.name) }));
}

/** No conversion: versions differ in what they say of an object, not in the object. */
function viewOf(of: ResourceDef, version: string): View {
  const apiVersion = apiVersionOf({ group: of.group, version });
  return {
    of,
    toStored: (o) => ({ ...o, apiVersion: apiVersionOf(of) }),
    fromStored: (o) => ({ ...(o as ApiObject), apiVersion }),
  };
}

function defOf(crd: Crd, v: Version): ResourceDef {
  const { group, scope } = crd.spec;
  const names = crd.status?.acceptedNames?.kind ? crd.status.acceptedNames : crd.spec.names;
  const { kind, plural, singular = kind.toLowerCase(), shortNames = [], categories = [] } = names;
  const { schema } = readSchema(v.schema?.openAPIV3Schema ?? {}, "");
  const custom = customSchema(schema, { group, version: v.name, kind }, METADATA);
  const hasStatus = v.subresources?.status !== undefined && v.subresources.status !== null;
  const scale = v.subresources?.scale;
  return {
    group,
    version: v.name,
    kind,
    plural,
    singular,
    shortNames,
    categories,
    namespaced: scope === "Namespaced",
    schema: openApiName(group, v.name, kind),
    custom,
    ...(v.deprecated && {
      deprecated: v.deprecationWarning ?? `${apiVersionOf({ group, version: v.name })} ${kind} is deprecated`,
    }),
    ...(isTrue(crd, "Terminating") && { verbs: WHILE_TERMINATING }),
    setDefaults: (o) => custom.setDefaults(o),
    validate: (next, old) => custom.validate(next, old),
    ...(hasStatus && { prepareForCreate: dropStatus, prepareForUpdate: keepStatus }),
    subresources: {
      ...(hasStatus && { status: statusPart(custom.validate.bind(custom)) }),
      ...(scale && { scale: customScale(scale) }),
    },
    selectableFields: selectableFields(v.selectableFields ?? []),
    columns: customColumns(v.additionalPrinterColumns),
  };
}

/** How metadata merges, as in every kind. */
const METADATA: MergeType = mergeTypeOf({ schema: "ObjectMeta" });

/** What is going away gets no new objects. */
const WHILE_TERMINATING: readonly Verb[] = ["get", "list", "watch", "update", "patch", "delete", "deletecollection"];

/** `com.example.v1.Widget` */
function openApiName(group: string, version: string, kind: string): string {
  return [...group.split(".").toReversed(), version, kind].join(".");
}

type WithStatus = ApiObject & { status?: unknown };

function dropStatus(o: ApiObject): void {
  delete (o as WithStatus).status;
}

function keepStatus(next: ApiObject, old: DeepReadonly<ApiObject>): void {
  keep<WithStatus>(next, old, "status");
}

function statusPart(validate: NonNullable<Status["validate"]>): Status {
  return {
    type: "part",
    prepareForUpdate(next, old) {
      const { status } = next as WithStatus;
      const { managedFields } = next.metadata;
      for (const key of Object.keys(next)) delete (next as unknown as Record<string, unknown>)[key];
      Object.assign(next, deepClone(old));
      dropStatus(next);
      if (status !== undefined) (next as WithStatus).status = status;
      if (managedFields) next.metadata.managedFields = managedFields;
      else delete next.metadata.managedFields;
    },
    validate,
  };
}
