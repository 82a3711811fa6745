/** `metav1.DeleteOptions`, from the body or, as some clients send them, from the query. */
import { strictDecode } from "../api/decode.ts";
import { badRequest, invalid } from "../api/status.ts";
import type { Call } from "../client/transport.ts";
import { parseWhole } from "./list-options.ts";
import type { DeleteOptions } from "./write-policy.ts";

const PROPAGATION = ["Orphan", "Background", "Foreground"] as const;

export function readDeleteOptions(call: Call): DeleteOptions {
  const body = bodyOf(call);
  const params = call.params ?? {};
  const grace = body.gracePeriodSeconds ?? parseWhole("gracePeriodSeconds", params["gracePeriodSeconds"]);
  const policy = body.propagationPolicy ?? params["propagationPolicy"];
  if (grace !== undefined && grace < 0) {
    throw refuse({ type: "Invalid", field: "gracePeriodSeconds", value: grace, detail: "must be non-negative" });
  }
  const propagationPolicy = policy ? PROPAGATION.find((p) => p === policy) : orphaning(body.orphanDependents);
  if (policy && !propagationPolicy) {
    const detail = `supported values: ${PROPAGATION.map((p) => `"${p}"`).join(", ")}`;
    throw refuse({ type: "NotSupported", field: "propagationPolicy", value: policy, detail });
  }
  return {
    ...(grace !== undefined && { gracePeriodSeconds: grace }),
    ...(propagationPolicy && { propagationPolicy }),
    ...(body.preconditions && { preconditions: body.preconditions }),
  };
}

/** The older way to say it. */
function orphaning(orphan: boolean | undefined): "Orphan" | "Background" | undefined {
  return orphan === undefined ? undefined : orphan ? "Orphan" : "Background";
}

function bodyOf(call: Call): Body {
  if (call.body === undefined || call.body === null || call.body === "") return {};
  const { value, errors } = strictDecode("DeleteOptions", call.body);
  if (errors.length > 0) throw badRequest(`DeleteOptions cannot be read: ${errors.join("; ")}`);
  return value as Body;
}

type Body = Omit<DeleteOptions, "propagationPolicy"> & { propagationPolicy?: string; orphanDependents?: boolean };

function refuse(error: Parameters<typeof invalid>[2][number]) {
  return invalid({ group: "", kind: "DeleteOptions" }, "", [error]);
}
