/** Which of the daemon's runtimes a Pod's containers want; one that it does not have is its own to refuse. */
import type { RuntimeClass } from "../api/generated/types.ts";
import { runtimeClasses } from "../api/kinds/node/runtimeclass.ts";
import { isReason } from "../api/status.ts";
import { RuntimeError } from "../runtime/runtime.ts";
import type { NodeContext } from "./context.ts";
import type { Pod } from "./facts.ts";

/** Rejects when the class is gone; admission has seen it. */
export async function runtimeHandlerOf(
  { client }: Pick<NodeContext, "client">,
  pod: Pod,
  signal: AbortSignal,
): Promise<{ readonly runtimeHandler?: string }> {
  const name = pod.spec?.runtimeClassName;
  if (!name) return {};
  try {
    const { handler } = await client.resource<RuntimeClass>(runtimeClasses).get(name, signal);
    return { runtimeHandler: handler };
  } catch (error) {
    if (!isReason(error, "NotFound")) throw error;
    throw new RuntimeError("RuntimeError", `failed to get sandbox runtime: RuntimeClass "${name}" not found`);
  }
}
