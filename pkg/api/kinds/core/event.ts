import { humanAge } from "../../duration.ts";
import type { CoreV1Event } from "../../generated/types.ts";
import { qualifiedName } from "../../names.ts";
import type { ResourceDef } from "../../resource.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import { checkedRequired, type FieldErrors, invalidValue, required, tooLong } from "../../validation/field.ts";
import { byteLength } from "../../validation/meta.ts";
import { NAME } from "../columns.ts";

type Event = DeepReadonly<CoreV1Event>;

export const events: ResourceDef<CoreV1Event> = {
  group: "",
  version: "v1",
  kind: "Event",
  plural: "events",
  singular: "event",
  shortNames: ["ev"],
  categories: [],
  namespaced: true,
  schema: "CoreV1Event",
  // A struct in Go, so it is always there.
  setDefaults: (o) => void (o.involvedObject ??= {}),
  validate: (next) => [...validateNamespace(next), ...(next.eventTime ? validateNewStyle(next) : [])],
  ttlSeconds: 24 * 3600,
  maxObjects: 20_000,
  subresources: {},
  selectableFields: {
    "involvedObject.kind": (o) => o.involvedObject.kind ?? "",
    "involvedObject.namespace": (o) => o.involvedObject.namespace ?? "",
    "involvedObject.name": (o) => o.involvedObject.name ?? "",
    "involvedObject.uid": (o) => o.involvedObject.uid ?? "",
    "involvedObject.apiVersion": (o) => o.involvedObject.apiVersion ?? "",
    "involvedObject.resourceVersion": (o) => o.involvedObject.resourceVersion ?? "",
    "involvedObject.fieldPath": (o) => o.involvedObject.fieldPath ?? "",
    reason: (o) => o.reason ?? "",
    reportingComponent: (o) => o.reportingComponent ?? "",
    source: (o) => o.source?.component || (o.reportingComponent ?? ""),
    type: (o) => o.type ?? "",
  },
  columns: [
    { name: "Last Seen", type: "string", description: "When it happened last.", cell: lastSeen },
    { name: "Type", type: "string", description: "Normal or Warning.", cell: (o) => o.type ?? "" },
    { name: "Reason", type: "string", description: "Why, in one word.", cell: (o) => o.reason ?? "" },
    { name: "Object", type: "string", description: "The object this event is about.", cell: about },
    {
      name: "Subobject",
      type: "string",
      description: "The part of the object.",
      wide: true,
      cell: (o) => o.involvedObject.fieldPath ?? "",
    },
    { name: "Source", type: "string", description: "The component that reports.", wide: true, cell: source },
    { name: "Message", type: "string", description: "What happened.", cell: (o) => (o.message ?? "").trim() },
    { name: "First Seen", type: "string", description: "When it happened first.", wide: true, cell: firstSeen },
    { name: "Count", type: "string", description: "How often it happened.", wide: true, cell: count },
    { ...NAME, wide: true },
  ],
};

function validateNamespace(o: Event): FieldErrors {
  const about = o.involvedObject.namespace ?? "";
  const own = o.metadata.namespace ?? "";
  // What has no namespace is reported in "default", or by new-style reporters in "kube-system".
  const matches = about ? about === own : own === "" || own === "default" || (o.eventTime && own === "kube-system");
  return matches ? [] : [invalidValue("involvedObject.namespace", about, "does not match event.namespace")];
}

/** Events with an eventTime follow events.k8s.io/v1, which asks for more. */
function validateNewStyle(o: Event): FieldErrors {
  const bounded = (field: string, value: string | undefined, max: number) =>
    byteLength(value ?? "") > max ? [tooLong(field, max)] : [];
  return [
    ...checkedRequired("reportingController", o.reportingComponent, qualifiedName),
    ...(o.reportingInstance ? bounded("reportingInstance", o.reportingInstance, 128) : [required("reportingInstance")]),
    ...(o.action ? bounded("action", o.action, 128) : [required("action")]),
    ...(o.reason ? bounded("reason", o.reason, 128) : [required("reason")]),
    ...bounded("message", o.message, 1024),
  ];
}

function firstSeen(o: Event, now: number): string {
  return humanAge(o.firstTimestamp || o.eventTime, now);
}

function lastSeen(o: Event, now: number): string {
  if (o.series) return humanAge(o.series.lastObservedTime, now);
  return o.lastTimestamp ? humanAge(o.lastTimestamp, now) : firstSeen(o, now);
}

function count(o: Event): number {
  return o.series?.count ?? (o.count || 1);
}

function about(o: Event): string {
  const { kind, name } = o.involvedObject;
  return name ? `${(kind ?? "").toLowerCase()}/${name}` : (kind ?? "").toLowerCase();
}

function source(o: Event): string {
  const component = o.source?.component || (o.reportingComponent ?? "");
  const instance = o.source?.host || (o.reportingInstance ?? "");
  return instance ? `${component}, ${instance}` : component;
}
