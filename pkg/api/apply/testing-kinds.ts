/** Built-in kinds, and what a server does with them between decoding and storing, for tables of cases. */
import type { ApiObject } from "../object.ts";
import { ApiError } from "../status.ts";
import { parseYamlDocuments } from "../../util/yaml.ts";
import { type Apply, applyConfiguration } from "./apply.ts";
import { mergeTypeOf } from "./built-in.ts";
import { fieldsIn } from "./managers.ts";
import { trackApply, trackUpdate } from "./track.ts";

export const NOW = Date.parse("2026-01-01T00:00:00Z");
export const kind = (group: string, name: string): Apply["def"] => ({
  group,
  version: "v1",
  kind: name,
  schema: name,
  subresources: { status: { type: "part", prepareForUpdate: () => {} } },
});
export const deployments = kind("apps", "Deployment");
export const configMaps = { ...kind("", "ConfigMap"), subresources: {} };
export const services = kind("", "Service");
export const pods = kind("", "Pod");

export const yaml = (text: string) => parseYamlDocuments(text, "test")[0]?.value as Record<string, unknown>;

export interface How {
  readonly manager?: string;
  readonly force?: boolean;
  readonly subresource?: string;
  readonly now?: number;
}

export function apply(def: Apply["def"], live: ApiObject | undefined, text: string, how: How = {}): ApiObject {
  const { manager = "m", force = false, subresource = "", now = NOW } = how;
  const done = applyConfiguration({ def, live, applied: yaml(text), manager, force, subresource, now });
  const next = structuredClone(done.object) as unknown as ApiObject;
  trackApply(next, live, done.managedFields);
  return next;
}

export function update(def: Apply["def"], live: ApiObject | undefined, next: object, how: How = {}): ApiObject {
  const { manager = "u", subresource = "", now = NOW } = how;
  const made = structuredClone(next) as ApiObject;
  const apiVersion = def.group ? `${def.group}/v1` : "v1";
  trackUpdate({ def, type: mergeTypeOf(def), old: live, next: made, manager, apiVersion, subresource, now });
  return made;
}

export const fields = (o: ApiObject, manager: string) =>
  fieldsIn(o.metadata.managedFields?.find((e) => e.manager === manager));
export const managers = (o: ApiObject) =>
  (o.metadata.managedFields ?? []).map((e) => `${e.manager ?? ""} ${e.operation ?? ""}`);

export function refusal(attempt: () => unknown): ApiError {
  try {
    attempt();
  } catch (error) {
    if (error instanceof ApiError) return error;
    throw error;
  }
  throw new Error("it was not refused");
}

export const DATA = (data: string) =>
  `{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: default}, data: ${data}}`;

export const DEPLOYMENT = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: nginx
        ports: [{containerPort: 80}]
        env: [{name: A, value: "1"}]
        emptyDir: {}
      nodeSelector: {disk: ssd}
      tolerations: [{key: a}]
`.replace("        emptyDir: {}\n", "");
