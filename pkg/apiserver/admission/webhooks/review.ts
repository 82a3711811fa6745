/** The question a webhook is asked, and what its answer means. */
import { deepClone } from "../../../api/equal.ts";
import type { ResourceDef } from "../../../api/resource.ts";
import { ApiError, badRequest, type Status } from "../../../api/status.ts";
import type { AdmissionRequest } from "../../admission.ts";
import { requestOf } from "../expressions.ts";
import type { Shown } from "../shown.ts";

const API_VERSION = "admission.k8s.io/v1";

export function reviewOf(uid: string, r: AdmissionRequest, def: ResourceDef, shown: Shown) {
  return {
    kind: "AdmissionReview",
    apiVersion: API_VERSION,
    request: { uid, ...requestOf(r, def), object: shown.object ?? null, oldObject: shown.old ?? null },
  };
}

export interface ReviewAnswer {
  readonly allowed: boolean;
  readonly status: Partial<Status>;
  readonly warnings: readonly string[];
  /** A JSON patch, decoded. */
  readonly patch: unknown;
}

/** The answer cannot be used: its text says why. */
export class InvalidAnswer extends Error {}

interface Response {
  readonly uid?: string;
  readonly allowed?: boolean;
  readonly status?: Partial<Status>;
  readonly warnings?: readonly string[];
  readonly patch?: string;
  readonly patchType?: string;
}

/** Throws {@link InvalidAnswer}. */
export function readAnswer(body: unknown, uid: string, mutating: boolean): ReviewAnswer {
  const review = (typeof body === "object" && body !== null ? body : {}) as {
    kind?: string;
    apiVersion?: string;
    response?: Response;
  };
  const { response } = review;
  if (!response) throw new InvalidAnswer("webhook response was absent");
  if (response.uid !== uid) {
    throw new InvalidAnswer(`expected response.uid="${uid}", got "${response.uid ?? ""}"`);
  }
  if (review.kind !== "AdmissionReview" || review.apiVersion !== API_VERSION) {
    const got = `${review.apiVersion ?? ""}, Kind=${review.kind ?? ""}`;
    throw new InvalidAnswer(`expected webhook response of ${API_VERSION}, Kind=AdmissionReview, got ${got}`);
  }
  const patch = mutating ? patchIn(response) : refusePatch(response);
  const warnings = Array.isArray(response.warnings) ? response.warnings.map(String) : [];
  return { allowed: response.allowed === true, status: response.status ?? {}, warnings, patch };
}

function patchIn({ patch, patchType }: Response): unknown {
  if (patch && patchType === undefined) {
    throw new InvalidAnswer("webhook returned response.patch but not response.patchType");
  }
  if (!patch && patchType !== undefined) {
    throw new InvalidAnswer("webhook returned response.patchType but not response.patch");
  }
  if (!patch) return undefined;
  if (patchType !== "JSONPatch") throw new InvalidAnswer(`unsupported patch type "${patchType ?? ""}"`);
  try {
    return JSON.parse(Buffer.from(patch, "base64").toString()) as unknown;
  } catch (error) {
    throw new InvalidAnswer(`received undecodable patch in webhook response: ${(error as Error).message}`);
  }
}

function refusePatch({ patch, patchType }: Response): undefined {
  if (patch) throw new InvalidAnswer("validating webhook may not return response.patch");
  if (patchType !== undefined) throw new InvalidAnswer("validating webhook may not return response.patchType");
}

/** `admission webhook "x" denied the request: …`, as the webhook's own status where it gives one. */
export function denial(webhook: string, status: Partial<Status>): ApiError {
  const said = status.message || status.reason;
  const message = `admission webhook "${webhook}" denied the request${said ? `: ${said}` : " without explanation"}`;
  const code = status.code !== undefined && status.code >= 400 ? status.code : 400;
  const details = status.details && deepClone(status.details);
  return new ApiError(status.reason ?? "Unknown", message, details, code);
}

export function noDryRun(webhook: string): ApiError {
  return badRequest(`admission webhook "${webhook}" does not support dry run`);
}

/** 500 `Internal error occurred: failed calling webhook "x": why` */
export function callFailure(webhook: string, why: string): ApiError {
  const message = `failed calling webhook "${webhook}": ${why}`;
  return new ApiError("InternalError", `Internal error occurred: ${message}`, { causes: [{ message }] });
}
