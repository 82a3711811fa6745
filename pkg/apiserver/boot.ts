/** Objects that every cluster has. Created at each start where they are missing; what a user made of them stays. */
import type { ApiObject } from "../api/object.ts";
import { systemPriorityClasses } from "./admission/priority.ts";

const namespace = (name: string): ApiObject => ({ apiVersion: "v1", kind: "Namespace", metadata: { name } });

/** In the order in which they need each other; those of one row are made at once. */
export const bootObjects: readonly (readonly ApiObject[])[] = [
  ["default", "kube-system", "kube-public", "kube-node-lease"].map(namespace),
  systemPriorityClasses,
];
