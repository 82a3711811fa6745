import { expect, test } from "@jest/globals";
import { openApiV2ToProtobuf } from "./openapi-protobuf.ts";

const text = (s: string) => [...new TextEncoder().encode(s)];
/** A field with a length, as protobuf has strings and messages. */
const field = (n: number, ...content: number[]) => [
  ((n << 3) & 0x7f) | 2 | (n > 15 ? 0x80 : 0),
  ...(n > 15 ? [n >> 4] : []),
  content.length,
  ...content,
];

test("a schema: type, items, properties, required, extensions", () => {
  const document = {
    swagger: "2.0",
    definitions: {
      A: {
        type: "object",
        required: ["b"],
        properties: { b: { type: "array", items: { $ref: "#/B" } } },
        "x-k": { a: 1 },
      },
    },
  };
  const b = [...field(22, ...field(1, ...text("array"))), ...field(23, ...field(1, ...field(1, ...text("#/B"))))];
  const a = [
    ...field(22, ...field(1, ...text("object"))),
    ...field(19, ...text("b")),
    ...field(25, ...field(1, ...field(1, ...text("b")), ...field(2, ...b))),
    ...field(31, ...field(1, ...text("x-k")), ...field(2, ...field(2, ...text('{"a":1}')))),
  ];
  expect([...openApiV2ToProtobuf(document)]).toEqual([
    ...field(1, ...text("2.0")),
    ...field(9, ...field(1, ...field(1, ...text("A")), ...field(2, ...a))),
  ]);
});

test("a parameter says where it stands: body, path or query", () => {
  const at = (parameter: object) => [...openApiV2ToProtobuf({ paths: { "/p": { parameters: [parameter] } } })];
  const wrapped = (...parameter: number[]) =>
    field(8, ...field(2, ...field(1, ...text("/p")), ...field(2, ...field(9, ...field(1, ...parameter)))));
  expect(at({ in: "body", required: true })).toEqual(wrapped(...field(1, ...field(3, ...text("body")), 4 << 3, 1)));
  expect(at({ in: "path", name: "n" })).toEqual(
    wrapped(...field(2, ...field(4, ...field(2, ...text("path")), ...field(4, ...text("n"))))),
  );
  expect(at({ in: "query", type: "string" })).toEqual(
    wrapped(...field(2, ...field(3, ...field(2, ...text("query")), ...field(6, ...text("string"))))),
  );
});

test("lengths above 127 take two bytes", () => {
  expect([...openApiV2ToProtobuf({ swagger: "x".repeat(300) })].slice(0, 4)).toEqual([0x0a, 0xac, 0x02, 120]);
});
