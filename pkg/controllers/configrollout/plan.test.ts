import { describe, expect, test } from "@jest/globals";
import type { ConfigMap, PodSpec } from "../../api/generated/types.ts";
import { type Config, planConfigRollout, referencesOf, ROLLOUT_ON_CONFIG_CHANGE, SEEN, type Workload } from "./plan.ts";

const container = { name: "app", image: "app" };
const usesApp: Partial<PodSpec> = { containers: [{ ...container, envFrom: [{ configMapRef: { name: "app" } }] }] };

function workload(spec: Partial<PodSpec>, seen?: string, asked = "true"): Workload {
  const annotations = { [ROLLOUT_ON_CONFIG_CHANGE]: asked, ...(seen !== undefined && { [SEEN]: seen }) };
  return { metadata: { name: "web", annotations }, spec: { template: { spec: { containers: [container], ...spec } } } };
}
const config = (data: Record<string, string>): ConfigMap => ({ metadata: {}, data });
const from = (all: Readonly<Record<string, Config>>) => (r: { kind: string; name: string }) =>
  all[`${r.kind}/${r.name}`];

test("all ways to refer to a ConfigMap or a Secret; images are pulled with none of them", () => {
  const spec: PodSpec = {
    imagePullSecrets: [{ name: "registry" }],
    initContainers: [
      { ...container, env: [{ name: "A", valueFrom: { configMapKeyRef: { name: "init", key: "a" } } }] },
    ],
    containers: [
      {
        ...container,
        env: [{ name: "B", valueFrom: { secretKeyRef: { name: "password", key: "b", optional: true } } }],
        envFrom: [{ secretRef: { name: "tokens" } }, { configMapRef: { name: "twice", optional: true } }],
      },
    ],
    volumes: [
      { name: "v1", configMap: { name: "files", optional: true } },
      { name: "v2", secret: { secretName: "certificate" } },
      { name: "v3", projected: { sources: [{ configMap: { name: "twice" } }, { secret: { name: "part" } }] } },
    ],
  };
  expect(referencesOf({ spec }).map((r) => `${r.kind}/${r.name}${r.optional ? "?" : ""}`)).toEqual([
    "ConfigMap/files?",
    "ConfigMap/init",
    "ConfigMap/twice",
    "Secret/certificate",
    "Secret/part",
    "Secret/password?",
    "Secret/tokens",
  ]);
});

describe("planConfigRollout", () => {
  const one = from({ "ConfigMap/app": config({ a: "1" }) });
  const two = from({ "ConfigMap/app": config({ a: "2" }) });
  const noted = planConfigRollout(workload(usesApp), one)?.seen;

  test("first it only notes what there is", () => {
    expect(planConfigRollout(workload(usesApp), one)).toEqual({
      seen: expect.stringMatching(/^\{"ConfigMap\/app":"\w+"\}$/),
    });
  });

  test("the same again is nothing; a change is a roll-out that says why", () => {
    expect(planConfigRollout(workload(usesApp, noted), one)).toBeUndefined();
    const plan = planConfigRollout(workload(usesApp, noted), two);
    expect(plan?.rollout).toEqual({ hash: expect.stringMatching(/^\w+$/), changed: ["ConfigMap/app"] });
    expect(planConfigRollout(workload(usesApp, plan?.seen), two)).toBeUndefined();
    expect(planConfigRollout(workload(usesApp, plan?.seen), one)?.rollout?.changed).toEqual(["ConfigMap/app"]);
  });

  test("labels and versions of a ConfigMap are no change of what it holds", () => {
    const renewed = { ...config({ a: "1" }), metadata: { resourceVersion: "9", labels: { x: "y" } } };
    expect(planConfigRollout(workload(usesApp, noted), from({ "ConfigMap/app": renewed }))).toBeUndefined();
  });

  test("another reference comes with the template's own roll-out", () => {
    const more: Partial<PodSpec> = { ...usesApp, volumes: [{ name: "v", secret: { secretName: "new" } }] };
    const all = from({ "ConfigMap/app": config({ a: "1" }), "Secret/new": { metadata: {}, data: { k: "dg==" } } });
    expect(planConfigRollout(workload(more, noted), all)).toEqual({ seen: expect.stringContaining("Secret/new") });
  });

  test("what is required and lacking is waited for; what is optional may come and go", () => {
    expect(planConfigRollout(workload(usesApp, noted), from({}))).toBeUndefined();
    const optional = { containers: [{ ...container, envFrom: [{ configMapRef: { name: "app", optional: true } }] }] };
    const gone = planConfigRollout(workload(optional, noted), from({}));
    expect(gone?.rollout?.changed).toEqual(["ConfigMap/app"]);
    expect(planConfigRollout(workload(optional, gone?.seen), one)?.rollout?.changed).toEqual(["ConfigMap/app"]);
  });

  test.each(["", "[]", "null", "{"])("a note that is not ours (%j) is replaced", (seen) => {
    expect(planConfigRollout(workload(usesApp, seen), one)).toEqual({ seen: noted });
  });

  test("nobody who has not asked for it, or is leaving, is touched", () => {
    expect(planConfigRollout(workload(usesApp, noted, "false"), two)).toBeUndefined();
    const leaving = workload(usesApp, noted);
    leaving.metadata.deletionTimestamp = "2026-01-01T00:00:00Z";
    expect(planConfigRollout(leaving, two)).toBeUndefined();
  });
});
