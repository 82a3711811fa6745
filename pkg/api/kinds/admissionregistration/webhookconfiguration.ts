/** Who outside is asked about writes: to validate them, or to change them first. */
import type { MutatingWebhookConfiguration, ValidatingWebhookConfiguration } from "../../generated/types.ts";
import type { Column, ResourceDef } from "../../resource.ts";
import { validateWebhooks } from "../../validation/webhook.ts";
import { AGE, NAME } from "../columns.ts";
import { defaultWebhook } from "./defaults.ts";

const WEBHOOKS = {
  name: "Webhooks",
  type: "integer",
  description: "Webhooks indicates the number of webhooks registered in this configuration",
  cell: (o) => o.webhooks?.length ?? 0,
} as const satisfies Column<MutatingWebhookConfiguration | ValidatingWebhookConfiguration>;

export const validatingWebhookConfigurations: ResourceDef<ValidatingWebhookConfiguration> = {
  group: "admissionregistration.k8s.io",
  version: "v1",
  kind: "ValidatingWebhookConfiguration",
  plural: "validatingwebhookconfigurations",
  singular: "validatingwebhookconfiguration",
  shortNames: [],
  categories: ["api-extensions"],
  namespaced: false,
  generations: true,
  schema: "ValidatingWebhookConfiguration",
  setDefaults: (o) => o.webhooks?.forEach(defaultWebhook),
  validate: (next) => validateWebhooks(next.webhooks),
  subresources: {},
  selectableFields: {},
  columns: [NAME, WEBHOOKS, AGE],
};

export const mutatingWebhookConfigurations: ResourceDef<MutatingWebhookConfiguration> = {
  group: "admissionregistration.k8s.io",
  version: "v1",
  kind: "MutatingWebhookConfiguration",
  plural: "mutatingwebhookconfigurations",
  singular: "mutatingwebhookconfiguration",
  shortNames: [],
  categories: ["api-extensions"],
  namespaced: false,
  generations: true,
  schema: "MutatingWebhookConfiguration",
  setDefaults(o) {
    for (const h of o.webhooks ?? []) {
      defaultWebhook(h);
      h.reinvocationPolicy ||= "Never";
    }
  },
  validate: (next) => validateWebhooks(next.webhooks),
  subresources: {},
  selectableFields: {},
  columns: [NAME, WEBHOOKS, AGE],
};
