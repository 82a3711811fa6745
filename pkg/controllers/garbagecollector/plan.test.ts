import { describe, expect, it } from "@jest/globals";
import { type GcAction, type Meta, type OwnerState, planObject } from "./plan.ts";

const owned = (...uids: string[]): Meta => ({
  uid: "me",
  ownerReferences: uids.map((uid) => ({ apiVersion: "apps/v1", kind: "ReplicaSet", name: uid, uid })),
});
const deleted = (finalizer: string): Meta => ({
  uid: "me",
  deletionTimestamp: "2026-01-01T00:00:00Z",
  finalizers: [finalizer],
});
const child = (blockOwnerDeletion: boolean): Meta => ({
  uid: "child",
  ownerReferences: [{ apiVersion: "v1", kind: "Pod", name: "me", uid: "me", blockOwnerDeletion }],
});

const cases: [string, Meta, Record<string, OwnerState>, Meta[], GcAction[]][] = [
  ["belongs to nobody", owned(), {}, [], []],
  ["its owner is there", owned("a"), { a: "solid" }, [], []],
  ["its owner is gone", owned("a"), { a: "absent" }, [], [{ type: "delete", propagation: "Background" }]],
  ["one of two owners is gone", owned("a", "b"), { a: "absent", b: "solid" }, [], [{ type: "disown", owners: ["a"] }]],
  ["one waits, one stays", owned("a", "b"), { a: "waiting", b: "solid" }, [], [{ type: "disown", owners: ["a"] }]],
  ["its owner waits for it", owned("a"), { a: "waiting" }, [], [{ type: "delete", propagation: "Background" }]],
  [
    "its owner waits for it, and it has dependents itself",
    owned("a"),
    { a: "waiting" },
    [child(true)],
    [{ type: "delete", propagation: "Foreground" }],
  ],
  [
    "its owner is gone, its own dependents were to be orphaned",
    { ...owned("a"), finalizers: ["orphan"] },
    { a: "absent" },
    [],
    [{ type: "delete", propagation: "Orphan" }],
  ],
  ["deleted already", { ...deleted("example.com/x"), ...owned("a") }, { a: "absent" }, [], []],
  ["orphans its dependents", deleted("orphan"), {}, [child(true)], [{ type: "release" }]],
  ["waits for a dependent that blocks it", deleted("foregroundDeletion"), {}, [child(true)], [{ type: "pursue" }]],
  [
    "waits for nobody",
    deleted("foregroundDeletion"),
    {},
    [child(false)],
    [{ type: "dropFinalizer", finalizer: "foregroundDeletion" }],
  ],
];

describe("planObject", () => {
  it.each(cases)("%s", (_, object, owners, dependents, actions) => {
    expect(planObject(object, new Map(Object.entries(owners)), dependents)).toEqual(actions);
  });
});
