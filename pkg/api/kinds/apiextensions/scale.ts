/** The scale of custom objects: where their CRD says that the counts are. */
import type { CustomResourceSubresourceScale, Scale } from "../../generated/types.ts";
import type { ApiObject } from "../../object.ts";
import type { Subresource } from "../../resource.ts";
import { notNegative } from "../../validation/field.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import { readPath, stepsOf, writePath } from "./paths.ts";

type Facet = Extract<Subresource<ApiObject>, { type: "facet" }>;

export function customScale(paths: DeepReadonly<CustomResourceSubresourceScale>): Facet {
  const [spec, status] = [stepsOf(paths.specReplicasPath), stepsOf(paths.statusReplicasPath)];
  const selector = paths.labelSelectorPath ? stepsOf(paths.labelSelectorPath) : undefined;
  const count = (o: unknown, at: readonly string[]) => {
    const value = readPath(o, at);
    return typeof value === "number" ? value : 0;
  };
  return {
    type: "facet",
    of: { group: "autoscaling", version: "v1", kind: "Scale", schema: "Scale" },
    read(o): Scale {
      const { name, namespace, uid, creationTimestamp, resourceVersion } = o.metadata;
      const text = selector && readPath(o, selector);
      return {
        metadata: {
          ...(name !== undefined && { name }),
          ...(namespace !== undefined && { namespace }),
          ...(uid !== undefined && { uid }),
          ...(resourceVersion !== undefined && { resourceVersion }),
          ...(creationTimestamp !== undefined && { creationTimestamp }),
        },
        spec: { replicas: count(o, spec) },
        status: { replicas: count(o, status), ...(typeof text === "string" && { selector: text }) },
      };
    },
    write: (o, facet) => writePath(o, spec, (facet as DeepReadonly<Scale>).spec?.replicas ?? 0),
    validate: (facet) => notNegative("spec.replicas", (facet as DeepReadonly<Scale>).spec?.replicas),
  };
}
