/** Namespaces: deleted only when the namespace controller has emptied them and removed its spec finalizer. */
import { deepClone, keep } from "../../equal.ts";
import type { Namespace } from "../../generated/types.ts";
import { dnsLabel } from "../../names.ts";
import type { ResourceDef } from "../../resource.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import { type FieldErrors, invalidValue } from "../../validation/field.ts";
import { validateFinalizers } from "../../validation/meta.ts";
import { AGE, NAME } from "../columns.ts";

/** So that label selectors can name a namespace. */
const NAME_LABEL = "kubernetes.io/metadata.name";
const FINALIZER = "kubernetes";

export const namespaces: ResourceDef<Namespace> = {
  group: "",
  version: "v1",
  kind: "Namespace",
  plural: "namespaces",
  singular: "namespace",
  shortNames: ["ns"],
  categories: [],
  namespaced: false,
  generations: false,
  schema: "Namespace",
  validateName: dnsLabel,
  setDefaults: labelWithName,
  prepareForCreate(o) {
    labelWithName(o);
    const finalizers = o.spec?.finalizers ?? [];
    o.spec = { ...o.spec, finalizers: finalizers.includes(FINALIZER) ? finalizers : [...finalizers, FINALIZER] };
    o.status = { phase: "Active" };
  },
  prepareForUpdate(next, old) {
    keep(next, old, "spec");
    keep(next, old, "status");
  },
  validate: (next) => validateFinalizers(next.spec?.finalizers ?? [], "spec.finalizers"),
  heldBack: (o) => (o.spec?.finalizers ?? []).length > 0,
  prepareForDelete(o) {
    o.status = { ...o.status, phase: "Terminating" };
  },
  subresources: {
    status: {
      type: "part",
      prepareForUpdate: (next, old) => keep(next, old, "spec"),
      validate: validatePhase,
    },
    finalize: {
      type: "action",
      verb: "update",
      input: { group: "", version: "v1", kind: "Namespace", schema: "Namespace" },
      apply(target, input) {
        const finalizers = (input as Namespace).spec?.finalizers ?? [];
        target.spec = { ...target.spec, finalizers: deepClone(finalizers) };
      },
      answer: "object",
    },
  },
  selectableFields: { "status.phase": (o) => o.status?.phase ?? "" },
  columns: [
    NAME,
    { name: "Status", type: "string", description: "The status of the namespace", cell: (o) => o.status?.phase ?? "" },
    AGE,
  ],
};

function labelWithName(o: Namespace): void {
  if (o.metadata.name) o.metadata.labels = { ...o.metadata.labels, [NAME_LABEL]: o.metadata.name };
}

function validatePhase(next: DeepReadonly<Namespace>): FieldErrors {
  const deleted = next.metadata.deletionTimestamp !== undefined;
  const phase = next.status?.phase ?? "";
  if (!deleted && phase !== "Active") {
    return [invalidValue("status.Phase", phase, "may only be 'Active' if `deletionTimestamp` is empty")];
  }
  if (deleted && phase !== "Terminating") {
    return [invalidValue("status.Phase", phase, "may only be 'Terminating' if `deletionTimestamp` is not empty")];
  }
  return [];
}
