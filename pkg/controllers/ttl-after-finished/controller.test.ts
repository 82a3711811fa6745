import { expect, test } from "@jest/globals";
import type { Job } from "../../api/generated/types.ts";
import { expiresAt } from "./controller.ts";

const ENDED = "2026-01-01T12:00:00Z";

const job = (seconds: number | undefined, condition: string, status = "True", metadata: object = {}): Job => ({
  metadata,
  spec: { template: {}, ...(seconds !== undefined && { ttlSecondsAfterFinished: seconds }) },
  status: { conditions: [{ type: condition, status, lastTransitionTime: ENDED }] },
});

test.each<[string, Job, number]>([
  ["that is complete", job(60, "Complete"), Date.parse(ENDED) + 60_000],
  ["that has failed", job(0, "Failed"), Date.parse(ENDED)],
  ["that says nothing of it", job(undefined, "Complete"), Infinity],
  ["whose end is only decided", job(60, "SuccessCriteriaMet"), Infinity],
  ["that has not ended", job(60, "Complete", "False"), Infinity],
  ["that goes already", job(60, "Complete", "True", { deletionTimestamp: ENDED }), Infinity],
])("a Job %s", (_, o, at) => {
  expect(expiresAt(o)).toBe(at);
});
