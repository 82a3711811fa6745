/** How many requests are served at once, and how others wait (pkg/apiserver/flow). */
import { keep } from "../../equal.ts";
import type {
  ExemptPriorityLevelConfiguration,
  LimitResponse,
  PriorityLevelConfiguration,
  QueuingConfiguration,
} from "../../generated/types.ts";
import { nameOf } from "../../object.ts";
import type { ResourceDef } from "../../resource.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import { type FieldErrors, forbidden, invalidValue, oneOf, required } from "../../validation/field.ts";
import { AGE, NAME } from "../columns.ts";
import { statusPart } from "../parts.ts";

type Level = DeepReadonly<PriorityLevelConfiguration>;
type Queuing = DeepReadonly<QueuingConfiguration>;

const EXEMPT = "exempt";
const MOST_QUEUES = 10_000_000;
const HASH_BITS = 60;
const NO_LESS_THAN_0 = "must be a non-negative integer";
const NOT_POSITIVE = "must be positive";

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

function validate({ metadata, spec }: Level): FieldErrors {
  const limited = spec?.limited;
  const at = "spec.limited";
  const isExempt = spec?.type === "Exempt";
  return [
    ...(isExempt === (nameOf({ metadata }) === EXEMPT)
      ? []
      : [invalidValue("spec.type", spec?.type, "type must be 'Exempt' if and only if name is 'exempt'")]),
    ...oneOf("spec.type", spec?.type, ["Exempt", "Limited"]),
    ...(spec?.type === "Limited" && !limited ? [required(at, "must not be empty when type is Limited")] : []),
    ...(isExempt && limited ? [forbidden(at, "must be nil if the type is not Limited")] : []),
    ...(spec?.type === "Limited" && spec.exempt
      ? [forbidden("spec.exempt", "must be nil if the type is Limited")]
      : []),
    ...validateShares("spec.exempt", spec?.exempt),
    ...validateShares(at, limited),
    ...atLeast0(`${at}.borrowingLimitPercent`, limited?.borrowingLimitPercent, `if specified, ${NO_LESS_THAN_0}`),
    ...(limited ? validateResponse(`${at}.limitResponse`, limited.limitResponse) : []),
  ];
}

function validateShares(at: string, part: DeepReadonly<ExemptPriorityLevelConfiguration> | undefined): FieldErrors {
  const { nominalConcurrencyShares, lendablePercent = 0 } = part ?? {};
  return [
    ...atLeast0(`${at}.nominalConcurrencyShares`, nominalConcurrencyShares, NO_LESS_THAN_0),
    ...(lendablePercent < 0 || lendablePercent > 100
      ? [invalidValue(`${at}.lendablePercent`, lendablePercent, "must be between 0 and 100, inclusive")]
      : []),
  ];
}

function validateResponse(at: string, response: DeepReadonly<LimitResponse> | undefined): FieldErrors {
  const { type, queuing } = response ?? {};
  // The words are Kubernetes', although what they mean is Queue.
  const ofQueue = "if limited.limitResponse.type is";
  return [
    ...oneOf(`${at}.type`, type, ["Queue", "Reject"]),
    ...(type === "Reject" && queuing ? [forbidden(`${at}.queuing`, `must be nil ${ofQueue} not Limited`)] : []),
    ...(type === "Queue" && !queuing ? [required(`${at}.queuing`, `must not be empty ${ofQueue} Limited`)] : []),
    ...(type === "Queue" && queuing ? validateQueuing(`${at}.queuing`, queuing) : []),
  ];
}

function validateQueuing(at: string, { queues = 0, handSize = 0, queueLengthLimit = 0 }: Queuing): FieldErrors {
  return [
    ...(queueLengthLimit > 0 ? [] : [invalidValue(`${at}.queueLengthLimit`, queueLengthLimit, NOT_POSITIVE)]),
    ...(queues > 0 ? [] : [invalidValue(`${at}.queues`, queues, NOT_POSITIVE)]),
    ...(queues > MOST_QUEUES ? [invalidValue(`${at}.queues`, queues, `must not be greater than ${MOST_QUEUES}`)] : []),
    ...wrongHand(queues, handSize).map((detail) => invalidValue(`${at}.handSize`, handSize, detail)),
  ];
}

/** A hash of {@link HASH_BITS} bits is to be enough for choosing so many queues. */
function wrongHand(queues: number, handSize: number): string[] {
  if (handSize <= 0) return [NOT_POSITIVE];
  if (handSize > queues) return [`should not be greater than queues (${queues})`];
  if (Math.ceil(Math.log2(queues) * handSize) <= HASH_BITS) return [];
  const bits = `required entropy bits of deckSize ${queues} and handSize ${handSize}`;
  return [`${bits} should not be greater than ${HASH_BITS}`];
}

function atLeast0(at: string, value: number | undefined, detail: string): FieldErrors {
  return value !== undefined && value < 0 ? [invalidValue(at, value, detail)] : [];
}
