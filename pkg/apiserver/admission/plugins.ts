/** The chain, in the order in which the plugins see a request; Kubernetes' order where it has them. */
import type { AdmissionPlugin } from "../admission.ts";

export const defaultPlugins: readonly AdmissionPlugin[] = [];
