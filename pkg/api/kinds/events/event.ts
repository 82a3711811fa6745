/**
 * Events as events.k8s.io/v1 has them: the same objects as core/v1's, under the names that reporters of the new style
 * use. What the new names lack is there as `deprecated…`, so that nothing is lost on the way to and fro.
 */
import type { CoreV1Event, EventsV1Event } from "../../generated/types.ts";
import type { ApiObject } from "../../object.ts";
import type { Column, ResourceDef } from "../../resource.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import { deepClone } from "../../equal.ts";
import { required } from "../../validation/field.ts";
import { events } from "../core/event.ts";

/** Fields with two names: core's, and the one here. All others are the same. */
const RENAMED: readonly (readonly [core: keyof CoreV1Event, here: keyof EventsV1Event])[] = [
  ["involvedObject", "regarding"],
  ["message", "note"],
  ["reportingComponent", "reportingController"],
  ["source", "deprecatedSource"],
  ["firstTimestamp", "deprecatedFirstTimestamp"],
  ["lastTimestamp", "deprecatedLastTimestamp"],
  ["count", "deprecatedCount"],
];
const TO_CORE: ReadonlyMap<string, string> = new Map(RENAMED.map(([core, here]) => [here, core]));
const FROM_CORE: ReadonlyMap<string, string> = new Map(RENAMED);

function rename(o: object, names: ReadonlyMap<string, string>): Record<string, unknown> {
  const copy = deepClone(o) as Record<string, unknown>;
  return Object.fromEntries(Object.entries(copy).map(([key, value]) => [names.get(key) ?? key, value]));
}

function toCore(o: DeepReadonly<ApiObject>): CoreV1Event {
  const renamed = rename(o, TO_CORE) as Partial<CoreV1Event>;
  return {
    ...renamed,
    apiVersion: "v1",
    kind: "Event",
    metadata: renamed.metadata ?? {},
    involvedObject: renamed.involvedObject ?? {},
  };
}

function fromCore(o: DeepReadonly<ApiObject>): EventsV1Event {
  const renamed = rename(o, FROM_CORE) as Partial<EventsV1Event>;
  return {
    ...renamed,
    apiVersion: "events.k8s.io/v1",
    kind: "Event",
    metadata: renamed.metadata ?? {},
  } as EventsV1Event;
}

/** The labels of core's field selectors, by their names here. */
const FIELD_LABELS: Readonly<Record<string, string>> = Object.fromEntries(
  Object.keys(events.selectableFields).flatMap((label) => {
    if (label === "source") return [];
    const [first = "", ...rest] = label.split(".");
    return [[[FROM_CORE.get(first) ?? first, ...rest].join("."), label]];
  }),
);

export const newStyleEvents: ResourceDef<EventsV1Event> = {
  group: "events.k8s.io",
  version: "v1",
  kind: "Event",
  plural: "events",
  singular: "event",
  shortNames: ["ev"],
  categories: [],
  namespaced: true,
  schema: "EventsV1Event",
  // What is new must be of the new style; what core/v1 wrote may be changed here.
  validate: (next, old) => [
    ...(next.eventTime || old ? [] : [required("eventTime")]),
    ...(events.validate?.(toCore(next), old && toCore(old)) ?? []),
  ],
  view: { of: events as unknown as ResourceDef, toStored: toCore, fromStored: fromCore, fieldLabels: FIELD_LABELS },
  subresources: {},
  selectableFields: {},
  columns: events.columns.map((c): Column<EventsV1Event> => ({ ...c, cell: (o, now) => c.cell(toCore(o), now) })),
};
