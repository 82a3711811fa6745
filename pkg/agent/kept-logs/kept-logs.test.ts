import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LogChunk, LogOptions, RuntimeContainer } from "../../runtime/runtime.ts";
import { FakeClock } from "../../util/fake-clock.ts";
import { silent } from "../../util/log.ts";
import { LineReader, type LogLine, parseWritten, selected, written } from "./lines.ts";
import { chooseKept, KEPT_LOGS_DEFAULTS, type KeptLog, planExpiry } from "./plan.ts";
import { KeptLogs } from "./store.ts";

const T = "2026-01-01T00:00:00.000000001Z";
const line = (text: string, o: Partial<LogLine> = {}): LogLine => ({
  time: T,
  stream: "stdout",
  text,
  whole: true,
  ...o,
});

describe("lines", () => {
  const anyLine = fc.record({
    time: fc.constant(T),
    stream: fc.constantFrom("stdout", "stderr"),
    text: fc.string().filter((t) => !t.includes("\n")),
    whole: fc.constant(true),
  });

  test("come together however they were cut, and come back from the file as they were", () => {
    fc.assert(
      fc.property(fc.array(anyLine), fc.array(fc.nat({ max: 30 })), (lines, cuts) => {
        const reader = new LineReader();
        const got: LogLine[] = [];
        for (const l of lines) {
          let data = Buffer.from(`${l.time} ${l.text}\n`);
          for (const cut of cuts) {
            got.push(...reader.read({ stream: l.stream, data: data.subarray(0, cut) }));
            data = data.subarray(cut);
          }
          got.push(...reader.read({ stream: l.stream, data }));
        }
        expect([...got, ...reader.end()]).toEqual(lines);
        expect(parseWritten(lines.map(written).join(""))).toEqual(lines);
      }),
    );
  });

  test("one that was never ended is known for it", () => {
    const reader = new LineReader();
    expect([...reader.read({ stream: "stderr", data: Buffer.from(`${T} half`) })]).toEqual([]);
    expect([...reader.end()]).toEqual([line("half", { stream: "stderr", whole: false })]);
  });

  const log = [
    line("one"),
    line("oops", { stream: "stderr", time: "2026-01-01T00:00:01Z" }),
    line("two", { time: "2026-01-01T00:00:02Z", whole: false }),
  ];
  test.each<[LogOptions & { only?: LogChunk["stream"] }, string]>([
    [{}, "one\noops\ntwo"],
    [{ tail: 0 }, ""],
    [{ tail: 2 }, "oops\ntwo"],
    [{ tail: 9 }, "one\noops\ntwo"],
    [{ since: Date.parse("2026-01-01T00:00:01Z") }, "oops\ntwo"],
    [{ only: "stderr", timestamps: true }, "2026-01-01T00:00:01Z oops\n"],
  ])("selected by %j", (o, text) => {
    expect(selected(log, o)).toBe(text);
  });
});

describe("what is kept", () => {
  const kept = (pod: string, endedAt: number, sizeBytes = 10, more: Partial<KeptLog> = {}): KeptLog => ({
    namespace: "default",
    pod,
    uid: `${pod}-uid`,
    container: "app",
    attempt: 0,
    endedAt,
    sizeBytes,
    ...more,
  });
  const settings = { ...KEPT_LOGS_DEFAULTS, maxAgeMs: 100, maxBytes: 25 };
  const names = (logs: readonly KeptLog[]) => logs.map((l) => l.pod);

  test("no older than may be, no more than fits, the newest before all", () => {
    expect(names(planExpiry([kept("old", 899), kept("edge", 900), kept("new", 1000)], settings, 1000))).toEqual([
      "old",
    ]);
    expect(names(planExpiry([kept("a", 980), kept("b", 990), kept("c", 1000)], settings, 1000))).toEqual(["a"]);
    expect(names(planExpiry([kept("huge", 1000, 26), kept("small", 990)], settings, 1000))).toEqual(["huge"]);
  });

  test("the newest Pod of a name, its last attempt or the one before", () => {
    const logs = [
      kept("web", 10, 1, { uid: "first" }),
      kept("web", 20, 1, { uid: "second", attempt: 3 }),
      kept("web", 19, 1, { uid: "second", attempt: 2 }),
    ];
    expect(chooseKept(logs, { container: "app", previous: false })).toBe(logs[1]);
    expect(chooseKept(logs, { container: "app", previous: true })).toBe(logs[2]);
    expect(chooseKept(logs, { container: "app", previous: false, uid: "first" })).toBe(logs[0]);
    expect(chooseKept(logs, { container: "other", previous: false })).toBeUndefined();
  });
});

describe("the store", () => {
  let directory: string;
  const clock = new FakeClock();
  const signal = new AbortController().signal;
  const container = { id: "c1", name: "app", attempt: 2, startedAt: 1 } as RuntimeContainer;
  const pod = { namespace: "default", name: "web", uid: "u-1" };
  let said = "";
  let calls = 0;
  const runtime = {
    logSize: () => Promise.resolve(said.length),
    async *logs(): AsyncGenerator<LogChunk> {
      calls++;
      for (const l of said.split("\n").filter(Boolean)) yield { stream: "stdout", data: Buffer.from(`${T} ${l}\n`) };
    },
  };
  const open = (more = {}) =>
    new KeptLogs({ runtime, clock, log: silent, directory, settings: { ...KEPT_LOGS_DEFAULTS, ...more } });

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "kept-logs-"));
    calls = 0;
  });
  afterEach(() => rm(directory, { recursive: true }));

  test("a log is kept, found again by the next agent, and gone when its time is over", async () => {
    said = "one\ntwo\n";
    await open().keep(pod, container, signal);
    const again = open();
    await again.load();
    const [log] = again.list({ namespace: "default", pod: "web" });
    expect(log).toMatchObject({ uid: "u-1", container: "app", attempt: 2, endedAt: clock.now() });
    expect(log && selected(await again.lines(log), {})).toBe("one\ntwo\n");
    await clock.advance(KEPT_LOGS_DEFAULTS.maxAgeMs + 1);
    await again.expire();
    expect(again.list()).toEqual([]);
    expect(await readdir(directory)).toEqual([]);
  });

  test("L2: who printed nothing, or never ran, costs no call", async () => {
    said = "";
    const logs = open();
    await logs.keep(pod, container, signal);
    said = "x";
    const { startedAt: _, ...neverRan } = container;
    await logs.keep(pod, neverRan, signal);
    await open({ maxBytes: 0 }).keep(pod, container, signal);
    expect({ calls, kept: logs.list() }).toEqual({ calls: 0, kept: [] });
  });

  test("of a long one the end", async () => {
    said = Array.from({ length: 100 }, (_, n) => `line ${n}`).join("\n");
    const logs = open({ maxLogBytes: 500 });
    await logs.keep(pod, container, signal);
    const [log] = logs.list();
    const text = log ? selected(await logs.lines(log), {}) : "";
    expect(text.endsWith("line 98\nline 99\n")).toBe(true);
    expect(log?.sizeBytes).toBeLessThanOrEqual(500);
  });

  test("L1: a disk that takes nothing hinders nobody", async () => {
    said = "one\n";
    await writeFile(join(directory, "a-file"), "");
    const logs = new KeptLogs({
      runtime,
      clock,
      log: silent,
      directory: join(directory, "a-file", "below"),
      settings: KEPT_LOGS_DEFAULTS,
    });
    await expect(logs.keep(pod, container, signal)).resolves.toBeUndefined();
    expect(logs.list()).toEqual([]);
  });
});
