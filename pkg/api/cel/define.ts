import type { Environment } from "@marcbachmann/cel-js";

/** `f(string): bool` → a function that is not waited for. */
export function define(env: Environment, signature: string, handler: (...args: never[]) => unknown): void {
  env.registerFunction(signature, handler as (...args: unknown[]) => unknown, { async: false });
}
