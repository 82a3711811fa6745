/** From a call to what the write path must know beside its object. Pure. */
import type { FieldValidation } from "../api/decode.ts";
import { fieldManagerErrors, managerOfUserAgent } from "../api/apply/field-manager.ts";
import { badRequest, invalid } from "../api/status.ts";
import { forbidden } from "../api/validation/field.ts";
import type { Call } from "../client/transport.ts";
import type { Caller } from "./handler.ts";
import { parseDryRun } from "./list-options.ts";
import type { WriteContext } from "./registry.ts";

/** Throws BadRequest or Invalid for parameters that make no sense. */
export function writeContext(call: Call, caller: Caller, now: number): WriteContext {
  refuseOptions(call);
  return {
    now,
    user: caller.user,
    warn: caller.warn,
    mayCreate: caller.mayCreate ?? (() => Promise.resolve()),
    dryRun: parseDryRun([call.params?.["dryRun"] ?? "", ...dryRunOfBody(call)]),
    fieldValidation: fieldValidation(call.params?.["fieldValidation"] ?? ""),
    duplicates: call.duplicates ?? [],
    manager: managerOf(call, caller),
    force: isTrue(call.params?.["force"]),
  };
}

/** `fieldManager`, else the component, else the name that the client's program gives itself. */
function managerOf(call: Call, caller: Caller): string {
  const asked = call.params?.["fieldManager"] ?? "";
  return asked || call.cause?.component || managerOfUserAgent(caller.userAgent ?? "") || "unknown";
}

const OPTIONS: Partial<Record<Call["verb"], string>> = {
  create: "CreateOptions",
  update: "UpdateOptions",
  patch: "PatchOptions",
};

/** Throws Invalid for parameters of a write that contradict it. */
function refuseOptions({ verb, params = {}, patchType }: Call): void {
  const kind = OPTIONS[verb];
  if (!kind) return;
  const isApply = patchType === "application/apply-patch+yaml";
  const errors = [
    ...fieldManagerErrors(params["fieldManager"] ?? "", isApply),
    ...(verb === "patch" && !isApply && params["force"] !== undefined
      ? [forbidden("force", "may not be specified for non-apply patch")]
      : []),
  ];
  if (errors.length > 0) throw invalid({ group: "meta.k8s.io", kind }, "", errors);
}

const isTrue = (asked: string | undefined) => asked === "true" || asked === "1";

function dryRunOfBody(call: Call): readonly string[] {
  if (call.verb !== "delete" && call.verb !== "deletecollection") return [];
  const { dryRun } = (call.body ?? {}) as { dryRun?: unknown };
  return Array.isArray(dryRun) ? dryRun.map(String) : [];
}

function fieldValidation(asked: string): FieldValidation {
  if (asked === "") return "Warn";
  if (asked === "Strict" || asked === "Warn" || asked === "Ignore") return asked;
  throw badRequest(`fieldValidation: Unsupported value: "${asked}": supported values: "Ignore", "Strict", "Warn"`);
}
