/** How a failure reads, the same for every command: kubectl's words, then what to do. */
import { ApiError } from "../api/status.ts";
import { KubeconfigError } from "../client/kubeconfig.ts";
import { YamlError } from "../util/yaml.ts";
import { CliError } from "./io.ts";

/** One line or several, without a final newline; empty when there is nothing to say. */
export function errorText(error: unknown): string {
  if (error instanceof ApiError) return apiErrorText(error);
  if (error instanceof CliError) return error.message && `error: ${error.message}`;
  if (error instanceof YamlError || error instanceof KubeconfigError) return `error: ${error.message}`;
  if (error instanceof AggregateError) return error.errors.map(errorText).filter(Boolean).join("\n");
  return `error: ${error instanceof Error ? error.message : String(error)}`;
}

function apiErrorText(error: ApiError): string {
  // No answer came: the text is complete as it is.
  if (/^(The connection to|Unable to connect)/.test(error.message)) return error.message;
  const causes = error.details?.causes ?? [];
  if (error.reason === "Invalid" && causes.length > 1) {
    // One cause a line: in one sentence several are hard to tell apart.
    const head = error.message.slice(0, error.message.indexOf(" is invalid: ") + " is invalid:".length);
    return [head, ...causes.map((c) => `* ${c.field ? `${c.field}: ` : ""}${c.message ?? ""}`)].join("\n");
  }
  if (error.reason === "Invalid") return error.message;
  return `Error from server (${error.reason}): ${error.message}`;
}

const MENTIONED_FIELD = /(?:unknown|duplicate) field "([^"]+)"|Go struct field \w+\.([\w.]+)/;

/** The server's complaint about an object of a manifest, with the place first. Without an answer there is no place. */
export function placedError(error: unknown, where: (field?: string) => string): unknown {
  if (!(error instanceof ApiError) || /^(The connection to|Unable to connect)/.test(error.message)) return error;
  const field = error.details?.causes?.[0]?.field ?? MENTIONED_FIELD.exec(error.message)?.slice(1).find(Boolean);
  return new CliError(`${where(field)}: ${apiErrorText(error).replace(/^Error from server \(BadRequest\): /, "")}`);
}

export function exitCodeOf(error: unknown): number {
  if (error instanceof CliError) return error.exitCode;
  if (error instanceof AggregateError) return Math.max(1, ...error.errors.map(exitCodeOf));
  return 1;
}

/** Does all of it, whatever fails, and throws what failed together. */
export async function eachOrAggregate<T>(items: Iterable<T>, work: (item: T) => Promise<void>): Promise<void> {
  const errors: unknown[] = [];
  for (const item of items) {
    try {
      await work(item);
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length === 1) throw errors[0];
  if (errors.length > 1) throw new AggregateError(errors);
}
