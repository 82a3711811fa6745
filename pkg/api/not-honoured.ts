/**
 * What is stored and served though it does not do, or not fully do, what it does in Kubernetes. Whoever writes such an
 * object is told in a Warning; docs/api.md lists it all. Who teaches the cluster one of these takes its row away.
 */
import { own } from "../util/keys.ts";
import type { DeepReadonly } from "../util/types.ts";
import type { PodSpec } from "./generated/types.ts";
import type { ApiObject } from "./object.ts";
import type { ResourceDef } from "./resource.ts";
import { refusedFields, unsupportedFields } from "./unsupported.ts";

/** `PLURAL` or `PLURAL.GROUP` → what does not happen. */
export const NOT_HONOURED: Readonly<Record<string, string>> = {
  "volumeattachments.storage.k8s.io": "nothing is attached by it",
  "apiservices.apiregistration.k8s.io": "requests are not handed on to other servers",
};

export const resourceName = (def: Pick<ResourceDef, "group" | "plural">): string =>
  def.group ? `${def.plural}.${def.group}` : def.plural;

/** Where Pods' specs are within the kinds that have them. */
const POD_SPECS: Readonly<Record<string, readonly string[]>> = {
  pods: [],
  podtemplates: ["template"],
  replicationcontrollers: ["spec", "template"],
  "deployments.apps": ["spec", "template"],
  "replicasets.apps": ["spec", "template"],
  "statefulsets.apps": ["spec", "template"],
  "daemonsets.apps": ["spec", "template"],
  "jobs.batch": ["spec", "template"],
  "cronjobs.batch": ["spec", "jobTemplate", "spec", "template"],
};

/** What to tell whoever has written this object. */
export function notHonoured(def: ResourceDef, object: DeepReadonly<ApiObject>): readonly string[] {
  const name = resourceName(def);
  const missing = own(NOT_HONOURED, name);
  const path = own(POD_SPECS, name);
  const pod = path ? at(object, path) : {};
  const where = (field: string) => [...(path ?? []), field].join(".");
  return [
    ...(missing === undefined ? [] : [`${name} are kept but not acted on yet: ${missing}`]),
    ...unsupportedFields(pod).map((field) => `${where(field)}: not supported yet, ignored`),
    ...refusedFields(pod).map((field) => `${where(field)}: not supported, the Pod will not start`),
  ];
}

function at(object: object, path: readonly string[]): { readonly spec?: DeepReadonly<PodSpec> } {
  return path.reduce((o, step) => (o as Readonly<Record<string, object | undefined>>)[step] ?? {}, object);
}
