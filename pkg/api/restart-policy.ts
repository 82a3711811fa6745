/** Whether a container that has ended runs again. Pure. */
import type { DeepReadonly } from "../util/types.ts";
import type { Container, PodSpec } from "./generated/types.ts";

type ReadonlyContainer = DeepReadonly<Container>;

/** Its own rules are heard first, then its own policy, then the Pod's. */
export function restartsAfter(
  spec: DeepReadonly<Pick<PodSpec, "restartPolicy">> | undefined,
  c: ReadonlyContainer,
  exitCode: number,
): boolean {
  if (c.restartPolicy !== undefined && matchesRule(c, exitCode)) return true;
  const policy = c.restartPolicy ?? spec?.restartPolicy ?? "Always";
  return policy === "Always" || (policy === "OnFailure" && exitCode !== 0);
}

function matchesRule(c: ReadonlyContainer, exitCode: number): boolean {
  return (c.restartPolicyRules ?? []).some(({ action, exitCodes }) => {
    const listed = exitCodes?.values?.includes(exitCode) ?? false;
    return action === "Restart" && exitCodes !== undefined && listed === (exitCodes.operator === "In");
  });
}
