import { semanticEqual } from "../../equal.ts";
import type { PodTemplate } from "../../generated/types.ts";
import type { ResourceDef } from "../../resource.ts";
import { validatePodTemplate } from "../../validation/pod-template.ts";
import { NAME } from "../columns.ts";
import { containerColumns, defaultPodTemplate, labelsText, orNone } from "../pod-template.ts";

/** Nobody reports on a PodTemplate, but its generation is counted all the same. */
export const podTemplates: ResourceDef<PodTemplate> = {
  group: "",
  version: "v1",
  kind: "PodTemplate",
  plural: "podtemplates",
  singular: "podtemplate",
  shortNames: [],
  categories: [],
  namespaced: true,
  schema: "PodTemplate",
  setDefaults: (o) => defaultPodTemplate((o.template ??= {})),
  prepareForCreate(o) {
    o.metadata.generation = 1;
  },
  prepareForUpdate(next, old) {
    if (!semanticEqual(next.template, old.template)) next.metadata.generation = (old.metadata.generation ?? 0) + 1;
  },
  validate: (next) => validatePodTemplate(next.template, "template"),
  subresources: {},
  selectableFields: {},
  columns: [
    NAME,
    ...containerColumns<PodTemplate>((o) => o.template),
    {
      name: "Pod Labels",
      type: "string",
      description: "The labels for the pod template.",
      cell: (o) => orNone(labelsText(o.template?.metadata?.labels)),
    },
  ],
};
