/** How the words of a command line are understood. */
import { describe, expect, test } from "@jest/globals";
import { ApiError, invalid, notFound, type Status } from "../api/status.ts";
import { parseChanges } from "./commands/set-metadata.ts";
import { parseGoal } from "./commands/wait.ts";
import { closest, findByWord, type KnownResource } from "./discovery.ts";
import { errorText, exitCodeOf, placedError } from "./errors.ts";
import { CliError } from "./io.ts";
import { globalFlagsLast } from "./program.ts";
import { exitCodeOf as exitCodeOfStatus } from "./stream.ts";
import { parseTargets } from "./targets.ts";
import { parseDuration } from "./until.ts";

const kind = (group: string, plural: string, singular: string, shortNames: string[] = []): KnownResource => ({
  group,
  version: "v1",
  kind: singular.replace(/^./, (c) => c.toUpperCase()),
  plural,
  singular,
  shortNames,
  namespaced: true,
  categories: [],
  verbs: ["list"],
  subresources: [],
});
const known = [
  kind("", "pods", "pod", ["po"]),
  kind("", "events", "event", ["ev"]),
  kind("events.k8s.io", "events", "event"),
];

describe("kinds", () => {
  test.each([
    ["pods", "", "pods"],
    ["Pod", "", "pods"],
    ["po", "", "pods"],
    ["pods.v1", "", "pods"],
    ["events", "", "events"],
    ["events.events.k8s.io", "events.k8s.io", "events"],
    ["event.v1.events.k8s.io", "events.k8s.io", "events"],
  ])("%s", (word, group, plural) => {
    expect(findByWord(known, word)).toMatchObject({ group, plural });
  });

  test("an unknown word has no kind, and a near miss a suggestion", () => {
    expect(findByWord(known, "pods.apps")).toBeUndefined();
    expect(closest("podz", ["pods", "nodes"])).toBe("pods");
    expect(closest("gte", ["get", "label"])).toBe("get");
    expect(closest("frobnicate", ["get", "label"])).toBeUndefined();
  });
});

describe("targets", () => {
  test.each([
    [["pods"], [{ kind: "pods", names: undefined }]],
    [
      ["po,cm"],
      [
        { kind: "po", names: undefined },
        { kind: "cm", names: undefined },
      ],
    ],
    [["pod", "a", "b"], [{ kind: "pod", names: ["a", "b"] }]],
    [
      ["pod/a", "cm/b", "pod/c"],
      [
        { kind: "pod", names: ["a", "c"] },
        { kind: "cm", names: ["b"] },
      ],
    ],
  ])("%j", (words, targets) => {
    expect(parseTargets(words)).toEqual(targets);
  });

  test.each([[[]], [["pod/a", "b"]], [["pod/a/b"]], [["/a"]]])("%j is a mistake", (words) => {
    expect(() => parseTargets(words)).toThrow(CliError);
  });
});

describe("flags and values", () => {
  test("global flags may stand before the command", () => {
    expect(globalFlagsLast(["-n", "web", "get", "pods"])).toEqual(["get", "-n", "web", "pods"]);
    expect(globalFlagsLast(["--namespace=web", "get"])).toEqual(["get", "--namespace=web"]);
    expect(globalFlagsLast(["get", "pods", "-n", "x"])).toEqual(["get", "pods", "-n", "x"]);
    expect(globalFlagsLast(["--help"])).toEqual(["--help"]);
  });

  test("durations", () => {
    expect(["30", "30s", "1m30s", "2h", "500ms", "1.5s"].map(parseDuration)).toEqual([
      30_000, 30_000, 90_000, 7_200_000, 500, 1500,
    ]);
    expect(["", "s", "1d", "1m x"].map(parseDuration)).toEqual([undefined, undefined, undefined, undefined]);
  });

  test("changes of labels", () => {
    expect(parseChanges(["pod", "a", "x=1", "y-"])).toEqual({ targets: ["pod", "a"], set: { x: "1", y: null } });
    expect(parseChanges(["pod", "a", "constructor=1"]).set).toEqual({ constructor: "1" });
    expect(() => parseChanges(["pod", "x=1", "a"])).toThrow("after the first change");
    expect(() => parseChanges(["pod", "x=1", "x-"])).toThrow("can not both modify and remove x");
  });

  test("what wait waits for", () => {
    const met = (text: string, object: object) => {
      const goal = parseGoal(text);
      return goal.type === "test" && goal.test(object as never);
    };
    const ready = {
      metadata: { generation: 2 },
      status: { phase: "Running", conditions: [{ type: "Ready", status: "True" }] },
    };
    expect(met("condition=ready", ready)).toBe(true);
    expect(met("condition=Ready=False", ready)).toBe(false);
    expect(met("condition=Other", ready)).toBe(false);
    expect(met("jsonpath={.status.phase}=Running", ready)).toBe(true);
    expect(met('jsonpath={.status.conditions[?(@.type=="Ready")].status}=True', ready)).toBe(true);
    expect(met("jsonpath={.status.podIP}", ready)).toBe(false);
    const old = { ...ready, status: { ...ready.status, observedGeneration: 1 } };
    expect(met("condition=Ready", old)).toBe(false);
    expect(() => parseGoal("Ready")).toThrow("--for=Ready");
  });
});

describe("errors", () => {
  const pods = { group: "", resource: "pods" };
  test("read like kubectl's", () => {
    expect(errorText(notFound(pods, "x"))).toBe('Error from server (NotFound): pods "x" not found');
    expect(errorText(new CliError("no"))).toBe("error: no");
    expect(errorText(new AggregateError([notFound(pods, "x"), new CliError("no")]))).toBe(
      'Error from server (NotFound): pods "x" not found\nerror: no',
    );
    const field = (name: string) => ({ type: "Required", field: name, detail: "" }) as const;
    expect(errorText(invalid({ group: "", kind: "Pod" }, "x", [field("a"), field("b")]))).toBe(
      'Pod "x" is invalid:\n* a: Required value\n* b: Required value',
    );
  });

  test("of a manifest say where; without an answer there is no place", () => {
    const where = (field?: string) => `m.yaml: document 2, line ${field === "spec.x" ? 9 : 3}`;
    const text = (e: unknown) => errorText(placedError(e, where));
    expect(text(new ApiError("BadRequest", 'unknown field "spec.x"'))).toBe(
      'error: m.yaml: document 2, line 9: unknown field "spec.x"',
    );
    expect(text(notFound(pods, "x"))).toBe(
      'error: m.yaml: document 2, line 3: Error from server (NotFound): pods "x" not found',
    );
    const away = new ApiError("ServiceUnavailable", "The connection to the server h:1 was refused");
    expect(text(away)).toBe(away.message);
  });

  test("exit codes: a command's own, else 1", () => {
    expect(exitCodeOf(new CliError("", 42))).toBe(42);
    expect(exitCodeOf(new AggregateError([new CliError("a"), new CliError("b", 3)]))).toBe(3);
    expect(exitCodeOf(notFound(pods, "x"))).toBe(1);
    const exit: Partial<Status> = { status: "Failure", details: { causes: [{ reason: "ExitCode", message: "7" }] } };
    expect(exitCodeOfStatus(exit)).toBe(7);
    expect(exitCodeOfStatus({ status: "Success" })).toBe(0);
    expect(() => exitCodeOfStatus({ status: "Failure", message: "no such file", reason: "InternalError" })).toThrow(
      "no such file",
    );
  });
});
