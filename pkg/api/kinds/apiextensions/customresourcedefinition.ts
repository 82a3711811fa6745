/** CustomResourceDefinitions: kinds that users add. What one serves is in custom-resources.ts, who serves it in the API server. */
import { deepClone, keep, semanticEqual } from "../../equal.ts";
import type { CustomResourceDefinition } from "../../generated/types.ts";
import type { ResourceDef } from "../../resource.ts";
import { isKnownFormat } from "../../structural/formats.ts";
import { readSchema, someSchema } from "../../structural/schema.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import { rfc3339 } from "../../../util/clock.ts";
import { NAME } from "../columns.ts";
import { setCondition } from "./conditions.ts";
import { validateCrd } from "./validation.ts";

/** Holds a CRD until its objects are gone. */
export const CLEANUP_FINALIZER = "customresourcecleanup.apiextensions.k8s.io";

export const customResourceDefinitions: ResourceDef<CustomResourceDefinition> = {
  group: "apiextensions.k8s.io",
  version: "v1",
  kind: "CustomResourceDefinition",
  plural: "customresourcedefinitions",
  singular: "customresourcedefinition",
  shortNames: ["crd", "crds"],
  categories: ["api-extensions"],
  namespaced: false,
  schema: "CustomResourceDefinition",
  setDefaults,
  prepareForCreate(o) {
    o.status = { storedVersions: storageVersions(o) };
  },
  prepareForUpdate(next, old) {
    keep(next, old, "status");
    rememberStored(next);
  },
  validate: validateCrd,
  prepareForDelete(o, c) {
    const finalizers = o.metadata.finalizers ?? [];
    if (!finalizers.includes(CLEANUP_FINALIZER)) o.metadata.finalizers = [...finalizers, CLEANUP_FINALIZER];
    const reason = "InstanceDeletionInProgress";
    const message = "CustomResource deletion is in progress";
    setCondition(o, { type: "Terminating", status: "True", reason, message }, rfc3339(c.now));
  },
  warnings: (o) => [
    ...unknownFormats(o).map((format) => `unrecognized format ${JSON.stringify(format)}`),
    ...(o.spec.conversion?.strategy === "Webhook" ? [NO_WEBHOOK] : []),
  ],
  subresources: {
    status: {
      type: "part",
      prepareForUpdate(next, old) {
        keep(next, old, "spec");
        const { managedFields } = next.metadata;
        keep(next, old, "metadata");
        if (managedFields) next.metadata.managedFields = managedFields;
      },
    },
  },
  selectableFields: {},
  columns: [
    NAME,
    {
      name: "Created At",
      type: "date",
      description:
        "CreationTimestamp is a timestamp representing the server time when this object was created. It is not guaranteed to be set in happens-before order across separate operations. Clients may not set this value. It is represented in RFC3339 form and is in UTC.",
      cell: (o) => o.metadata.creationTimestamp ?? "",
    },
  ],
};

const NO_WEBHOOK =
  "spec.conversion.webhook: conversion webhooks are not called; versions differ in apiVersion only, as with strategy None";

function unknownFormats(o: DeepReadonly<CustomResourceDefinition>): readonly string[] {
  const found = new Set<string>();
  for (const { schema } of o.spec.versions) {
    someSchema(readSchema(schema?.openAPIV3Schema ?? {}, "").schema, ({ type, format }) => {
      if (format && !isKnownFormat(type, format)) found.add(format);
      return false;
    });
  }
  return [...found];
}

const NOTHING: CustomResourceDefinition["spec"] = {
  group: "",
  names: { kind: "", plural: "" },
  scope: "",
  versions: [],
};

function setDefaults(o: CustomResourceDefinition): void {
  // A client may leave out everything; validation then says what is missing.
  o.spec = { ...deepClone(NOTHING), ...o.spec };
  const { names } = o.spec;
  if (!names.singular) names.singular = (names.kind ?? "").toLowerCase();
  if (!names.listKind && names.kind) names.listKind = `${names.kind}List`;
  o.spec.conversion ??= { strategy: "None" };
  const service = o.spec.conversion.webhook?.clientConfig?.service;
  if (service) service.port ??= 443;
}

function storageVersions(o: CustomResourceDefinition): string[] {
  return o.spec.versions.filter((v) => v.storage).map((v) => v.name);
}

/** A version in which objects may lie in the store stays known until somebody has rewritten them all. */
function rememberStored(o: CustomResourceDefinition): void {
  const stored = o.status?.storedVersions ?? [];
  const all = [...new Set([...stored, ...storageVersions(o)])];
  if (!semanticEqual(all, stored)) o.status = { ...o.status, storedVersions: all };
}
