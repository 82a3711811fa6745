import { describe, expect, it, test } from "@jest/globals";
import fc from "fast-check";
import type { ControllerRevision, PodTemplateSpec } from "../../api/generated/types.ts";
import { inOrder, planRevision, snapshotOf, surplus, templateOf } from "./plan.ts";

const template = (image: string): PodTemplateSpec => ({
  metadata: { labels: { app: "web" } },
  spec: { containers: [{ name: "app", image }] },
});
const revision = (name: string, n: number, image = name): ControllerRevision => ({
  metadata: { name },
  data: snapshotOf(template(image)),
  revision: n,
});

describe("snapshotOf", () => {
  it("is the patch that kubectl sends and compares, byte for byte", () => {
    expect(JSON.stringify(snapshotOf(template("app:1")))).toBe(
      '{"spec":{"template":{"$patch":"replace","metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"image":"app:1","name":"app"}]}}}}',
    );
  });

  it("gives the template back", () => {
    expect(templateOf(revision("a", 1))).toEqual(template("a"));
    expect(templateOf({ metadata: {}, revision: 1 })).toEqual({});
  });
});

describe("planRevision", () => {
  const [a, b] = [revision("a", 1), revision("b", 2)];
  test.each([
    ["the first is created", "a", [], { do: "create", to: 1 }],
    ["a new one follows the newest", "c", [b, a], { do: "create", to: 3 }],
    ["the newest stays what it is", "b", [b, a], { do: "use", revision: b }],
    ["an older one moves to the end", "a", [b, a], { do: "renumber", revision: a, to: 3 }],
    ["of two that are equal the newer one is meant", "a", [a, revision("a2", 4, "a")], { do: "use" }],
  ])("%s", (_, image, revisions, expected) => {
    expect(planRevision(snapshotOf(template(image)), revisions)).toMatchObject(expected);
  });

  test("whatever is asked for, in the end it is the newest, and no template is kept twice", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom("a", "b", "c", "d")), (images) => {
        const kept: ControllerRevision[] = [];
        for (const image of images) {
          const data = snapshotOf(template(image));
          const plan = planRevision(data, kept);
          if (plan.do === "create") kept.push({ ...revision(image, plan.to) });
          const moved = plan.do === "renumber" && kept.find((r) => r === plan.revision);
          if (moved && plan.do === "renumber") moved.revision = plan.to;
          expect(inOrder(kept).at(-1)?.data).toEqual(data);
        }
        expect(kept).toHaveLength(new Set(images).size);
        expect(new Set(kept.map((r) => r.revision)).size).toBe(kept.length);
      }),
    );
  });
});

describe("surplus", () => {
  const all = ["a", "b", "c", "d"].map((name, i) => revision(name, i + 1));
  test.each<[number, string[], string[]]>([
    [10, [], []],
    [2, [], ["a", "b"]],
    [2, ["a"], ["b"]],
    [0, ["d"], ["a", "b", "c"]],
    [0, ["a", "b", "c", "d"], []],
    [-1, [], []],
  ])("with a limit of %i and %j in use, %j go", (limit, live, gone) => {
    const isLive = (r: { metadata: { name?: string } }) => live.includes(r.metadata.name ?? "");
    expect(surplus(all.toReversed(), isLive, limit).map((r) => r.metadata.name)).toEqual(gone);
  });
});
