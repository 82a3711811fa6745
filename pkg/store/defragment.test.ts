import { describe, expect, test } from "@jest/globals";
import { FakeClock } from "../util/fake-clock.ts";
import { silent } from "../util/log.ts";
import { planDefragment } from "./defragment.ts";
import { MemoryStore } from "./memory.ts";
import type { Store, StoreMember, StoreStatus } from "./store.ts";
import { tidyStore } from "./tidy.ts";

const MIB = 1024 * 1024;

/** `m1*:200/50!NOSPACE`: a leader of 200 MiB, 50 of them in use, with an alarm; `m1-` is not healthy. */
function status(...members: readonly string[]): StoreStatus {
  const all = members.map((text): StoreMember => {
    const [, name = "", mark, size, inUse, alarm] = /^(\w+)([*-]?):(\d+)\/(\d+)(?:!(\w+))?$/.exec(text) ?? [];
    return {
      name,
      endpoint: `http://${name}`,
      leader: mark === "*",
      version: "3.4.23",
      dbSize: Number(size) * MIB,
      inUse: Number(inUse) * MIB,
      alarms: alarm === undefined ? [] : [alarm],
      healthy: mark !== "-",
    };
  });
  return { kind: "etcd", sizeBytes: 0, inUseBytes: 0, members: all };
}

const say = (s: StoreStatus) => planDefragment(s).map((step) => (step.do === "disarm" ? "disarm" : step.name));

describe("planDefragment", () => {
  test.each([
    ["nothing is free", ["a*:200/190", "b:200/190"], []],
    ["half of much is free: the leader last", ["a*:200/50", "b:200/60", "c:200/70"], ["b", "c", "a"]],
    ["only who has much that is free", ["a:200/50", "b*:100/90", "c:60/50"], ["a"]],
    ["half, but of little", ["a*:20/1"], []],
    ["much, but a small share", ["a*:2000/1900"], []],
    ["one is not well: none at all", ["a*:200/50", "b-:200/50", "c:200/50"], []],
    ["out of space: any gain, then the alarm", ["a*:100/80!NOSPACE", "b:100/80", "c:100/99"], ["b", "a", "disarm"]],
    ["out of space and nothing free: the alarm stays", ["a*:100/100!NOSPACE"], []],
    ["an own file has no members", [], []],
  ])("%s", (_what, members, expected) => {
    expect(say(status(...members))).toEqual(expected);
  });
});

describe("tidyStore", () => {
  /** A store whose members shrink when they are told to. */
  function fake(members: string[], onDefragment: (name: string) => void = () => {}) {
    const done: string[] = [];
    const store: Store = Object.assign(new MemoryStore(), {
      maintenance: {
        status: async () => status(...members),
        defragment: async (endpoint: string) => {
          const name = endpoint.replace("http://", "");
          done.push(name);
          const i = members.findIndex((m) => m.startsWith(name));
          members[i] = (members[i] ?? "").replace(/:\d+\/(\d+)/, ":$1/$1");
          onDefragment(name);
        },
        disarm: async () => void done.push("disarm"),
      },
    });
    return { store, done };
  }
  const clock = new FakeClock(1_000_000);
  const parts = { clock, log: silent, everyMs: 600_000, signal: new AbortController().signal };

  test("one after the other; of several servers on the store one does it", async () => {
    const { store, done } = fake(["a*:200/50", "b:200/50", "c:200/50"]);
    await Promise.all([tidyStore({ ...parts, store }), tidyStore({ ...parts, store })]);
    expect(done).toEqual(["b", "c", "a"]);
  });

  test("when one falls ill in between, the others are left alone", async () => {
    const members = ["a*:200/50", "b:200/50", "c:200/50"];
    const { store, done } = fake(members, () => (members[2] = "c-:200/50"));
    await tidyStore({ ...parts, store });
    expect(done).toEqual(["b"]);
  });

  test("a store without members has nothing to tidy", async () => {
    const store = new MemoryStore();
    await tidyStore({ ...parts, store });
    expect((await store.list("")).kvs).toEqual([]);
  });
});
