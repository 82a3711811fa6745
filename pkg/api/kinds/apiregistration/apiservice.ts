import { keep } from "../../equal.ts";
import type { APIService } from "../../generated/types.ts";
import { dns1035Label, dnsSubdomain, portNumber } from "../../names.ts";
import { nameOf } from "../../object.ts";
import type { ResourceDef } from "../../resource.ts";
import { rfc3339 } from "../../../util/clock.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import { type FieldErrors, invalidValue, required } from "../../validation/field.ts";
import { pathSegment } from "../../validation/domain.ts";
import { AGE, NAME } from "../columns.ts";
import { statusPart } from "../parts.ts";

const MAX_GROUP_PRIORITY = 20_000;
const MAX_VERSION_PRIORITY = 1_000;

/** What this server serves itself is there as long as it is. */
const LOCAL = {
  type: "Available",
  status: "True",
  reason: "Local",
  message: "Local APIServices are always available",
};

export const apiServices: ResourceDef<APIService> = {
  group: "apiregistration.k8s.io",
  version: "v1",
  kind: "APIService",
  plural: "apiservices",
  singular: "apiservice",
  shortNames: [],
  categories: ["api-extensions"],
  namespaced: false,
  generations: false,
  schema: "APIService",
  validateName: pathSegment,
  setDefaults(o) {
    if (o.spec?.service) o.spec.service.port ??= 443;
  },
  prepareForCreate(o, { now }) {
    o.status = o.spec?.service ? {} : { conditions: [{ ...LOCAL, lastTransitionTime: rfc3339(now) }] };
  },
  prepareForUpdate: (next, old) => keep(next, old, "status"),
  validate,
  subresources: { status: statusPart() },
  selectableFields: {},
  columns: [
    NAME,
    {
      name: "Service",
      type: "string",
      description: "The reference to the service that hosts this API endpoint.",
      cell: ({ spec }) => (spec?.service ? `${spec.service.namespace}/${spec.service.name}` : "Local"),
    },
    { name: "Available", type: "string", description: "Whether this service is available.", cell: available },
    AGE,
  ],
};

function available({ status }: DeepReadonly<APIService>): string {
  const found = status?.conditions?.find((c) => c.type === "Available");
  if (!found) return "Unknown";
  return found.status === "True" ? "True" : `${found.status} (${found.reason ?? ""})`;
}

function validate(o: DeepReadonly<APIService>): FieldErrors {
  const spec = o.spec ?? { groupPriorityMinimum: 0, versionPriority: 0 };
  const { group = "", version = "" } = spec;
  const name = `${version}.${group}`;
  const joined = (field: string, value: string, errors: readonly string[]) =>
    errors.length ? [invalidValue(field, value, errors.join(","))] : [];
  const priority = (field: "groupPriorityMinimum" | "versionPriority", max: number) =>
    spec[field] > 0 && spec[field] <= max
      ? []
      : [invalidValue(`spec.${field}`, spec[field] ?? 0, `must be positive and less than ${max}`)];
  return [
    ...(nameOf(o) === name
      ? []
      : [invalidValue("metadata.name", nameOf(o), `must be \`spec.version+"."+spec.group\`: "${name}"`)]),
    ...(group === "" && version !== "v1"
      ? [required("spec.group", "only v1 may have an empty group and it better be legacy kube")]
      : []),
    ...(group ? joined("spec.group", group, dnsSubdomain(group)) : []),
    ...joined("spec.version", version, dns1035Label(version)),
    ...priority("groupPriorityMinimum", MAX_GROUP_PRIORITY),
    ...priority("versionPriority", MAX_VERSION_PRIORITY),
    ...validateService(spec),
  ];
}

function validateService(spec: DeepReadonly<NonNullable<APIService["spec"]>>): FieldErrors {
  const { service, caBundle, insecureSkipTLSVerify: insecure } = spec;
  const tls = "spec.insecureSkipTLSVerify";
  if (!service) {
    return [
      ...(caBundle ? [invalidValue("spec.caBundle", caBundle, "local APIServices may not have a caBundle")] : []),
      ...(insecure ? [invalidValue(tls, true, "local APIServices may not have insecureSkipTLSVerify")] : []),
    ];
  }
  const { port = 443 } = service;
  return [
    ...(service.namespace ? [] : [required("spec.service.namespace")]),
    ...(service.name ? [] : [required("spec.service.name")]),
    ...portNumber(port).map((why) => invalidValue("spec.service.port", port, `port is not valid: ${why}`)),
    ...(insecure && caBundle ? [invalidValue(tls, true, "may not be true if caBundle is present")] : []),
  ];
}
