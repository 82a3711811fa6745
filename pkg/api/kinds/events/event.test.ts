import { describe, expect, test } from "@jest/globals";
import type { CoreV1Event, EventsV1Event } from "../../generated/types.ts";
import { events } from "../core/event.ts";
import { complaints, created, headings, row } from "../testing/writes.ts";
import { newStyleEvents } from "./event.ts";

const core: CoreV1Event = {
  apiVersion: "v1",
  kind: "Event",
  metadata: { name: "e", namespace: "default", labels: { a: "b" } },
  involvedObject: { kind: "Pod", name: "web", namespace: "default" },
  related: { kind: "Node", name: "n1" },
  reason: "Scheduled",
  message: "went well",
  type: "Normal",
  action: "Binding",
  reportingComponent: "scheduler",
  reportingInstance: "s-0",
  source: { component: "scheduler" },
  eventTime: "2026-01-01T00:50:00.000000Z",
  firstTimestamp: "2026-01-01T00:50:00Z",
  lastTimestamp: "2026-01-01T00:55:00Z",
  count: 2,
  series: { count: 2, lastObservedTime: "2026-01-01T00:55:00.000000Z" },
};
const here: EventsV1Event = {
  apiVersion: "events.k8s.io/v1",
  kind: "Event",
  metadata: { name: "e", namespace: "default", labels: { a: "b" } },
  regarding: { kind: "Pod", name: "web", namespace: "default" },
  related: { kind: "Node", name: "n1" },
  reason: "Scheduled",
  note: "went well",
  type: "Normal",
  action: "Binding",
  reportingController: "scheduler",
  reportingInstance: "s-0",
  deprecatedSource: { component: "scheduler" },
  eventTime: "2026-01-01T00:50:00.000000Z",
  deprecatedFirstTimestamp: "2026-01-01T00:50:00Z",
  deprecatedLastTimestamp: "2026-01-01T00:55:00Z",
  deprecatedCount: 2,
  series: { count: 2, lastObservedTime: "2026-01-01T00:55:00.000000Z" },
};

test("each field of an event has its place in both versions", () => {
  expect(newStyleEvents.view?.of).toBe(events);
  expect(newStyleEvents.view?.fromStored(core)).toEqual(here);
  expect(newStyleEvents.view?.toStored(here)).toEqual(core);
});

test("an event without times and counts gets none on the way", () => {
  const bare = { apiVersion: "v1", kind: "Event", metadata: { name: "e" }, involvedObject: {} };
  const seen = newStyleEvents.view?.fromStored(bare);
  expect(seen).toEqual({ apiVersion: "events.k8s.io/v1", kind: "Event", metadata: { name: "e" }, regarding: {} });
  expect(newStyleEvents.view?.toStored({ metadata: {} })).toMatchObject({ involvedObject: {} });
});

test("kubectl get shows the same of both", () => {
  expect(headings(newStyleEvents)).toBe(headings(events));
  expect(row(newStyleEvents, here, true)).toEqual(row(events, core, true));
  expect(row(newStyleEvents, here)).toEqual(["5m", "Normal", "Scheduled", "pod/web", "went well"]);
});

test("selectors have the names of this version", () => {
  const labels = newStyleEvents.view?.fieldLabels ?? {};
  expect(labels).toEqual({
    reason: "reason",
    "regarding.apiVersion": "involvedObject.apiVersion",
    "regarding.fieldPath": "involvedObject.fieldPath",
    "regarding.kind": "involvedObject.kind",
    "regarding.name": "involvedObject.name",
    "regarding.namespace": "involvedObject.namespace",
    "regarding.resourceVersion": "involvedObject.resourceVersion",
    "regarding.uid": "involvedObject.uid",
    reportingController: "reportingComponent",
    type: "type",
  });
  expect(Object.values(labels).filter((label) => !(label in events.selectableFields))).toEqual([]);
});

describe("a new event is refused without", () => {
  const { apiVersion: _, kind: __, ...manifest } = here;
  test.each([
    ["eventTime", "eventTime: Required value"],
    ["reportingController", "reportingController: Required value"],
    ["reportingInstance", "reportingInstance: Required value"],
    ["action", "action: Required value"],
    ["reason", "reason: Required value"],
  ])("%s", (field, message) => {
    expect(complaints(newStyleEvents, created(newStyleEvents, manifest))).toEqual([]);
    const without = Object.fromEntries(Object.entries(manifest).filter(([key]) => key !== field));
    expect(complaints(newStyleEvents, created(newStyleEvents, without))).toContain(message);
  });

  test("but one that core/v1 wrote may be changed", () => {
    const { eventTime: ___, ...old } = here;
    expect(complaints(newStyleEvents, old as EventsV1Event, old as EventsV1Event)).toEqual([]);
  });
});
