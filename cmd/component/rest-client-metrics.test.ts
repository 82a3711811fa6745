import { expect, test } from "@jest/globals";
import { ApiError } from "../../pkg/api/status.ts";
import type { Call, Transport } from "../../pkg/client/transport.ts";
import { Metrics } from "../../pkg/util/metrics.ts";
import { counted } from "./rest-client-metrics.ts";

async function drain(events: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of events);
}

const call = (verb: Call["verb"]): Call => ({ verb, group: "", version: "v1", resource: "pods" });

test("calls are counted by method and by how they were answered", async () => {
  const metrics = new Metrics();
  const answers = [
    () => ({ kind: "Pod" }),
    () => {
      throw new ApiError("Conflict", "it has changed");
    },
    () => {
      throw new TypeError("no answer at all");
    },
  ];
  const next = () => (answers.shift() ?? (() => ({})))();
  const inner: Transport = {
    call: async () => next(),
    watch: () => ({
      [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new ApiError("Expired", "list again")) }),
    }),
  };
  const transport = counted(inner, metrics);
  expect(await transport.call(call("create"))).toEqual({ kind: "Pod" });
  await expect(transport.call(call("update"))).rejects.toThrow("it has changed");
  await expect(transport.call(call("patch"))).rejects.toThrow("no answer");
  await transport.call(call("list"));
  const events = transport.watch(call("watch"), new AbortController().signal);
  await expect(drain(events)).rejects.toThrow("list again");
  const lines = (await metrics.text()).split("\n").filter((l) => l.startsWith("rest_client"));
  expect(lines.toSorted()).toEqual([
    'rest_client_requests_total{code="200",method="GET"} 1',
    'rest_client_requests_total{code="201",method="POST"} 1',
    'rest_client_requests_total{code="409",method="PUT"} 1',
    'rest_client_requests_total{code="410",method="GET"} 1',
    'rest_client_requests_total{code="<error>",method="PATCH"} 1',
  ]);
});
