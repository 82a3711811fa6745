import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { deepEqual } from "../equal.ts";
import type { ApiObject } from "../object.ts";
import { ApiError } from "../status.ts";
import { applyConfiguration } from "./apply.ts";
import { compare } from "./compare.ts";
import { extract } from "./extract.ts";
import { difference, has, intersection, isEmpty, paths, union } from "./field-set.ts";
import { fieldsIn } from "./managers.ts";
import { merge } from "./merge.ts";
import { configuration, content, DEF, THING } from "./testing.ts";
import { contentOf, trackApply, trackUpdate } from "./track.ts";

const NOW = Date.parse("2026-01-01T00:00:00Z");

/** As the server does it, without defaults and validation. */
function apply(live: ApiObject | undefined, applied: object, manager = "m", o: { force?: boolean; now?: number } = {}) {
  const { force = false, now = NOW } = o;
  const done = applyConfiguration({ def: DEF, live, applied, manager, force, subresource: "", now });
  const next = structuredClone(done.object) as unknown as ApiObject;
  trackApply(next, live, done.managedFields);
  return next;
}

function update(live: ApiObject | undefined, changed: object, manager = "u", now = NOW): ApiObject {
  const next = { apiVersion: "test.io/v1", kind: "Thing", ...structuredClone(changed) } as ApiObject;
  trackUpdate({ def: DEF, type: THING, old: live, next, manager, apiVersion: "test.io/v1", subresource: "", now });
  return next;
}

const fieldsOf = (o: object) => difference(extract(THING, contentOf(o as ApiObject)).fields, { "f:metadata": {} });
const owned = (o: ApiObject, manager: string) => fieldsIn(o.metadata.managedFields?.find((e) => e.manager === manager));
/** The order of keyed items is no difference to ownership. */
const same = (a: ApiObject, b: ApiObject) => {
  const { added, modified, removed } = compare(THING, contentOf(a), contentOf(b));
  return isEmpty(added) && isEmpty(modified) && isEmpty(removed);
};

/** What it gives as JSON, or the message of what it throws. */
function attempt(what: () => ApiObject): string {
  try {
    return JSON.stringify(what());
  } catch (error) {
    return (error as Error).message;
  }
}

describe("applying", () => {
  test("the same twice changes nothing, not even the time", () => {
    fc.assert(
      fc.property(configuration, configuration, (before, applied) => {
        const once = apply(apply(undefined, before, "other"), applied, "m", { force: true });
        expect(apply(once, applied, "m", { now: NOW + 60_000 })).toEqual(once);
      }),
    );
  });

  test("gives an object that says what was applied, and its manager owns all of that", () => {
    fc.assert(
      fc.property(content, configuration, (live, applied) => {
        const next = apply(update(undefined, live), applied, "m", { force: true });
        expect(merge(THING, contentOf(next), contentOf(applied as ApiObject))).toEqual(contentOf(next));
        expect(owned(next, "m")).toEqual(fieldsOf(applied));
      }),
    );
  });

  test("less than before takes away what nobody else wants, and only that", () => {
    fc.assert(
      fc.property(configuration, configuration, configuration, (others, first, second) => {
        const shared = apply(apply(undefined, others, "other"), first, "m", { force: true });
        const next = apply(shared, second, "m", { force: true });
        const left = fieldsOf(next);
        const dropped = difference(fieldsOf(first), union(fieldsOf(second), owned(shared, "other")));
        const gone = paths(dropped).filter((p) => has(left, p));
        expect(gone).toEqual([]);
        const kept = difference(union(owned(next, "other"), fieldsOf(second)), left);
        expect(paths(kept)).toEqual([]);
      }),
    );
  });

  test("in either order gives the same, where managers want different fields", () => {
    fc.assert(
      fc.property(configuration, configuration, (a, b) => {
        fc.pre(isEmpty(intersection(fieldsOf(a), fieldsOf(b))) && !deepEqual(a, b));
        const ab = apply(apply(undefined, a, "a"), b, "b");
        const ba = apply(apply(undefined, b, "b"), a, "a");
        expect(same(ab, ba)).toBe(true);
        expect(ab.metadata.managedFields).toEqual(ba.metadata.managedFields);
      }),
    );
  });

  test("conflicts if and only if it changes what another manager owns", () => {
    fc.assert(
      fc.property(configuration, configuration, (a, b) => {
        const live = apply(undefined, a, "a");
        const forced = apply(live, b, "b", { force: true });
        const { added, modified } = compare(THING, contentOf(live), contentOf(forced));
        const taken = intersection(owned(live, "a"), union(added, modified));
        const n = paths(taken).length;
        const said = n === 1 ? "Apply failed with 1 conflict: conflict" : `Apply failed with ${n} conflicts: conflicts`;
        const expected = n === 0 ? JSON.stringify(forced) : `${said} with "a"`;
        expect(attempt(() => apply(live, b, "b")).slice(0, expected.length)).toBe(expected);
      }),
    );
  });
});

