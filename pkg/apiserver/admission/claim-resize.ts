/** PersistentVolumeClaimResize: a claim grows only if its class says that its volumes can. */
import type { PersistentVolumeClaim } from "../../api/generated/types.ts";
import { storageClasses } from "../../api/kinds/storage/storageclass.ts";
import { storageClassOf } from "../../api/quota/usage.ts";
import { parseList, ZERO } from "../../api/resource-list.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { AdmissionPlugin } from "../admission.ts";
import { forbidden, isResource } from "./refuse.ts";

type Claim = DeepReadonly<PersistentVolumeClaim>;

export const claimResize: AdmissionPlugin = {
  name: "PersistentVolumeClaimResize",
  validate(r, view) {
    if (r.operation !== "UPDATE" || r.subresource || !isResource(r, "", "persistentvolumeclaims")) return;
    const [next, old] = [r.object as Claim, r.old as Claim];
    if (sizeOf(next) <= sizeOf(old)) return;
    if (old.status?.phase !== "Bound") throw forbidden(r, "Only bound persistent volume claims can be expanded");
    const name = storageClassOf(next);
    const found = name && name === storageClassOf(old) ? view.get(storageClasses, "", name) : undefined;
    if (found?.allowVolumeExpansion) return;
    throw forbidden(
      r,
      "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize",
    );
  },
};

function sizeOf(claim: Claim): bigint {
  return (parseList(claim.spec?.resources?.requests).get("storage") ?? ZERO).nano;
}
