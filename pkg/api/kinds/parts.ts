/** Subresources that many kinds have. */
import type { DeepReadonly } from "../../util/types.ts";
import { keep } from "../equal.ts";
import type { LabelSelector, Scale } from "../generated/types.ts";
import type { ApiObject } from "../object.ts";
import type { Subresource } from "../resource.ts";
import type { FieldError } from "../status.ts";
import { notNegative } from "../validation/field.ts";
import { labelsText, selectorText } from "./pod-template.ts";

/** A report changes nothing that is desired. */
export function statusPart<T extends ApiObject & { spec?: unknown }>(
  validate?: (next: DeepReadonly<T>, old: DeepReadonly<T>) => readonly FieldError[],
): Subresource<T> {
  return {
    type: "part",
    prepareForUpdate: (next, old) => keep<T>(next, old, "spec"),
    ...(validate && { validate }),
  };
}

interface Scalable<S> extends ApiObject {
  spec?: { replicas?: number; selector?: S };
  status?: { replicas?: number };
}

/** Of what is scaled by one number: what `kubectl scale` and autoscalers read and write. */
function scaleFacet<S>(selector: (o: DeepReadonly<Scalable<S>>) => string): Subresource<Scalable<S>> {
  return {
    type: "facet",
    of: { group: "autoscaling", version: "v1", kind: "Scale", schema: "Scale" },
    read(o): Scale {
      const { name, namespace, uid, resourceVersion, creationTimestamp } = (o as Scalable<S>).metadata;
      const identity = { name, namespace, uid, resourceVersion, creationTimestamp };
      const known = Object.entries(identity).filter(([, v]) => v !== undefined);
      const { spec, status } = o as Scalable<S>;
      return {
        apiVersion: "autoscaling/v1",
        kind: "Scale",
        metadata: Object.fromEntries(known),
        spec: { replicas: spec?.replicas ?? 0 },
        status: { replicas: status?.replicas ?? 0, selector: selector(o) },
      };
    },
    write(o, facet) {
      o.spec = { ...o.spec, replicas: (facet as DeepReadonly<Scale>).spec?.replicas ?? 0 };
    },
    validate: (facet) => notNegative("spec.replicas", (facet as DeepReadonly<Scale>).spec?.replicas),
  };
}

export const scale = scaleFacet<LabelSelector>((o) => selectorText(o.spec?.selector));
/** ReplicationControllers select by labels alone. */
export const scaleByLabels = scaleFacet<Record<string, string>>((o) => labelsText(o.spec?.selector));
