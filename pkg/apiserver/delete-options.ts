/** `metav1.DeleteOptions`, from the body or, as some clients send them, from the query. */
import { strictDecode } from "../api/decode.ts";
import { badRequest, invalid } from "../api/status.ts";
import type { Call } from "../client/transport.ts";
import { parseWhole } from "./list-options.ts";
import type { DeleteOptions } from "./write-policy.ts";

const PROPAGATION = ["Orphan", "Background", "Foreground"];

/**
 * The propagation policy is checked but changes nothing yet: there is no garbage collector that could act on it, and a
 * finalizer that nobody removes would hold the object for ever.
 */
export function readDeleteOptions(call: Call): DeleteOptions {
  const body = bodyOf(call);
  const params = call.params ?? {};
  const grace = body.gracePeriodSeconds ?? parseWhole("gracePeriodSeconds", params["gracePeriodSeconds"]);
  const policy = body.propagationPolicy ?? params["propagationPolicy"];
  if (grace !== undefined && grace < 0) {
    throw refuse({ type: "Invalid", field: "gracePeriodSeconds", value: grace, detail: "must be non-negative" });
  }
  if (policy && !PROPAGATION.includes(policy)) {
    const detail = `supported values: ${PROPAGATION.map((p) => `"${p}"`).join(", ")}`;
    throw refuse({ type: "NotSupported", field: "propagationPolicy", value: policy, detail });
  }
  return {
    ...(grace !== undefined && { gracePeriodSeconds: grace }),
    ...(body.preconditions && { preconditions: body.preconditions }),
  };
}

function bodyOf(call: Call): DeleteOptions & { propagationPolicy?: string } {
  if (call.body === undefined || call.body === null || call.body === "") return {};
  const { value, errors } = strictDecode("DeleteOptions", call.body);
  if (errors.length > 0) throw badRequest(`DeleteOptions cannot be read: ${errors.join("; ")}`);
  return value as DeleteOptions & { propagationPolicy?: string };
}

function refuse(error: Parameters<typeof invalid>[2][number]) {
  return invalid({ group: "", kind: "DeleteOptions" }, "", [error]);
}
