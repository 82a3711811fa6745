import { describe, expect, it, test } from "@jest/globals";
import fc from "fast-check";
import type { Node, Pod } from "../../api/generated/types.ts";
import { rfc3339 } from "../../util/clock.ts";
import { FailedPods } from "./failures.ts";
import { type DaemonSetPlan, planDaemonSet, type Wanted, wantedOf } from "./plan.ts";
import { fitOf, REVISION } from "./pod.ts";

const NOW = Date.UTC(2026, 0, 1, 12);

const wanted = (more: Partial<Wanted> = {}): Wanted => ({
  hash: "b",
  templateGeneration: "2",
  minReadySeconds: 0,
  rolling: true,
  maxUnavailable: 1,
  maxSurge: 0,
  fit: (node) => fitOf(undefined, node),
  generation: 1,
  collisionCount: 0,
  status: undefined,
  ...more,
});

/** `n1`, `n2*` with a taint NoSchedule, `n3**` with one NoExecute. */
function nodesOf(text: string): Node[] {
  return text.split(" ").map((word) => {
    const effect = word.endsWith("**") ? "NoExecute" : "NoSchedule";
    const taints = word.includes("*") ? [{ key: "busy", effect }] : [];
    return { metadata: { name: word.replaceAll("*", "") }, spec: { taints } };
  });
}

/** `n1:a` ready, `!` not, `-` terminating, `x` failed, `o` succeeded, `?` not bound yet, `~3` ready for 3 seconds. */
const SHORTHAND = /^(n\d+):(\w)(!|-|x|o|\?|~\d+)?$/;

function podsOf(text: string): Pod[] {
  return text.split(" ").flatMap((word, i) => {
    const [, node = "", hash = "", mark = ""] = SHORTHAND.exec(word) ?? [];
    return node ? [pod(`p${i}`, { node, hash, mark, age: 1_000 - i })] : [];
  });
}

function pod(name: string, o: { node: string; hash: string; mark: string; age: number }): Pod {
  const { node, mark } = o;
  const nodeSelectorTerms = [{ matchFields: [{ key: "metadata.name", operator: "In", values: [node] }] }];
  const since = mark.startsWith("~") ? Number(mark.slice(1)) : 500;
  const phase = { x: "Failed", o: "Succeeded", "?": "Pending" }[mark] ?? "Running";
  const ready = phase === "Running" && mark !== "!";
  return {
    metadata: {
      name,
      labels: { [REVISION]: o.hash },
      creationTimestamp: rfc3339(NOW - o.age * 1000),
      ...(mark === "-" && { deletionTimestamp: rfc3339(NOW) }),
    },
    spec: {
      containers: [],
      ...(mark !== "?" && { nodeName: node }),
      affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } } },
    },
    status: {
      phase,
      conditions: [
        { type: "Ready", status: ready ? "True" : "False", lastTransitionTime: rfc3339(NOW - since * 1000) },
      ],
    },
  };
}

const plan = (s: Wanted, nodes: string, pods: string, retryAt = 0): DaemonSetPlan =>
  planDaemonSet(s, { nodes: nodesOf(nodes), pods: podsOf(pods), now: NOW, retryAt: () => retryAt });
/** `+n1` created, `-p0` deleted. */
const stepsText = ({ steps }: DaemonSetPlan): string =>
  steps.map((s) => (s.do === "create" ? `+${s.node}` : `-${s.pod.metadata.name}`)).join(" ");

const surge = { maxUnavailable: 0, maxSurge: 1 };

