import { describe, expect, it } from "@jest/globals";
import type { ApiObject, WatchEvent } from "../api/object.ts";
import { ApiError } from "../api/status.ts";
import { Client } from "../client/client.ts";
import type { Call, Transport } from "../client/transport.ts";
import { seededRandom } from "../util/clock.ts";
import { FakeClock } from "../util/fake-clock.ts";
import { silent } from "../util/log.ts";
import { EventRecorder, subjectOf } from "./events.ts";

/** Remembers the writes; `answer` may refuse one. */
class RecordingServer implements Transport {
  readonly calls: Call[] = [];
  answer: (call: Call) => Error | undefined = () => undefined;

  call(call: Call): Promise<unknown> {
    const error = this.answer(call);
    if (error) return Promise.reject(error);
    this.calls.push(call);
    return Promise.resolve(call.body);
  }

  async *watch(): AsyncGenerator<WatchEvent<ApiObject>> {}
}

const pods = { group: "", version: "v1", kind: "Pod", plural: "pods", namespaced: true };
const web = subjectOf(pods, { metadata: { namespace: "shop", name: "web", uid: "u1" } });
const never = new AbortController().signal;

function make() {
  const server = new RecordingServer();
  const clock = new FakeClock(Date.UTC(2026, 0, 1));
  const recorder = new EventRecorder({
    client: new Client(server, "test"),
    component: "kubelet",
    instance: "node-1",
    clock,
    log: silent,
    random: seededRandom(1),
  });
  return { server, clock, recorder };
}

const body = (c: Call | undefined) => c?.body as Record<string, unknown> | undefined;

describe("EventRecorder", () => {
  it("writes the event beside the object it is about, with both reporters named", async () => {
    const { server, recorder } = make();
    recorder.event(web, "Normal", "Pulled", "Image is there");
    recorder.event({ kind: "Node", name: "node-1" }, "Normal", "Starting", "Starting");
    await recorder.flush(never);
    expect(server.calls.map((c) => c.namespace)).toEqual(["shop", "default"]);
    expect(body(server.calls[0])).toMatchObject({
      apiVersion: "v1",
      kind: "Event",
      metadata: { name: expect.stringMatching(/^web\.[0-9a-f]{16}$/), namespace: "shop" },
      involvedObject: { apiVersion: "v1", kind: "Pod", namespace: "shop", name: "web", uid: "u1" },
      source: { component: "kubelet", host: "node-1" },
      reportingComponent: "kubelet",
      reportingInstance: "node-1",
      count: 1,
      firstTimestamp: "2026-01-01T00:00:00Z",
      lastTimestamp: "2026-01-01T00:00:00Z",
    });
  });

  it("V2: counts equal events in one object, and begins anew when that is gone", async () => {
    const { server, clock, recorder } = make();
    recorder.event(web, "Warning", "BackOff", "again");
    await clock.advance(10_000);
    recorder.event(web, "Warning", "BackOff", "again");
    await recorder.flush(never);
    expect(server.calls.map((c) => c.verb)).toEqual(["create", "patch"]);
    expect(server.calls[1]?.name).toBe((body(server.calls[0]) as { metadata: { name: string } }).metadata.name);
    expect(body(server.calls[1])).toEqual({ count: 2, lastTimestamp: "2026-01-01T00:00:10Z" });

    server.answer = (c) => (c.verb === "patch" ? new ApiError("NotFound", "expired") : undefined);
    recorder.event(web, "Warning", "BackOff", "again");
    await recorder.flush(never);
    expect(body(server.calls[2])).toMatchObject({ count: 1 });
  });

  it("V3: drops what is too much about one object, and only that", async () => {
    const { server, clock, recorder } = make();
    for (let i = 0; i < 40; i++) recorder.event(web, "Warning", "Spam", `message ${i}`);
    recorder.event({ ...web, name: "other" }, "Normal", "Fine", "fine");
    await recorder.flush(never);
    expect(server.calls).toHaveLength(26);
    await clock.advance(5 * 60_000);
    recorder.event(web, "Warning", "Spam", "later");
    recorder.event(web, "Warning", "Spam", "too soon");
    await recorder.flush(never);
    expect(server.calls).toHaveLength(27);
  });

  it("V1: survives an outage by retrying; a full queue drops the oldest", async () => {
    const { server, clock, recorder } = make();
    server.answer = () => new ApiError("ServiceUnavailable", "down");
    recorder.event(web, "Normal", "First", "first");
    await clock.advance(10);
    for (let i = 0; i < 1_001; i++) recorder.event({ ...web, name: `p${i}` }, "Normal", "Many", "many");
    server.answer = () => undefined;
    await clock.advance(1_000);
    await recorder.flush(never);
    const names = server.calls.map((c) => (body(c) as { involvedObject: { name: string } }).involvedObject.name);
    expect(names.slice(0, 2)).toEqual(["web", "p1"]);
    expect(names).toHaveLength(1_001);
    expect(clock.pending).toBe(0);
  });

  it("stops when disposed, leaving no timer; a flush does not outlive its signal", async () => {
    const { server, clock, recorder } = make();
    server.answer = () => new ApiError("ServiceUnavailable", "down");
    recorder.event(web, "Normal", "First", "first");
    await recorder.flush(AbortSignal.abort());
    await clock.advance(10);
    expect(clock.pending).toBe(1);
    recorder[Symbol.dispose]();
    await recorder.flush(never);
    recorder.event(web, "Normal", "Late", "late");
    expect(clock.pending).toBe(0);
    expect(server.calls).toEqual([]);
  });
});
