/** How many requests are served at once, and how others wait (pkg/apiserver/flow). */
import { keep } from "../../equal.ts";
import type { PriorityLevelConfiguration } from "../../generated/types.ts";
import type { ResourceDef } from "../../resource.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import { type FieldErrors, forbidden, notNegative, oneOf, positive, required } from "../../validation/field.ts";
import { AGE, NAME } from "../columns.ts";
import { statusPart } from "../parts.ts";

type Level = DeepReadonly<PriorityLevelConfiguration>;

export const priorityLevelConfigurations: ResourceDef<PriorityLevelConfiguration> = {
  group: "flowcontrol.apiserver.k8s.io",
  version: "v1",
  kind: "PriorityLevelConfiguration",
  plural: "prioritylevelconfigurations",
  singular: "prioritylevelconfiguration",
  shortNames: [],
  categories: [],
  namespaced: false,
  schema: "PriorityLevelConfiguration",
  setDefaults,
  prepareForCreate(o) {
    o.status = {};
  },
  prepareForUpdate: (next, old) => keep(next, old, "status"),
  validate,
  subresources: { status: statusPart() },
  selectableFields: {},
  columns: [
    NAME,
    { name: "Type", type: "string", cell: (o) => o.spec?.type ?? "" },
    {
      name: "NominalConcurrencyShares",
      type: "string",
      cell: (o) => o.spec?.limited?.nominalConcurrencyShares ?? "<none>",
    },
    { name: "Queues", type: "string", cell: (o) => queuing(o)?.queues ?? "<none>" },
    { name: "HandSize", type: "string", cell: (o) => queuing(o)?.handSize ?? "<none>" },
    { name: "QueueLengthLimit", type: "string", cell: (o) => queuing(o)?.queueLengthLimit ?? "<none>" },
    AGE,
  ],
};

const queuing = (o: Level) => o.spec?.limited?.limitResponse?.queuing;

function setDefaults({ spec }: PriorityLevelConfiguration): void {
  if (spec?.exempt) {
    spec.exempt.nominalConcurrencyShares ??= 0;
    spec.exempt.lendablePercent ??= 0;
  }
  if (!spec?.limited) return;
  spec.limited.nominalConcurrencyShares ??= 30;
  spec.limited.lendablePercent ??= 0;
  const queues = spec.limited.limitResponse?.queuing;
  if (!queues) return;
  queues.queues ??= 64;
  queues.handSize ??= 8;
  queues.queueLengthLimit ??= 50;
}

function validate({ spec }: Level): FieldErrors {
  const limited = spec?.limited;
  const at = "spec.limited";
  const response = limited?.limitResponse;
  return [
    ...oneOf("spec.type", spec?.type, ["Exempt", "Limited"]),
    ...(spec?.type === "Limited" && !limited ? [required(at, "must not be empty when type is Limited")] : []),
    ...(spec?.type === "Exempt" && limited ? [forbidden(at, "must be nil if the type is not Limited")] : []),
    ...(spec?.type === "Limited" && spec.exempt
      ? [forbidden("spec.exempt", "must be nil if the type is Limited")]
      : []),
    ...notNegative(`${at}.nominalConcurrencyShares`, limited?.nominalConcurrencyShares),
    ...(limited ? oneOf(`${at}.limitResponse.type`, response?.type, ["Queue", "Reject"]) : []),
    ...(response?.type === "Reject" && response.queuing
      ? [forbidden(`${at}.limitResponse.queuing`, "must be nil if limited.limitResponse.type is not Limited")]
      : []),
    ...positive(`${at}.limitResponse.queuing.queues`, response?.queuing?.queues),
    ...positive(`${at}.limitResponse.queuing.handSize`, response?.queuing?.handSize),
    ...positive(`${at}.limitResponse.queuing.queueLengthLimit`, response?.queuing?.queueLengthLimit),
  ];
}