describe("planDaemonSet", () => {
  test.each<[string, Partial<Wanted>, string, string, string]>([
    ["one for every node", {}, "n1 n2", "", "+n1 +n2"],
    ["one only", {}, "n1 n2", "n1:b", "+n2"],
    ["not yet bound is there too", {}, "n1", "n1:b?", ""],
    ["none where new ones are kept away", {}, "n1*", "", ""],
    ["who is there may stay there", {}, "n1*", "n1:b", ""],
    ["but not where all are driven out", {}, "n1**", "n1:b", "-p0"],
    ["the oldest of several stays", {}, "n1", "n1:b n1:b", "-p1"],
    ["what waits for a lost node goes", {}, "n1", "n1:b n2:b?", "-p1"],
    ["what ran on a lost node is left to others", {}, "n1", "n1:b n2:b", ""],
    ["the next comes when the last is gone", {}, "n1", "n1:b-", ""],
    ["who has failed goes", {}, "n1", "n1:bx", "-p0"],
    ["who has succeeded goes", {}, "n1", "n1:bo", "-p0"],

    ["one at a time is replaced", {}, "n1 n2", "n1:a n2:a", "-p0"],
    ["none while one is missing", {}, "n1 n2", "n1:b! n2:a", ""],
    ["nor while its successor is not available", { minReadySeconds: 9 }, "n1 n2", "n1:b~3 n2:a", ""],
    ["what is broken is replaced at once", {}, "n1 n2 n3", "n1:a! n2:a n3:a!", "-p0 -p2"],
    ["a share of the nodes", { maxUnavailable: "50%" }, "n1 n2 n3", "n1:a n2:a n3:a", "-p0 -p1"],
    ["others delete", { rolling: false }, "n1", "n1:a", ""],
    ["repairs come first", {}, "n1 n2", "n1:a", "+n2"],
    ["what could not come back stays", {}, "n1*", "n1:a", ""],

    ["surging, a second comes first", surge, "n1 n2", "n1:a n2:a", "+n1"],
    ["both are there until it is available", surge, "n1 n2", "n1:a n1:b! n2:a", ""],
    ["then the old one goes", surge, "n1 n2", "n1:a n1:b n2:a", "-p0"],
    ["or when it is of no use", surge, "n1", "n1:a! n1:b!", "-p0"],
    ["a broken one is doubled at once", surge, "n1 n2", "n1:a n2:a!", "+n2 +n1"],
    ["three are too many", surge, "n1", "n1:a n1:b! n1:b!", "-p2"],
  ])("%s", (_, more, nodes, pods, steps) => {
    expect(stepsText(plan(wanted(more), nodes, pods))).toBe(steps);
  });

  it("leaves a failed Pod alone until its time has come", () => {
    const early = plan(wanted(), "n1", "n1:bx", NOW + 4_000);
    expect(early).toMatchObject({ steps: [], lookAgainAt: NOW + 4_000 });
  });

  it("takes a Pod of the same generation for one of the present template", () => {
    const [old = {} as Pod] = podsOf("n1:a");
    const world = { nodes: nodesOf("n1"), now: NOW, retryAt: () => 0 };
    old.metadata.labels = { "pod-template-generation": "2" };
    expect(planDaemonSet(wanted(), { ...world, pods: [old] }).status.updatedNumberScheduled).toBe(1);
  });

  it("counts nodes, and looks again when a Pod becomes available", () => {
    const s = wanted({ minReadySeconds: 10, maxUnavailable: 9, rolling: false });
    expect(plan(s, "n1 n2 n3 n4 n5*", "n1:b n2:a n3:b~4 n4:a! n5:a")).toEqual({
      steps: [],
      lookAgainAt: NOW + 6_000,
      status: {
        desiredNumberScheduled: 4,
        currentNumberScheduled: 4,
        numberMisscheduled: 1,
        numberReady: 3,
        numberAvailable: 2,
        numberUnavailable: 2,
        updatedNumberScheduled: 2,
        observedGeneration: 1,
      },
    });
  });

  test("D1–D3: whatever there is, no node gets too many, and no more are missed than may be", () => {
    const word = fc
      .tuple(
        fc.constantFrom("n1", "n2", "n3", "n4", "n5"),
        fc.constantFrom("a", "b"),
        fc.constantFrom("", "!", "-", "x", "?"),
      )
      .map(([node, hash, mark]) => `${node}:${hash}${mark}`);
    const strategy = fc.constantFrom<[number | string, number | string]>(
      [1, 0],
      [2, 0],
      ["50%", 0],
      [0, 1],
      [0, "40%"],
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 10 }), strategy, (words, [maxUnavailable, maxSurge]) => {
        const s = wanted({ maxUnavailable, maxSurge });
        const pods = podsOf(words.join(" "));
        const nodes = nodesOf("n1 n2 n3 n4 n5*");
        const { steps } = planDaemonSet(s, { nodes, pods, now: NOW, retryAt: () => 0 });
        const deleted = steps.flatMap((step) => (step.do === "delete" ? [step.pod as Pod] : []));
        const well = (p: Pod) => !p.metadata.deletionTimestamp && p.status?.conditions?.[0]?.status === "True";
        const on = (node: string, of: Pod[]) => of.filter((p) => p.spec?.nodeName === node);
        const served = (of: Pod[]) => ["n1", "n2", "n3", "n4"].filter((node) => on(node, of).some(well));
        // Of several Pods the oldest stays, whatever its state.
        const tidied = pods.filter((p) => !steps.some((step) => step.reason === "MoreThanOne" && step.pod === p));
        const [before, after] = [served(tidied), served(tidied.filter((p) => !deleted.includes(p)))];
        const allowed = { 1: 1, 2: 2, "50%": 2, 0: 0 }[maxUnavailable as 0] ?? 0;
        expect(before.length - after.length).toBeLessThanOrEqual(Math.max(0, allowed - (4 - before.length)));
        for (const step of steps) {
          if (step.do !== "create") continue;
          const there = pods.filter(
            (p) =>
              !deleted.includes(p) &&
              p.spec?.affinity &&
              words[Number(p.metadata.name?.slice(1))]?.startsWith(step.node),
          );
          expect(step.node).not.toBe("n5");
          expect(there.length).toBeLessThanOrEqual(maxSurge === 0 ? 0 : 2);
        }
      }),
    );
  });
});

test("wantedOf reads a set", () => {
  const set = {
    metadata: { name: "log", generation: 3, annotations: { "deprecated.daemonset.template.generation": "2" } },
    spec: {
      selector: {},
      template: { spec: { containers: [], nodeSelector: { disk: "ssd" } } },
      updateStrategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 0, maxSurge: "25%" } },
    },
  };
  const read = wantedOf(set, { hash: "h", collisionCount: 1 });
  expect(read).toMatchObject({
    hash: "h",
    collisionCount: 1,
    generation: 3,
    templateGeneration: "2",
    maxUnavailable: 0,
    maxSurge: "25%",
  });
  expect(read.fit({ metadata: { name: "n1", labels: { disk: "ssd" } } }).shouldRun).toBe(true);
  expect(read.fit({ metadata: { name: "n1" } }).shouldRun).toBe(false);
});

test("who fails again and again waits twice as long each time, up to a quarter of an hour, until all is well for long", () => {
  const failed = new FailedPods();
  expect(failed.retryAt("s", "n1")).toBe(0);
  const waits = Array.from({ length: 12 }, (_, i) => {
    failed.replaced("s", "n1", NOW + i);
    return failed.retryAt("s", "n1") - NOW - i;
  });
  expect(waits.slice(0, 4)).toEqual([1_000, 2_000, 4_000, 8_000]);
  expect(waits.at(-1)).toBe(900_000);
  failed.replaced("s", "n1", NOW + 2_000_000);
  expect(failed.retryAt("s", "n1")).toBe(NOW + 2_001_000);
  failed.forget("s");
  expect(failed.retryAt("s", "n1")).toBe(0);
});
