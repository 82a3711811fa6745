import { describe, expect, test } from "@jest/globals";
import { readdirSync, readFileSync } from "node:fs";
import type { Pod as ApiPod } from "../api/generated/types.ts";
import type { RuntimePod } from "../runtime/runtime.ts";
import { parseYamlDocuments } from "../util/yaml.ts";
import { type Eviction, NO_FACTS, type PodFacts, type ProbeFact, type StopFact } from "./facts.ts";
import { planPod } from "./plan.ts";
import type { PodAction } from "./plan-action.ts";
import { restartDelayMs, specHash } from "./restart.ts";
import { podStatus } from "./status.ts";

/** Times in seconds; a container without a specHash has the right one. */
interface Case {
  now: number;
  pod?: ApiPod;
  actual?: Partial<RuntimePod>;
  /** Container → the attempt its image is there for. */
  images?: Record<string, number>;
  volumesRemoved?: boolean;
  brokenSandbox?: string;
  drained?: boolean;
  endingSince?: number;
  evicted?: Eviction;
  /** By container id. */
  messages?: Record<string, string>;
  postStarts?: Record<string, "due" | "failed">;
  probes?: Record<string, ProbeFact>;
  stops?: Record<string, StopFact>;
  plan: PodAction[];
  status?: object;
}

const dir = new URL("./testdata/", import.meta.url);
const files = readdirSync(dir);

function read(file: string): Case {
  const [document] = parseYamlDocuments(readFileSync(new URL(file, dir), "utf8"), file);
  return document?.value as Case;
}

function actualOf(c: Case): RuntimePod | undefined {
  if (!c.actual) return undefined;
  const specs = [...(c.pod?.spec?.initContainers ?? []), ...(c.pod?.spec?.containers ?? [])];
  const containers = (c.actual.containers ?? []).map((x) => {
    const spec = specs.find((s) => s.name === x.name);
    const hash = { specHash: spec ? specHash(spec) : "", image: spec?.image ?? "", imageId: "" };
    return { ...hash, ...inMillis(x, ["createdAt", "startedAt", "finishedAt"]) };
  });
  const sandbox = c.actual.sandbox && inMillis(c.actual.sandbox, ["createdAt"]);
  return { uid: "u1", name: "web", namespace: "default", ...(sandbox && { sandbox }), containers };
}

function inMillis<T extends object>(o: T, keys: readonly string[]): T {
  return Object.fromEntries(
    Object.entries(o).map(([k, v]) => [k, keys.includes(k) ? Number(v) * 1000 : (v as unknown)]),
  ) as T;
}

function factsOf(c: Case): PodFacts {
  const images = Object.entries(c.images ?? {}).map(
    ([name, attempt]) => [name, { state: "present", attempt, id: "" }] as const,
  );
  const { volumesRemoved = false, drained = true, brokenSandbox, evicted, endingSince } = c;
  const stops = mapOf(c.stops).map(([id, s]) => [id, { ...s, since: s.since * 1000 }] as const);
  return {
    ...NO_FACTS,
    images: new Map(images),
    messages: new Map(mapOf(c.messages)),
    postStarts: new Map(mapOf(c.postStarts)),
    probes: new Map(mapOf(c.probes)),
    stops: new Map(stops),
    volumesRemoved,
    drained,
    ...(brokenSandbox && { brokenSandbox }),
    ...(evicted && { evicted }),
    ...(endingSince !== undefined && { endingSince: endingSince * 1000 }),
  };
}

const mapOf = <T>(o: Record<string, T> = {}) => Object.entries(o);

describe("golden files", () => {
  test("are there", () => expect(files.length).toBeGreaterThan(50));

  test.each(files)("%s", (file) => {
    const c = read(file);
    const now = c.now * 1000;
    const [actual, facts] = [actualOf(c), factsOf(c)];
    const plan = planPod(c.pod, actual, facts, now);
    expect(plan).toEqual(c.plan.map((a) => (a.type === "wait" ? { ...a, until: a.until * 1000 } : a)));
    const status = c.pod ? podStatus({ pod: c.pod, actual, facts, hostIP: "192.168.0.1", now }) : {};
    expect(status).toMatchObject(c.status ?? {});
  });
});

test("restart pauses: none, then 10 s doubling to 5 min; none again after ten minutes of running", () => {
  const dead = (attempt: number, ranMs: number) =>
    ({
      id: "x",
      name: "x",
      attempt,
      state: "exited",
      image: "",
      imageId: "",
      specHash: "",
      createdAt: 0,
      startedAt: 0,
      finishedAt: ranMs,
    }) as const;
  expect([0, 1, 2, 3, 4, 5, 6, 7].map((n) => restartDelayMs(undefined, dead(n, 5), 0) / 1000)).toEqual([
    0, 10, 20, 40, 80, 160, 300, 300,
  ]);
  expect(restartDelayMs(undefined, dead(7, 600_000), 0)).toBe(0);
  expect(restartDelayMs(undefined, dead(8, 5), 7)).toBe(10_000);
});
