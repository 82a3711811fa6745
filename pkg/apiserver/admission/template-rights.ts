/**
 * Nobody reads or writes through a Template what he could not himself: who writes one may list and watch all that it
 * watches, and create and update its output.
 */
import { onResource } from "../../api/rbac/attributes.ts";
import { splitResource, type TemplateObject, templates } from "../../api/template/kind.ts";
import type { AdmissionPlugin, AdmissionRequest, ClusterView } from "../admission.ts";
import { decide } from "../auth/authorization.ts";
import { forbidden, isResource } from "./refuse.ts";

export const templateRights: AdmissionPlugin = {
  name: "TemplateRights",
  validate(r, view) {
    if (r.subresource !== "" || !isResource(r, templates.group, templates.plural)) return;
    if ((r.operation !== "CREATE" && r.operation !== "UPDATE") || !r.object) return;
    const { spec } = r.object as TemplateObject;
    for (const { resource } of spec.watch ?? []) for (const verb of ["list", "watch"]) need(r, view, verb, resource);
    const output = spec.output.kind === "Secret" ? "secrets" : "configmaps";
    for (const verb of ["create", "update"]) need(r, view, verb, output);
  },
};

function need(r: AdmissionRequest, view: ClusterView, verb: string, what: string): void {
  const { plural: resource, group: apiGroup } = splitResource(what);
  const asked = onResource(r.user, verb, { apiGroup, resource, namespace: r.namespace });
  if (decide(asked, view).allowed) return;
  throw forbidden(
    r,
    `user ${JSON.stringify(r.user.name)} may not ${verb} ${what} in namespace ${JSON.stringify(r.namespace)}, as this Template would`,
  );
}
