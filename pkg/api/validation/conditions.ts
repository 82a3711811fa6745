/** `metav1.Condition`, which all newer kinds report. */
import type { DeepReadonly } from "../../util/types.ts";
import type { Condition } from "../generated/types.ts";
import { qualifiedName } from "../names.ts";
import { checked, each, type FieldErrors, invalidValue, notSupported, required, tooLong, unique } from "./field.ts";
import { byteLength } from "./meta.ts";

const STATUSES = ["False", "True", "Unknown"];
const MAX_REASON = 1024;
const MAX_MESSAGE = 32 * 1024;
const REASON = "[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?";
const REASON_RE = new RegExp(`^${REASON}$`);
const REASON_ERROR = `a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric characters or '_,:', and must end with an alphanumeric character or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName',  or 'ReasonA,ReasonB',  or 'ReasonA:ReasonB', regex used for validation is '${REASON}')`;

export function validateConditions(list: readonly DeepReadonly<Condition>[] | undefined, field: string): FieldErrors {
  return [...unique(field, list, (c) => c.type, ".type"), ...each(field, list, validateCondition)];
}

function validateCondition(c: DeepReadonly<Condition>, at: string): FieldErrors {
  return [
    ...checked(`${at}.type`, c.type ?? "", qualifiedName),
    ...(STATUSES.includes(c.status) ? [] : [notSupported(`${at}.status`, c.status ?? "", STATUSES)]),
    ...((c.observedGeneration ?? 0) < 0
      ? [invalidValue(`${at}.observedGeneration`, c.observedGeneration, "must be greater than or equal to zero")]
      : []),
    ...(c.lastTransitionTime ? [] : [required(`${at}.lastTransitionTime`)]),
    ...(c.reason
      ? checked(`${at}.reason`, c.reason, (r) => (REASON_RE.test(r) ? [] : [REASON_ERROR]))
      : [required(`${at}.reason`)]),
    ...(byteLength(c.reason ?? "") > MAX_REASON ? [tooLong(`${at}.reason`, MAX_REASON)] : []),
    ...(byteLength(c.message ?? "") > MAX_MESSAGE ? [tooLong(`${at}.message`, MAX_MESSAGE)] : []),
  ];
}
