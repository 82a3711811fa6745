import { describe, expect, test } from "@jest/globals";
import type { ApiObject } from "../api/object.ts";
import { findByPlural } from "../api/table.ts";
import { select } from "./selection.ts";

const newStyle = findByPlural("events.k8s.io", "v1", "events");
if (!newStyle) throw new Error("there are no events of the new style");

describe("a view's field selectors", () => {
  const stored = (name: string) =>
    ({
      metadata: { name: "e", namespace: "default" },
      involvedObject: { name },
      reportingComponent: "me",
    }) as ApiObject;

  test("look at what is stored, under its own names", () => {
    const selection = select(newStyle, { namespace: "", fieldSelector: "regarding.name=web,reportingController=me" });
    expect(selection.matches(stored("web"))).toBe(true);
    expect(selection.matches(stored("db"))).toBe(false);
    // So that a change of the stored kind finds its watchers.
    expect(selection.index).toEqual({ field: "involvedObject.name", value: "web" });
  });

  test("know metadata, and none of the names that only the stored kind has", () => {
    expect(select(newStyle, { fieldSelector: "metadata.name=e" }).matches(stored("web"))).toBe(true);
    expect(() => select(newStyle, { fieldSelector: "involvedObject.name=web" })).toThrow(
      "field label not supported: involvedObject.name",
    );
  });
});
