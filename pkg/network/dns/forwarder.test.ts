import { describe, expect, test } from "@jest/globals";
import { FakeClock } from "../../util/fake-clock.ts";
import { AnswerCache } from "./cache.ts";
import { Forwarder } from "./forwarder.ts";
import type { Answer, Question } from "./message.ts";
import type { UpstreamAddress } from "./settings.ts";

const A: UpstreamAddress = { host: "192.0.2.1", port: 53 };
const B: UpstreamAddress = { host: "192.0.2.2", port: 53 };
const question: Question = { name: "example.com", type: "A" };
const yes = (data: string, ttl = 60): Answer => ({
  rcode: "NOERROR",
  answers: [{ name: "example.com", ttl, type: "A", data }],
});
const soa = { mname: "a", rname: "b", serial: 1, refresh: 1, retry: 1, expire: 1 };
const no = (minimum: number): Answer => ({
  rcode: "NXDOMAIN",
  answers: [],
  authorities: [{ name: "com", ttl: 900, type: "SOA", data: { ...soa, minimum } }],
});

/** What each server does when it is asked: an answer, a failure, or nothing for ever. */
type Script = Answer | Error | "hangs";

function setUp(scripts: Record<string, Script>, upstreams = [A, B]) {
  const clock = new FakeClock();
  const asked: string[] = [];
  const results: string[] = [];
  const forwarder = new Forwarder({
    upstreams,
    clock,
    onResult: (r) => results.push(r),
    exchange: (to, q, signal) => {
      asked.push(`${to.host} ${q.name}`);
      const script = scripts[to.host] ?? "hangs";
      if (script === "hangs") {
        return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
      }
      return script instanceof Error ? Promise.reject(script) : Promise.resolve(script);
    },
  });
  return { clock, asked, results, forwarder, scripts };
}

describe("forwarding", () => {
  test("the first server is asked, and what it says is kept for as long as it says, getting older", async () => {
    const { clock, asked, results, forwarder } = setUp({ [A.host]: yes("1.1.1.1", 60) });
    expect(await forwarder.ask(question)).toEqual(yes("1.1.1.1", 60));
    await clock.advance(20_000);
    expect((await forwarder.ask({ name: "EXAMPLE.com", type: "A" })).answers).toEqual(yes("1.1.1.1", 40).answers);
    expect(asked).toHaveLength(1);
    await clock.advance(40_000);
    await forwarder.ask(question);
    expect(asked).toHaveLength(2);
    expect(results).toEqual(["answered", "hit", "answered"]);
    expect(clock.pending).toBe(0);
  });

  test("that there is none is kept for the lesser of the SOA's times, half a minute at most", async () => {
    for (const [minimum, kept] of [
      [10, 10],
      [86_400, 30],
    ] as const) {
      const { clock, asked, forwarder } = setUp({ [A.host]: no(minimum) });
      await forwarder.ask(question);
      await clock.advance(kept * 1000 - 1);
      expect((await forwarder.ask(question)).rcode).toBe("NXDOMAIN");
      expect(asked).toHaveLength(1);
      await clock.advance(1);
      await forwarder.ask(question);
      expect(asked).toHaveLength(2);
    }
  });

  test("F2: a server that hangs costs half a second once; then the other one is asked first", async () => {
    const { clock, asked, forwarder } = setUp({ [B.host]: yes("2.2.2.2", 0) });
    const first = forwarder.ask(question);
    await clock.advance(499);
    expect(asked).toEqual([`${A.host} example.com`]);
    await clock.advance(1);
    expect((await first).rcode).toBe("NOERROR");
    asked.length = 0;
    expect((await forwarder.ask(question)).rcode).toBe("NOERROR");
    expect(asked).toEqual([`${B.host} example.com`]);
    await clock.advance(10_000);
    void forwarder.ask(question);
    expect(asked.at(-1)).toBe(`${A.host} example.com`);
  });

  test.each([
    ["a broken connection", new Error("ECONNREFUSED")],
    ["SERVFAIL", { rcode: "SERVFAIL", answers: [] } as Answer],
    ["REFUSED", { rcode: "REFUSED", answers: [] } as Answer],
  ])("%s: the next one is asked at once", async (_what, script) => {
    const { clock, asked, forwarder } = setUp({ [A.host]: script, [B.host]: yes("2.2.2.2") });
    expect((await forwarder.ask(question)).answers).toHaveLength(1);
    expect(asked).toHaveLength(2);
    expect(clock.pending).toBe(0);
  });

  test("that a name is none is an answer: nobody else is asked", async () => {
    const { asked, forwarder } = setUp({ [A.host]: no(5), [B.host]: yes("2.2.2.2") });
    expect((await forwarder.ask(question)).rcode).toBe("NXDOMAIN");
    expect(asked).toHaveLength(1);
  });

  test("F1: when all hang, the answer is a failure after 4.5 s, which is not kept", async () => {
    const { clock, asked, results, forwarder, scripts } = setUp({});
    const answer = forwarder.ask(question);
    await clock.advance(4_500);
    expect((await answer).rcode).toBe("SERVFAIL");
    expect(results).toEqual(["failed"]);
    scripts[A.host] = yes("1.1.1.1");
    expect((await forwarder.ask(question)).rcode).toBe("NOERROR");
    expect(asked).toHaveLength(3);
    expect(clock.pending).toBe(0);
  });

  test("F3: who asks for the same meanwhile waits for the same answer", async () => {
    const { clock, asked, forwarder } = setUp({ [B.host]: yes("2.2.2.2") });
    const all = Array.from({ length: 20 }, () => forwarder.ask(question));
    await clock.advance(500);
    expect(new Set((await Promise.all(all)).map((a) => a.rcode))).toEqual(new Set(["NOERROR"]));
    expect(asked).toHaveLength(2);
  });

  test("F4: 512 questions are under way, no more; another name is refused at once", async () => {
    const { clock, asked, results, forwarder } = setUp({}, [A]);
    const all = Array.from({ length: 512 }, (_, i) => forwarder.ask({ name: `n${i}.example`, type: "A" }));
    expect((await forwarder.ask(question)).rcode).toBe("SERVFAIL");
    expect([asked.length, results]).toEqual([512, ["refused"]]);
    await clock.advance(4_500);
    expect((await Promise.all(all)).every((a) => a.rcode === "SERVFAIL")).toBe(true);
  });

  test("without a server it says so; disposed, it ends what is under way", async () => {
    expect((await setUp({}, []).forwarder.ask(question)).rcode).toBe("REFUSED");
    const { clock, forwarder } = setUp({});
    const answer = forwarder.ask(question);
    forwarder[Symbol.dispose]();
    expect((await answer).rcode).toBe("SERVFAIL");
    expect(clock.pending).toBe(0);
  });
});

test("the cache is bounded: what was not used for longest goes", () => {
  const cache = new AnswerCache({ clock: new FakeClock(), size: 3 });
  const of = (name: string) => ({ name, type: "A" });
  for (const name of ["a", "b", "c"]) cache.put(of(name), yes("1.1.1.1"));
  cache.get(of("a"));
  cache.put(of("d"), yes("1.1.1.1"));
  expect(["a", "b", "c", "d"].filter((n) => cache.get(of(n)))).toEqual(["a", "c", "d"]);
  expect(cache.size).toBe(3);
});
