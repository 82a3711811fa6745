/** StorageObjectInUseProtection: volumes and claims have their finalizer from the start; who removes it is a controller. */
import { own } from "../../util/keys.ts";
import type { AdmissionPlugin } from "../admission.ts";
import { isResource } from "./refuse.ts";

const FINALIZERS: Readonly<Record<string, string>> = {
  persistentvolumes: "kubernetes.io/pv-protection",
  persistentvolumeclaims: "kubernetes.io/pvc-protection",
};

export const inUseProtection: AdmissionPlugin = {
  name: "StorageObjectInUseProtection",
  mutate(r) {
    const finalizer = own(FINALIZERS, r.def.plural);
    if (r.operation !== "CREATE" || r.subresource !== "" || !r.object || finalizer === undefined) return;
    const { metadata } = r.object;
    if (!isResource(r, "", r.def.plural) || metadata.finalizers?.includes(finalizer)) return;
    metadata.finalizers = [...(metadata.finalizers ?? []), finalizer];
  },
};
