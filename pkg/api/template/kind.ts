/**
 * Templates (`mini-kube.io/v1`), a kind of our own: text in a ConfigMap or Secret that follows other objects of its
 * namespace. Defined like any custom kind, so that it is explained, validated and printed like one.
 */
import type { CustomResourceDefinition, JSONSchemaProps } from "../generated/types.ts";
import type { ApiObject } from "../object.ts";
import type { ResourceRef } from "../resource.ts";

export interface TemplateWatch {
  /** `services`, `endpointslices.discovery.k8s.io`: PLURAL or PLURAL.GROUP. */
  resource: string;
  /** What the template calls the list; default: the plural. */
  as?: string;
  labels?: Record<string, string>;
}

export interface TemplateCondition {
  type: string;
  status: "True" | "False";
  reason: string;
  message: string;
  lastTransitionTime?: string;
  observedGeneration?: number;
}

export interface TemplateObject extends ApiObject {
  spec: {
    watch?: TemplateWatch[];
    values?: Record<string, string>;
    output: { kind?: "ConfigMap" | "Secret"; name: string };
    data: Record<string, string>;
  };
  status?: { observedGeneration?: number; renderedAt?: string; conditions?: TemplateCondition[] };
}

export const templates: ResourceRef<TemplateObject> = {
  group: "mini-kube.io",
  version: "v1",
  kind: "Template",
  plural: "templates",
  namespaced: true,
};

/** `endpointslices.discovery.k8s.io` → its plural and its group. */
export function splitResource(resource: string): { plural: string; group: string } {
  const dot = resource.indexOf(".");
  return dot < 0 ? { plural: resource, group: "" } : { plural: resource.slice(0, dot), group: resource.slice(dot + 1) };
}

const text = (description: string, more: JSONSchemaProps = {}): JSONSchemaProps => ({
  type: "string",
  description,
  ...more,
});
const object = (description: string, properties: Record<string, JSONSchemaProps>, required: string[] = []) => ({
  type: "object",
  description,
  properties,
  ...(required.length > 0 && { required }),
});
const map = (description: string, maxProperties: number): JSONSchemaProps => ({
  type: "object",
  description,
  maxProperties,
  additionalProperties: { type: "string" },
});

const WATCH = object(
  "",
  {
    resource: text(
      "PLURAL or PLURAL.GROUP: services, endpointslices.discovery.k8s.io. Of the Template's own namespace.",
      {
        pattern: "^[a-z0-9-]+(\\.[a-z0-9.-]+)?$",
      },
    ),
    as: text("What the template calls the list. Default: the plural.", { pattern: "^[A-Za-z_][A-Za-z0-9_]*$" }),
    labels: map("Only objects with these labels.", 32),
  },
  ["resource"],
);

const SPEC = object(
  "",
  {
    watch: {
      type: "array",
      maxItems: 16,
      description:
        "The objects that the templates see, as lists in the order of their names. Secrets only where the output is a Secret.",
      items: WATCH,
    },
    values: map("Values of its own, as values.KEY.", 256),
    output: object(
      "What is written. Made by the Template, and gone with it.",
      {
        kind: text("ConfigMap or Secret.", { enum: ["ConfigMap", "Secret"], default: "ConfigMap" }),
        name: text("Its name.", { minLength: 1, maxLength: 253 }),
      },
      ["name"],
    ),
    data: {
      ...map(
        "Key of the output → its template, in the Liquid language. With an error in one of them all stay as they were.",
        64,
      ),
      minProperties: 1,
    },
  },
  ["output", "data"],
);

const CONDITION = object(
  "",
  {
    type: text("Ready: what is in the output is what the template makes of the objects there are."),
    status: text("True or False."),
    reason: text("Rendered, TemplateError, OutputConflict, UnknownResource or SecretsRefused."),
    message: text("Of an error, with key, line and column."),
    lastTransitionTime: text("When the status changed.", { format: "date-time" }),
    observedGeneration: { type: "integer", format: "int64" },
  },
  ["type", "status"],
);

const STATUS = object("", {
  observedGeneration: { type: "integer", format: "int64", description: "Of the spec that this status is of." },
  renderedAt: text("When the output last changed.", { format: "date-time" }),
  conditions: {
    type: "array",
    items: CONDITION,
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["type"],
  },
});

const SCHEMA = object(
  "Text in a ConfigMap or Secret that follows other objects of its namespace. Pods that mount it read the new text; those with an annotation reload.mini-kube.io/CONTAINER run that command when it has changed.",
  { spec: SPEC, status: STATUS },
  ["spec"],
);

export const templateDefinition: CustomResourceDefinition = {
  metadata: { name: "templates.mini-kube.io" },
  spec: {
    group: templates.group,
    scope: "Namespaced",
    names: {
      kind: "Template",
      listKind: "TemplateList",
      plural: "templates",
      singular: "template",
      shortNames: ["tmpl"],
    },
    versions: [
      {
        name: "v1",
        served: true,
        storage: true,
        subresources: { status: {} },
        additionalPrinterColumns: [
          { name: "Output", type: "string", jsonPath: ".spec.output.name" },
          { name: "Ready", type: "string", jsonPath: ".status.conditions[?(@.type=='Ready')].status" },
          { name: "Rendered", type: "date", jsonPath: ".status.renderedAt" },
          { name: "Reason", type: "string", priority: 1, jsonPath: ".status.conditions[?(@.type=='Ready')].reason" },
          { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
        ],
        schema: { openAPIV3Schema: SCHEMA },
      },
    ],
  },
};
