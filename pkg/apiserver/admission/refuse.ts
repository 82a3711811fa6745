/** How admission says no. */
import { ApiError, type StatusReason } from "../../api/status.ts";
import type { AdmissionRequest } from "../admission.ts";

/** 403 `pods "web" is forbidden: why`, or the same with another reason and its code. */
export function forbidden(r: AdmissionRequest, why: string, reason: StatusReason = "Forbidden"): ApiError {
  const { group, plural } = r.def;
  const name = requestedName(r);
  const resource = group ? `${plural}.${group}` : plural;
  return new ApiError(reason, `${resource} "${name}" is forbidden: ${why}`, {
    name,
    ...(group && { group }),
    kind: plural,
  });
}

/** What the object is called, as far as that is known: a generated name may not be made yet. */
export function requestedName(r: AdmissionRequest): string {
  const meta = r.object?.metadata;
  return r.name || meta?.name || meta?.generateName || "Unknown!";
}

export function isResource(r: AdmissionRequest, group: string, plural: string): boolean {
  return r.def.group === group && r.def.plural === plural;
}

/** A Pod is about to be born: what most plugins wait for. */
export function createsPod(r: AdmissionRequest): boolean {
  return r.operation === "CREATE" && r.subresource === "" && isResource(r, "", "pods");
}
