/** DefaultStorageClass and DefaultIngressClass: the class of what names none. */
import type { Ingress, PersistentVolumeClaim } from "../../api/generated/types.ts";
import { ingressClasses } from "../../api/kinds/networking/ingressclass.ts";
import { storageClasses } from "../../api/kinds/storage/storageclass.ts";
import { type ApiObject, nameOf } from "../../api/object.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { AdmissionPlugin, AdmissionRequest } from "../admission.ts";
import { isResource } from "./refuse.ts";

const STORAGE_DEFAULTS = [
  "storageclass.kubernetes.io/is-default-class",
  "storageclass.beta.kubernetes.io/is-default-class",
];
const INGRESS_DEFAULTS = ["ingressclass.kubernetes.io/is-default-class"];
/** Older ways to name a class. */
const STORAGE_ANNOTATION = "volume.beta.kubernetes.io/storage-class";
const INGRESS_ANNOTATION = "kubernetes.io/ingress.class";

export const defaultStorageClass: AdmissionPlugin = {
  name: "DefaultStorageClass",
  mutate(r, view) {
    if (!creates(r, "", "persistentvolumeclaims")) return;
    const claim = r.object as PersistentVolumeClaim;
    const named =
      claim.spec?.storageClassName !== undefined || STORAGE_ANNOTATION in (claim.metadata.annotations ?? {});
    if (!claim.spec || named) return;
    const found = newestDefault(view.list(storageClasses), STORAGE_DEFAULTS);
    if (found) claim.spec.storageClassName = nameOf(found);
  },
};

export const defaultIngressClass: AdmissionPlugin = {
  name: "DefaultIngressClass",
  mutate(r, view) {
    if (!creates(r, "networking.k8s.io", "ingresses")) return;
    const ingress = r.object as Ingress;
    const named =
      ingress.spec?.ingressClassName !== undefined || INGRESS_ANNOTATION in (ingress.metadata.annotations ?? {});
    if (!ingress.spec || named) return;
    const found = newestDefault(view.list(ingressClasses), INGRESS_DEFAULTS);
    if (found) ingress.spec.ingressClassName = nameOf(found);
  },
};

function creates(r: AdmissionRequest, group: string, plural: string): boolean {
  return r.operation === "CREATE" && r.subresource === "" && isResource(r, group, plural);
}

/** Of several the youngest, then the first by name. */
export function newestDefault<T extends ApiObject>(
  classes: Iterable<DeepReadonly<T>>,
  annotations: readonly string[],
): DeepReadonly<T> | undefined {
  const meta = (c: DeepReadonly<T>) => (c as DeepReadonly<ApiObject>).metadata;
  const defaults = [...classes].filter((c) => annotations.some((a) => meta(c).annotations?.[a] === "true"));
  const born = (c: DeepReadonly<T>) => Date.parse(meta(c).creationTimestamp ?? "") || 0;
  const name = (c: DeepReadonly<T>) => meta(c).name ?? "";
  return defaults.sort((a, b) => born(b) - born(a) || (name(a) < name(b) ? -1 : 1))[0];
}
