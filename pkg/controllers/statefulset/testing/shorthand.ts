/** A StatefulSet's Pods as a table: `0:a 1:b! 2:a-`. For tests. */
import type { Pod } from "../../../api/generated/types.ts";
import { rfc3339 } from "../../../util/clock.ts";
import { identityLabels, REVISION } from "../identity.ts";
import type { StatefulSetPlan, Step, Wanted } from "../plan.ts";

export const NOW = Date.UTC(2026, 0, 1, 12);

export const wanted = (more: Partial<Wanted> = {}): Wanted => ({
  name: "web",
  start: 0,
  replicas: 3,
  ordered: true,
  minReadySeconds: 0,
  rolling: true,
  partition: 0,
  maxUnavailable: 1,
  update: "a",
  current: "a",
  collisionCount: 0,
  generation: 1,
  status: undefined,
  ...more,
});

/** After the ordinal and the revision: `!` not ready, `-` terminating, `x` ended, `~3` ready for three seconds. */
const SHORTHAND = /^(\d+):(\w)(!|-|x|~\d+)?$/;

export function podsOf(text: string): Pod[] {
  return text.split(" ").flatMap((word) => {
    const [, ordinal, revision = "", mark = ""] = SHORTHAND.exec(word) ?? [];
    return ordinal === undefined ? [] : [pod(Number(ordinal), revision, mark)];
  });
}

function pod(ordinal: number, revision: string, mark: string): Pod {
  const readyFor = mark.startsWith("~") ? Number(mark.slice(1)) : 1_000;
  const status = mark === "!" ? "False" : "True";
  const lastTransitionTime = rfc3339(NOW - readyFor * 1000);
  return {
    metadata: {
      name: `web-${ordinal}`,
      labels: { ...identityLabels("web", ordinal), [REVISION]: revision },
      ...(mark === "-" && { deletionTimestamp: rfc3339(NOW) }),
    },
    spec: { containers: [] },
    status: {
      phase: mark === "x" ? "Failed" : "Running",
      ...(mark !== "x" && { conditions: [{ type: "Ready", status, lastTransitionTime }] }),
    },
  };
}

/** `+2:b` created of b, `-2` deleted, `~2` mended. */
export const stepsText = ({ steps }: StatefulSetPlan): string => steps.map(stepText).join(" ");

function stepText(step: Step): string {
  if (step.do === "create") return `+${step.ordinal}:${step.revision}`;
  const ordinal = step.pod.metadata.name?.replace("web-", "") ?? "";
  return `${step.do === "delete" ? "-" : "~"}${ordinal}`;
}
