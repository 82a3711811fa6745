import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { Container, PodSpec } from "../../api/generated/types.ts";
import { podOf } from "../testing/harness.ts";
import { admitUnderPressure } from "./admit.ts";
import { hasDiskLimit, overDiskLimit, type PodDisk } from "./local-storage.ts";
import { evictionMessage, type PodUse, rankForEviction } from "./rank.ts";
import type { Pressure } from "./thresholds.ts";

const MI = 2 ** 20;
const requests = (list: Record<string, string>): Partial<Container> => ({ resources: { requests: list } });

const use = (
  name: string,
  mi: number | undefined,
  c: Partial<Container> = {},
  spec: Partial<PodSpec> = {},
): PodUse => ({
  pod: podOf(name, [c], spec),
  used: mi === undefined ? {} : { memory: mi * MI, "ephemeral-storage": mi * MI, pids: mi },
  containers: mi === undefined ? [] : [{ name: "c0", memory: mi * MI, disk: mi * MI }],
});

const names = (uses: readonly PodUse[]) => uses.map((u) => u.pod.metadata.name);

describe("who goes first", () => {
  const within = use("within", 90, requests({ memory: "100Mi" }));
  const over = use("over", 20, requests({ memory: "10Mi" }));
  const farOver = use("far-over", 300, requests({ memory: "200Mi" }));
  const important = use("important", 900, {}, { priority: 1000 });
  const unknown = use("unknown", undefined);
  const critical = use("critical", 9000, {}, { priority: 2_000_001_000 });

  test("the unknown, then who exceeds its request, the less important and the larger first; the critical never", () => {
    const all = [within, over, critical, important, farOver, unknown];
    expect(names(rankForEviction(all, "memory"))).toEqual(["unknown", "far-over", "over", "important", "within"]);
  });

  test("of processes only priority and number count", () => {
    expect(names(rankForEviction([use("a", 5), use("b", 7), use("c", 90, {}, { priority: 1 })], "pids"))).toEqual([
      "b",
      "a",
      "c",
    ]);
  });

  test("the order does not depend on the order they are given in", () => {
    const uses = fc.uniqueArray(
      fc.record({ mi: fc.integer({ min: 0, max: 50 }), priority: fc.integer({ min: 0, max: 3 }) }),
      {
        selector: (u) => `${u.mi}/${u.priority}`,
      },
    );
    fc.assert(
      fc.property(uses, fc.infiniteStream(fc.nat()), (list, dice) => {
        const pods = list.map((u, n) => use(`p${n}`, u.mi, requests({ memory: "20Mi" }), { priority: u.priority }));
        const shuffled = pods.map((p) => [dice.next().value as number, p] as const).toSorted(([a], [b]) => a - b);
        expect(
          names(
            rankForEviction(
              shuffled.map(([, p]) => p),
              "memory",
            ),
          ),
        ).toEqual(names(rankForEviction(pods, "memory")));
      }),
    );
  });
});

test("the message says what was short, and who took how much", () => {
  const hard = { signal: "memory.available", value: { units: 100 * MI }, graceMs: 0 } as const;
  const observed = { "memory.available": { available: 64 * MI, capacity: 1024 * MI } };
  expect(evictionMessage(use("web", 20, requests({ memory: "10Mi" })), hard, observed)).toBe(
    "The node was low on resource: memory. Threshold quantity: 100Mi, available: 64Mi. " +
      "Container c0 was using 20Mi, request is 10Mi, has larger consumption of memory. ",
  );
  expect(evictionMessage(use("web", 5, requests({ memory: "10Mi" })), hard, observed)).toBe(
    "The node was low on resource: memory. Threshold quantity: 100Mi, available: 64Mi. ",
  );
});

describe("limits of the disk", () => {
  const used = (mi: number, volumes: Record<string, number> = {}): PodDisk => ({
    containers: new Map([["c0", { layer: mi * MI, logs: 0 }]]),
    volumes: new Map(Object.entries(volumes).map(([name, n]) => [name, n * MI])),
    inodes: 1,
  });
  const limited: Partial<Container> = { resources: { limits: { "ephemeral-storage": "10Mi" } } };
  const emptyDir = (o: object) => ({ volumes: [{ name: "scratch", emptyDir: o }] });

  test.each([
    ["none", {}, {}, used(999), undefined],
    ["within", limited, {}, used(10), undefined],
    [
      "a container",
      limited,
      emptyDir({}),
      used(11),
      "Pod ephemeral local storage usage exceeds the total limit of containers 10Mi. ",
    ],
    [
      "volumes count",
      limited,
      emptyDir({}),
      used(6, { scratch: 5 }),
      "Pod ephemeral local storage usage exceeds the total limit of containers 10Mi. ",
    ],
    [
      "an emptyDir",
      {},
      emptyDir({ sizeLimit: "4Mi" }),
      used(0, { scratch: 5 }),
      'Usage of EmptyDir volume "scratch" exceeds the limit "4Mi". ',
    ],
    ["one in memory", {}, emptyDir({ sizeLimit: "4Mi", medium: "Memory" }), used(0, { scratch: 5 }), undefined],
  ])("%s", (_, c, spec, disk, expected) => {
    const pod = podOf("web", [c], spec);
    expect(overDiskLimit(pod, disk)).toBe(expected);
    expect(hasDiskLimit(pod) || expected === undefined).toBe(true);
  });

  test("one container over its own, the Pod as a whole within", () => {
    const pod = podOf("web", [limited, { resources: { limits: { "ephemeral-storage": "100Mi" } } }]);
    expect(overDiskLimit(pod, used(11))).toBe('Container c0 exceeded its local ephemeral storage limit "10Mi". ');
  });
});

test.each<[string, readonly Pressure[], Partial<Container>, Partial<PodSpec>, boolean]>([
  ["no pressure", [], {}, {}, true],
  ["memory, BestEffort", ["MemoryPressure"], {}, {}, false],
  ["memory, Burstable", ["MemoryPressure"], requests({ cpu: "1m" }), {}, true],
  [
    "memory, tolerated",
    ["MemoryPressure"],
    {},
    { tolerations: [{ key: "node.kubernetes.io/memory-pressure", operator: "Exists" }] },
    true,
  ],
  ["disk, Burstable", ["DiskPressure"], requests({ cpu: "1m" }), {}, false],
  ["disk, critical", ["DiskPressure"], {}, { priority: 2_000_000_000 }, true],
])("who is let in under pressure: %s", (_, pressures, c, spec, admitted) => {
  const refusal = admitUnderPressure(podOf("web", [c], spec), pressures);
  expect(refusal).toEqual(
    admitted ? undefined : { reason: "Evicted", message: `The node had condition: [${pressures.join(" ")}]. ` },
  );
});
