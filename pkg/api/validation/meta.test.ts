import { expect, test } from "@jest/globals";
import { dnsLabel } from "../names.ts";
import type { ObjectMeta } from "../object.ts";
import { invalid } from "../status.ts";
import { validateMetadata } from "./meta.ts";

const NAMESPACED = { namespaced: true };
const owner = { apiVersion: "v1", kind: "Pod", name: "p", uid: "u" };

function lines(meta: ObjectMeta, old?: ObjectMeta, def: Parameters<typeof validateMetadata>[0] = NAMESPACED): string {
  const errors = validateMetadata(def, { metadata: meta }, old && { metadata: old });
  return errors.length ? invalid({ group: "", kind: "X" }, "x", errors).message : "";
}

const good: ObjectMeta = {
  name: "a.b",
  namespace: "default",
  labels: { "example.com/App": "web", empty: "" },
  annotations: { "Example.COM/Any": "anything at all\n" },
  ownerReferences: [{ ...owner, controller: true }, owner],
  finalizers: ["example.com/hold", "orphan"],
};

test("good metadata is good", () => {
  expect(lines(good)).toBe("");
  expect(lines(good, good)).toBe("");
});

test.each<[string, Partial<ObjectMeta>, string]>([
  ["no name", { name: "" }, "metadata.name: Required value: name or generateName is required"],
  ["name", { name: "A" }, 'metadata.name: Invalid value: "A": a lowercase RFC 1123 subdomain'],
  ["generateName", { generateName: "A-" }, 'metadata.generateName: Invalid value: "A-"'],
  ["namespace", { namespace: "a.b" }, 'metadata.namespace: Invalid value: "a.b": a lowercase RFC 1123 label'],
  ["no namespace", { namespace: "" }, "metadata.namespace: Required value"],
  ["label key", { labels: { "a b": "c" } }, 'metadata.labels: Invalid value: "a b": name part must consist'],
  ["label value", { labels: { a: "c d" } }, 'metadata.labels: Invalid value: "c d": a valid label must be'],
  ["annotation key", { annotations: { "a b": "" } }, 'metadata.annotations: Invalid value: "a b": name part'],
  [
    "annotations",
    { annotations: { a: "é".repeat(131072) } },
    "metadata.annotations: Too long: may not be more than 262144 bytes",
  ],
  [
    "owner",
    { ownerReferences: [{ ...owner, uid: "" }] },
    'metadata.ownerReferences.uid: Invalid value: "": must not be empty',
  ],
  [
    "two controllers",
    {
      ownerReferences: [
        { ...owner, controller: true },
        { ...owner, controller: true, name: "q" },
      ],
    },
    'Only one reference can have Controller set to true. Found "true" in references for p and q',
  ],
  [
    "finalizer",
    { finalizers: ["hold"] },
    'metadata.finalizers: Invalid value: "hold": name is neither a standard finalizer name nor is it fully qualified',
  ],
])("%s", (_, change, message) => {
  expect(lines({ ...good, ...change })).toContain(message);
});

test("a kind may have a narrower rule for names, and no namespace", () => {
  const def = { namespaced: false, validateName: dnsLabel };
  expect(lines({ name: "a.b" }, undefined, def)).toContain("a lowercase RFC 1123 label");
  expect(lines({ name: "a", namespace: "b" }, undefined, def)).toContain(
    "metadata.namespace: Forbidden: not allowed on this type",
  );
});

test("an update may not change who the object is", () => {
  expect(lines({ ...good, uid: "2" }, { ...good, uid: "1" })).toContain(
    'metadata.uid: Invalid value: "2": field is immutable',
  );
});

test("what is being deleted gets no new finalizers", () => {
  const deleted = { ...good, deletionTimestamp: "2026-01-01T00:00:00Z" };
  expect(lines({ ...deleted, finalizers: [] }, deleted)).toBe("");
  expect(lines({ ...deleted, finalizers: ["a/b"] }, deleted)).toContain(
    'no new finalizers can be added if the object is being deleted, found new finalizers ["a/b"]',
  );
});
