/** What a failed exchange with the API server means, in kubectl's words and with what to do next. */
import { ApiError, type Status } from "../api/status.ts";

const TLS_CODES = /^(CERT_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|ERR_TLS|ERR_SSL|EPROTO)/;

/** The server gave no answer, or not all of it. */
export class Unreached extends ApiError {
  /** False: it never heard of the call, so that another server may be asked whatever the call does. */
  readonly sent: boolean;

  constructor(message: string, sent: boolean) {
    super("ServiceUnavailable", message);
    this.sent = sent;
  }
}

/** Of a call that got no answer. All but a wrong certificate may pass by themselves, so they are retryable. */
export function connectionError(error: NodeJS.ErrnoException, server: URL, sent = true): ApiError {
  const code = error.code ?? "";
  const host = `${server.hostname}:${server.port || (server.protocol === "https:" ? "443" : "80")}`;
  if (code === "ECONNREFUSED" || everyRefused(error)) {
    return new Unreached(
      `The connection to the server ${host} was refused - did you specify the right host or port?\nstart one with: mini-kube up`,
      sent,
    );
  }
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") {
    return new Unreached(
      `Unable to connect to the server: no such host: ${server.hostname}\ncheck the server's address in your kubeconfig: mini-kube config view`,
      sent,
    );
  }
  if (TLS_CODES.test(code)) {
    return new ApiError(
      "Unauthorized",
      `Unable to connect to the server: its certificate could not be verified (${error.message})\nyour kubeconfig is of another cluster; see which with: mini-kube config view`,
    );
  }
  const why = code && !error.message.includes(code) ? `${error.message} (${code})` : error.message;
  return new Unreached(`Unable to connect to the server ${host}: ${why}`, sent);
}

/** `localhost` may be several addresses: Node then reports one AggregateError. */
function everyRefused(error: unknown): boolean {
  return (
    error instanceof AggregateError &&
    error.errors.length > 0 &&
    error.errors.every((e) => (e as NodeJS.ErrnoException).code === "ECONNREFUSED")
  );
}

/** Of an answer that is no success: the Status in it, or what can be said without one. */
export function answerError(code: number, body: string): ApiError {
  try {
    const status = JSON.parse(body) as Partial<Status>;
    if (status.kind === "Status") return ApiError.fromStatus(status, code);
  } catch {
    // Not from an API server; said below.
  }
  const text = body.trim().slice(0, 300);
  return ApiError.fromStatus({ message: `the server answered ${code}${text ? `: ${text}` : ""}` }, code);
}
