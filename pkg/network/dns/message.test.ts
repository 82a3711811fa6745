import { describe, expect, test } from "@jest/globals";
import { decode, encode } from "dns-packet";
import fc from "fast-check";
import {
  type Answer,
  MAX_UDP,
  type Query,
  readAnswer,
  readQuery,
  type ResourceRecord,
  writeAnswer,
  writeQuery,
} from "./message.ts";

const query = (o: Partial<Query> = {}): Query => ({
  id: 7,
  question: { name: "Web.default.svc.cluster.local", type: "A" },
  recursionDesired: true,
  ...o,
});
const addresses = (count: number, name = query().question.name): ResourceRecord[] =>
  Array.from({ length: count }, (_, i) => ({ name, ttl: 30, type: "A", data: `10.244.${i >> 8}.${i & 255}` }));
const yes = (answers: readonly ResourceRecord[]): Answer => ({ rcode: "NOERROR", authoritative: true, answers });

describe("what comes in", () => {
  test("a question is read as it was asked", () => {
    expect(readQuery(writeQuery(9, { name: "a.B.example", type: "AAAA" }))).toEqual({
      query: { id: 9, question: { name: "a.B.example", type: "AAAA" }, recursionDesired: true, edns: 1232 },
    });
  });

  test.each([
    [
      "two questions",
      encode({
        id: 1,
        questions: [
          { name: "a", type: "A" },
          { name: "b", type: "A" },
        ],
      }),
      "FORMERR",
    ],
    ["none", encode({ id: 1, questions: [] }), "FORMERR"],
    ["of class CHAOS", encode({ id: 1, questions: [{ name: "version.bind", type: "TXT", class: "CH" }] }), "REFUSED"],
    ["an update", encode({ id: 1, flags: 5 << 11, questions: [{ name: "a", type: "A" }] }), "NOTIMP"],
    ["a label of dots", Buffer.from("000101000001000000000000022e2e0000010001", "hex"), "FORMERR"],
    ["a label that ends in a dot", Buffer.from("00010100000100000000000002612e01610000010001", "hex"), "FORMERR"],
    ["a label with a line's end", Buffer.from("000101000001000000000000030a2e610000010001", "hex"), "FORMERR"],
    ["a label that is no text", Buffer.from("00010100000100000000000002ffff0000010001", "hex"), "FORMERR"],
    ["a name without an end", Buffer.from("000101000001000000000000ff", "hex"), "FORMERR"],
    ["a name that points to itself", Buffer.from("000101000001000000000000c00c00010001", "hex"), "FORMERR"],
  ])("%s: refused", (_what, bytes, rcode) => {
    const { refusal, query: none } = readQuery(bytes);
    expect([none, refusal?.rcode]).toEqual([undefined, rcode]);
    expect(decode(refusal?.reply ?? Buffer.alloc(0))).toMatchObject({ id: 1, type: "response", rcode });
  });

  test("an answer, or less than a header, is not answered", () => {
    expect(readQuery(encode({ type: "response", id: 1, questions: [{ name: "a", type: "A" }] }))).toEqual({});
    expect(readQuery(Buffer.alloc(11))).toEqual({});
  });

  test("no bytes make it throw, and every refusal is 12 bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
        const { refusal } = readQuery(Buffer.from(bytes));
        expect(refusal?.reply.length ?? 12).toBe(12);
        expect(readAnswer(Buffer.from(bytes), 1, { name: "a", type: "A" })).toBeUndefined();
      }),
    );
  });

  test("nor do those of a question with a few bytes changed", () => {
    const whole = writeQuery(3, { name: "web.default.svc.cluster.local", type: "SRV" });
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 8 }), (changes) => {
        const bytes = Buffer.from(whole);
        for (const [at, byte] of changes) bytes[at] = byte;
        const { query: read } = readQuery(bytes);
        const reply = read && writeAnswer(read, { rcode: "NXDOMAIN", answers: [] }, "udp");
        expect(reply && readAnswer(reply, read.id, read.question)?.rcode).toBe(read && "NXDOMAIN");
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("what goes out", () => {
  test("says whose it is, and repeats the question", () => {
    expect(decode(writeAnswer(query(), yes(addresses(1)), "udp"))).toMatchObject({
      id: 7,
      flag_aa: true,
      flag_rd: true,
      flag_ra: true,
      rcode: "NOERROR",
      questions: [{ name: "Web.default.svc.cluster.local", type: "A" }],
      answers: [{ name: "Web.default.svc.cluster.local", ttl: 30, data: "10.244.0.0" }],
      additionals: [],
    });
  });

  test("the name asked for is written once: 27 addresses fit where 10 did", () => {
    const { answers, flag_tc } = decode(writeAnswer(query(), yes(addresses(27)), "udp"));
    expect([answers?.length, flag_tc]).toEqual([27, false]);
  });

  test("records of other names keep theirs", () => {
    const target = "web-0.web.default.svc.cluster.local";
    const srv: ResourceRecord = { name: query().question.name, ttl: 30, type: "SRV", data: { port: 80, target } };
    const additionals = addresses(1, target);
    const read = decode(writeAnswer(query({ edns: 1232 }), { ...yes([srv]), additionals }, "udp"));
    expect(read.answers).toMatchObject([{ name: srv.name, data: { port: 80, target } }]);
    expect(read.additionals).toMatchObject([
      { name: target, data: "10.244.0.0" },
      { type: "OPT", udpPayloadSize: MAX_UDP },
    ]);
  });

  test("never more than the client takes; what is cut is said to be", () => {
    const sizes = fc.option(fc.nat(0xffff), { nil: undefined });
    fc.assert(
      fc.property(fc.nat(600), sizes, fc.boolean(), (count, edns, more) => {
        const asked = query(edns === undefined ? {} : { edns });
        const bytes = writeAnswer(
          asked,
          { ...yes(addresses(count)), ...(more && { additionals: addresses(9, "x.y") }) },
          "udp",
        );
        expect(bytes.length).toBeLessThanOrEqual(Math.min(Math.max(edns ?? 512, 512), MAX_UDP));
        const { answers = [], flag_tc } = decode(bytes);
        expect(flag_tc).toBe(answers.length < count);
        expect(answers).toEqual(
          decode(writeAnswer(asked, yes(addresses(count)), "tcp")).answers?.slice(0, answers.length),
        );
      }),
      { numRuns: 60 },
    );
  });
});

test("another's answer counts for the very question only", () => {
  const asked = { name: "example.com", type: "A" };
  const bytes = writeAnswer(
    { id: 5, question: asked, recursionDesired: true },
    yes(addresses(1, "example.com")),
    "udp",
  );
  expect(readAnswer(bytes, 5, asked)).toMatchObject({
    rcode: "NOERROR",
    truncated: false,
    answers: [{ data: "10.244.0.0" }],
  });
  expect(readAnswer(bytes, 6, asked)).toBeUndefined();
  expect(readAnswer(bytes, 5, { ...asked, type: "AAAA" })).toBeUndefined();
  expect(readAnswer(bytes, 5, { ...asked, name: "example.org" })).toBeUndefined();
  expect(readAnswer(writeQuery(5, asked), 5, asked)).toBeUndefined();
});