test("whatever a client sends is applied or refused in words", () => {
  const key = fc.constantFrom("metadata", "spec", "items", "labels", "name", "tags", "replicas", "x", "__proto__");
  const { value } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { depthSize: "small" },
      fc.constantFrom(null, "", "a", 0, 1.5, true),
      fc.array(tie("value"), { maxLength: 3 }),
      fc.dictionary(key, tie("value"), { maxKeys: 4, noNullPrototype: true }),
    ),
  }));
  fc.assert(
    fc.property(configuration, value, value, (live, metadata, spec) => {
      const applied = { apiVersion: "test.io/v1", kind: "Thing", metadata, spec };
      const o = { def: DEF, live: apply(undefined, live, "other"), applied, manager: "m", force: true };
      const refused = refusal(() => applyConfiguration({ ...o, subresource: "", now: NOW }));
      expect(refused).toMatch(
        /^$|field not declared|expected (map|list)|duplicate entries|element \d+:|metadata must be/,
      );
    }),
  );

  function refusal(what: () => unknown): string {
    try {
      what();
      return "";
    } catch (error) {
      return error instanceof ApiError ? error.message : `a bug: ${String(error)}`;
    }
  }
});

describe("comparing", () => {
  test("finds nothing if and only if nothing changed", () => {
    fc.assert(
      fc.property(content, content, (a, b) => {
        const { added, modified, removed } = compare(THING, a, b);
        const none = isEmpty(added) && isEmpty(modified) && isEmpty(removed);
        expect(none).toBe(deepEqual(unordered(a), unordered(b)));
        expect(isEmpty(compare(THING, a, structuredClone(a)).modified)).toBe(true);
      }),
    );
  });

  test("backwards finds the opposite, and no field twice", () => {
    fc.assert(
      fc.property(content, content, (a, b) => {
        const there = compare(THING, a, b);
        const back = compare(THING, b, a);
        expect(paths(there.added)).toEqual(paths(back.removed));
        expect(paths(there.modified)).toEqual(paths(back.modified));
        expect(isEmpty(intersection(there.added, there.modified))).toBe(true);
        expect(isEmpty(intersection(there.added, there.removed))).toBe(true);
      }),
    );
  });

  type Content = { metadata?: { finalizers?: string[] }; spec?: { items?: object[]; tags?: string[] } };

  function unordered(o: Content): unknown {
    const { metadata, spec } = o;
    const byText = (a: unknown, b: unknown) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1);
    const [items, tags] = [spec?.items?.toSorted(byText), spec?.tags?.toSorted()];
    return {
      ...o,
      spec: spec && { ...spec, items, tags },
      metadata: { ...metadata, finalizers: metadata?.finalizers?.toSorted() },
    };
  }
});

describe("updating", () => {
  test("makes the writer the only owner of what it changed, and nobody owns what is gone", () => {
    fc.assert(
      fc.property(configuration, content, (applied, changed) => {
        const live = apply(undefined, applied, "a");
        fc.pre(live.metadata.managedFields !== undefined);
        const next = update(live, { ...changed, metadata: { ...changed.metadata, name: "x" } });
        const { added, modified, removed } = compare(THING, contentOf(live), contentOf(next));
        const written = union(added, modified);
        expect(paths(difference(written, owned(next, "u")))).toEqual([]);
        expect(paths(intersection(owned(next, "a"), union(written, removed)))).toEqual([]);
      }),
    );
  });

  test("with the same object changes nothing", () => {
    fc.assert(
      fc.property(configuration, (applied) => {
        const live = apply(undefined, applied, "a");
        expect(update(live, live, "u", NOW + 60_000)).toEqual(live);
      }),
    );
  });
});
