/** NamespaceLifecycle: three namespaces stay. That nothing is born into one that is going is the registry's to see. */
import type { AdmissionPlugin } from "../admission.ts";
import { forbidden, isResource } from "./refuse.ts";

const IMMORTAL: ReadonlySet<string> = new Set(["default", "kube-system", "kube-public"]);

export const namespaceLifecycle: AdmissionPlugin = {
  name: "NamespaceLifecycle",
  mutate(r) {
    if (r.operation === "DELETE" && isResource(r, "", "namespaces") && IMMORTAL.has(r.name)) {
      throw forbidden(r, "this namespace may not be deleted");
    }
  },
};
