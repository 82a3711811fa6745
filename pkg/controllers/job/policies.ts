/** What a Job's author has said about failures, and about when enough has succeeded. Pure. */
import type {
  ContainerStatus,
  PodFailurePolicy,
  PodFailurePolicyOnExitCodesRequirement,
  PodFailurePolicyRule,
  SuccessPolicy,
} from "../../api/generated/types.ts";
import { nameOf, namespaceOf } from "../../api/object.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { ReadonlyPod } from "../workload/pods.ts";
import { countCommon, countIn, type Indexes, parseIndexes } from "./indexes.ts";

/** `Count` is also what happens to a failure that no rule is about. */
export type FailureAction = "Count" | "Ignore" | "FailJob" | "FailIndex";

export interface FailureVerdict {
  readonly action: FailureAction;
  /** Why the Job fails: of FailJob. */
  readonly message?: string;
}

/** The first rule that matches decides. */
export function judgeFailure(policy: DeepReadonly<PodFailurePolicy> | undefined, pod: ReadonlyPod): FailureVerdict {
  for (const [index, rule] of (policy?.rules ?? []).entries()) {
    const what = matches(rule, pod);
    if (what === undefined) continue;
    const action = rule.action as FailureAction;
    if (action !== "FailJob") return { action };
    return { action, message: `${what} matching FailJob rule at index ${index}` };
  }
  return { action: "Count" };
}

/** What the rule has found, in Kubernetes' words. */
function matches({ onExitCodes, onPodConditions }: DeepReadonly<PodFailurePolicyRule>, pod: ReadonlyPod) {
  const name = `${namespaceOf(pod)}/${nameOf(pod)}`;
  if (onExitCodes) {
    const { containerStatuses = [], initContainerStatuses = [] } = pod.status ?? {};
    const found = [...containerStatuses, ...initContainerStatuses].find((s) => matchesExit(onExitCodes, s));
    const code = found?.state?.terminated?.exitCode;
    return found && `Container ${found.name} for pod ${name} failed with exit code ${code}`;
  }
  const condition = pod.status?.conditions?.find((c) =>
    onPodConditions?.some((p) => p.type === c.type && (p.status ?? "True") === c.status),
  );
  return condition && `Pod ${name} has condition ${condition.type}`;
}

function matchesExit(
  r: DeepReadonly<PodFailurePolicyOnExitCodesRequirement>,
  status: DeepReadonly<ContainerStatus>,
): boolean {
  const code = status.state?.terminated?.exitCode ?? 0;
  if (code === 0 || (r.containerName !== undefined && r.containerName !== status.name)) return false;
  return r.values.includes(code) === (r.operator === "In");
}

/** Which rule says that enough indexes have succeeded, in Kubernetes' words. */
export function matchSuccess(
  policy: DeepReadonly<SuccessPolicy> | undefined,
  succeeded: Indexes,
  completions: number,
): string | undefined {
  if (succeeded.length === 0) return undefined;
  const index = (policy?.rules ?? []).findIndex(({ succeededIndexes, succeededCount = Infinity }) => {
    if (succeededIndexes === undefined) return countIn(succeeded) >= succeededCount;
    const wanted = parseIndexes(succeededIndexes, completions);
    const done = countCommon(succeeded, wanted);
    return wanted.length > 0 && (done === countIn(wanted) || done >= succeededCount);
  });
  return index < 0 ? undefined : `Matched rules at index ${index}`;
}
