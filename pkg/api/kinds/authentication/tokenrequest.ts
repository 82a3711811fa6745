/** What a ServiceAccount's `token` subresource takes and gives. */
import type { DeepReadonly } from "../../../util/types.ts";
import type { AuthenticationV1TokenRequest } from "../../generated/types.ts";
import type { KindRef } from "../../resource.ts";
import { type FieldErrors, invalidValue } from "../../validation/field.ts";

export const TOKEN_REQUEST: KindRef = {
  group: "authentication.k8s.io",
  version: "v1",
  kind: "TokenRequest",
  schema: "AuthenticationV1TokenRequest",
};

const MIN_SECONDS = 10 * 60;
const MAX_SECONDS = 2 ** 32;
export const DEFAULT_TOKEN_SECONDS = 60 * 60;

export function validateTokenRequest({ spec }: DeepReadonly<AuthenticationV1TokenRequest>): FieldErrors {
  const field = "spec.expirationSeconds";
  const seconds = spec?.expirationSeconds ?? DEFAULT_TOKEN_SECONDS;
  if (seconds < MIN_SECONDS) return [invalidValue(field, seconds, "may not specify a duration less than 10 minutes")];
  if (seconds > MAX_SECONDS)
    return [invalidValue(field, seconds, "may not specify a duration larger than 2^32 seconds")];
  return [];
}
