import { deepEqual } from "../../equal.ts";
import type { ControllerRevision } from "../../generated/types.ts";
import { controllerOf, parseApiVersion } from "../../object.ts";
import type { ResourceDef } from "../../resource.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import { type FieldErrors, IMMUTABLE, invalidValue, notNegative, required } from "../../validation/field.ts";
import { AGE, NAME } from "../columns.ts";

/** A version of what a controller wants, kept to go back to: its data never changes. */
export const controllerRevisions: ResourceDef<ControllerRevision> = {
  group: "apps",
  version: "v1",
  kind: "ControllerRevision",
  plural: "controllerrevisions",
  singular: "controllerrevision",
  shortNames: [],
  categories: [],
  namespaced: true,
  schema: "ControllerRevision",
  setDefaults(o) {
    o.revision ??= 0;
  },
  validate: (next, old) => [
    ...notNegative("revision", next.revision),
    ...(old ? validateUpdate(next, old) : validateData(next.data)),
  ],
  subresources: {},
  selectableFields: {},
  columns: [
    NAME,
    { name: "Controller", type: "string", description: "Controller of the object", cell: controller },
    {
      name: "Revision",
      type: "string",
      description: "The place of this version in the history.",
      cell: (o) => o.revision,
    },
    AGE,
  ],
};

function validateData(data: unknown): FieldErrors {
  if (data === undefined || data === null) return [required("data", "data is mandatory")];
  const isObject = typeof data === "object" && !Array.isArray(data);
  return isObject ? [] : [required("data", "data must be a valid JSON object")];
}

function validateUpdate(next: DeepReadonly<ControllerRevision>, old: DeepReadonly<ControllerRevision>): FieldErrors {
  return deepEqual(next.data, old.data) ? [] : [invalidValue("data", next.data, IMMUTABLE)];
}

function controller(o: DeepReadonly<ControllerRevision>): string {
  const owner = controllerOf(o);
  if (!owner) return "<none>";
  const { group } = parseApiVersion(owner.apiVersion);
  return `${owner.kind.toLowerCase()}${group ? `.${group}` : ""}/${owner.name}`;
}
