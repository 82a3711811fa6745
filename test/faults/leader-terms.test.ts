import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LeaderTerms } from "./leader-terms.ts";

let dir: string;
let terms: LeaderTerms;
const file = (replica: string) => join(dir, replica);
const say = (replica: string, msg: string, lease = "kube-system/kube-scheduler") =>
  appendFileSync(file(replica), `${JSON.stringify({ level: 30, lease, msg })}\n`);
const told = () => terms.terms().map((t) => [t.component, t.replica, t.end > t.start]);

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "mk-terms-"));
  for (const replica of ["a", "b"]) writeFileSync(file(replica), "no JSON\n");
  terms = new LeaderTerms(new Map(["a", "b"].map((replica) => [replica, file(replica)])));
});
afterEach(() => {
  terms.close();
  rmSync(dir, { recursive: true, force: true });
});

test("a term lasts from one's word to the other, and until now where there is no other yet", () => {
  say("a", "leads");
  expect(terms.leader("kube-scheduler")).toBe("a");
  expect(terms.leader("kube-controller-manager")).toBeUndefined();
  say("a", "leads no more");
  say("b", "leads");
  expect(terms.leader("kube-scheduler")).toBe("b");
  expect(told()).toEqual([
    ["kube-scheduler", "a", true],
    ["kube-scheduler", "b", true],
  ]);
});

test("who was killed leads nothing more, though it never said so; others do", () => {
  say("a", "leads");
  say("a", "leads", "kube-system/kube-controller-manager");
  say("b", "leads", "kube-system/other");
  terms.killed("a");
  expect(["kube-scheduler", "kube-controller-manager", "other"].map((c) => terms.leader(c))).toEqual([
    undefined,
    undefined,
    "b",
  ]);
});

test("a line that is half written is heard when it is whole", () => {
  const line = JSON.stringify({ lease: "kube-system/kube-scheduler", msg: "leads" });
  appendFileSync(file("a"), line.slice(0, 20));
  expect(terms.leader("kube-scheduler")).toBeUndefined();
  appendFileSync(file("a"), `${line.slice(20)}\n`);
  expect(terms.leader("kube-scheduler")).toBe("a");
});
