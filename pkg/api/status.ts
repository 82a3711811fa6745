/**
 * Errors as the API speaks them: every failure is a `Status` object on the wire and an {@link ApiError} in the code.
 * Branch on `reason` or `code`, never on a message.
 */
export type StatusReason =
  | "BadRequest"
  | "Unauthorized"
  | "Forbidden"
  | "NotFound"
  | "AlreadyExists"
  | "Conflict"
  | "Gone"
  | "Expired"
  | "Invalid"
  | "MethodNotAllowed"
  | "NotAcceptable"
  | "RequestEntityTooLarge"
  | "UnsupportedMediaType"
  | "TooManyRequests"
  | "InternalError"
  | "ServiceUnavailable"
  | "Timeout"
  | "ServerTimeout"
  | "InsufficientStorage"
  | "Unknown";

export interface StatusCause {
  reason?: string;
  message?: string;
  field?: string;
}

export interface StatusDetails {
  name?: string;
  group?: string;
  /** The resource's plural; for Invalid the Kind. */
  kind?: string;
  uid?: string;
  causes?: StatusCause[];
  retryAfterSeconds?: number;
}

export interface Status {
  kind: "Status";
  apiVersion: "v1";
  metadata: { resourceVersion?: string };
  status: "Success" | "Failure";
  message?: string;
  reason?: StatusReason;
  details?: StatusDetails;
  code?: number;
}

const CODES: Readonly<Record<StatusReason, number>> = {
  BadRequest: 400,
  Unauthorized: 401,
  Forbidden: 403,
  NotFound: 404,
  MethodNotAllowed: 405,
  NotAcceptable: 406,
  AlreadyExists: 409,
  Conflict: 409,
  Gone: 410,
  Expired: 410,
  RequestEntityTooLarge: 413,
  UnsupportedMediaType: 415,
  Invalid: 422,
  TooManyRequests: 429,
  InternalError: 500,
  Unknown: 500,
  ServiceUnavailable: 503,
  Timeout: 504,
  ServerTimeout: 500,
  InsufficientStorage: 507,
};

const RETRYABLE: ReadonlySet<StatusReason> = new Set([
  "TooManyRequests",
  "InternalError",
  "ServiceUnavailable",
  "Timeout",
  "ServerTimeout",
]);

export class ApiError extends Error {
  readonly reason: StatusReason;
  readonly code: number;
  readonly details: StatusDetails | undefined;

  constructor(reason: StatusReason, message: string, details?: StatusDetails, code: number = CODES[reason]) {
    super(message);
    this.name = "ApiError";
    this.reason = reason;
    this.code = code;
    this.details = details;
  }

  /** The same call may succeed later without anything changed by the caller. */
  get retryable(): boolean {
    return RETRYABLE.has(this.reason);
  }

  toStatus(): Status {
    return {
      kind: "Status",
      apiVersion: "v1",
      metadata: {},
      status: "Failure",
      message: this.message,
      // Unknown is Go's zero value, and kubectl prints any other word it finds here.
      ...(this.reason !== "Unknown" && { reason: this.reason }),
      ...(this.details && { details: this.details }),
      code: this.code,
    };
  }

  static fromStatus(s: Partial<Status>, code = 500): ApiError {
    const reason = s.reason ?? (s.status === "Failure" ? "Unknown" : reasonOf(s.code ?? code));
    return new ApiError(reason, s.message ?? "unknown error", s.details, s.code ?? code);
  }
}

function reasonOf(code: number): StatusReason {
  const found = Object.entries(CODES).find(([, c]) => c === code);
  return (found?.[0] as StatusReason | undefined) ?? "Unknown";
}

export function isReason(e: unknown, ...reasons: StatusReason[]): boolean {
  return e instanceof ApiError && reasons.includes(e.reason);
}

/** Nothing new may come into a namespace that is being deleted. */
export function isNamespaceTerminating(e: unknown): boolean {
  return e instanceof ApiError && !!e.details?.causes?.some((c) => c.reason === "NamespaceTerminating");
}

/** What a resource is called in messages: `pods "web" not found`, `deployments.apps "web" …`. */
export interface ResourceName {
  group: string;
  resource: string;
}

const qualified = (r: ResourceName) => (r.group ? `${r.resource}.${r.group}` : r.resource);
const details = (r: ResourceName, name: string): StatusDetails => ({
  name,
  ...(r.group && { group: r.group }),
  kind: r.resource,
});

export function notFound(r: ResourceName, name: string): ApiError {
  return new ApiError("NotFound", `${qualified(r)} "${name}" not found`, details(r, name));
}

export function alreadyExists(r: ResourceName, name: string): ApiError {
  return new ApiError("AlreadyExists", `${qualified(r)} "${name}" already exists`, details(r, name));
}

export function conflict(r: ResourceName, name: string, why?: string): ApiError {
  const because = why ?? "the object has been modified; please apply your changes to the latest version and try again";
  return new ApiError(
    "Conflict",
    `Operation cannot be fulfilled on ${qualified(r)} "${name}": ${because}`,
    details(r, name),
  );
}

export function badRequest(message: string): ApiError {
  return new ApiError("BadRequest", message);
}

/** One thing wrong with one field, in Kubernetes' words (`field.Error`). */
export interface FieldError {
  readonly type:
    | "Required"
    | "NotFound"
    | "Invalid"
    | "NotSupported"
    | "Duplicate"
    | "Forbidden"
    | "TooLong"
    | "TooMany"
    | "TypeInvalid";
  /** `spec.containers[0].name` */
  readonly field: string;
  /** The offending value where it helps; shown as JSON. */
  readonly value?: unknown;
  readonly detail: string;
}

const CAUSES: Readonly<Record<FieldError["type"], { reason: string; words: string }>> = {
  Required: { reason: "FieldValueRequired", words: "Required value" },
  NotFound: { reason: "FieldValueNotFound", words: "Not found" },
  Invalid: { reason: "FieldValueInvalid", words: "Invalid value" },
  TypeInvalid: { reason: "FieldValueTypeInvalid", words: "Invalid value" },
  NotSupported: { reason: "FieldValueNotSupported", words: "Unsupported value" },
  Duplicate: { reason: "FieldValueDuplicate", words: "Duplicate value" },
  Forbidden: { reason: "FieldValueForbidden", words: "Forbidden" },
  TooLong: { reason: "FieldValueTooLong", words: "Too long" },
  TooMany: { reason: "FieldValueTooMany", words: "Too many" },
};

function causeMessage(e: FieldError): string {
  const shown = e.value === undefined ? "" : `: ${JSON.stringify(e.value)}`;
  const words = CAUSES[e.type].words;
  return e.detail ? `${words}${shown}: ${e.detail}` : `${words}${shown}`;
}

/** 422: `Pod "x" is invalid: spec.containers: Required value` or, for several, `[a, b]`. */
export function invalid(kind: { group: string; kind: string }, name: string, errors: readonly FieldError[]): ApiError {
  const lines = errors.map((e) => `${e.field}: ${causeMessage(e)}`);
  const text = lines.length === 1 ? (lines[0] ?? "") : `[${lines.join(", ")}]`;
  return new ApiError("Invalid", `${kind.kind}${kind.group ? `.${kind.group}` : ""} "${name}" is invalid: ${text}`, {
    name,
    ...(kind.group && { group: kind.group }),
    kind: kind.kind,
    causes: errors.map((e) => ({ reason: CAUSES[e.type].reason, message: causeMessage(e), field: e.field })),
  });
}
