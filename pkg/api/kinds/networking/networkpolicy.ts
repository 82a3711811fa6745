import type { IPBlock, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort } from "../../generated/types.ts";
import { portName, portNumber } from "../../names.ts";
import type { ResourceDef } from "../../resource.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import { each, type FieldErrors, forbidden, invalidValue, oneOf, required } from "../../validation/field.ts";
import { contains, parseCidr, validateCidr } from "../../validation/ip.ts";
import { validateLabelSelector } from "../../validation/selector.ts";
import { PROTOCOLS } from "../../validation/service.ts";
import { AGE, NAME } from "../columns.ts";
import { orNone, selectorText } from "../pod-template.ts";

const TYPES = ["Ingress", "Egress"];

export const networkPolicies: ResourceDef<NetworkPolicy> = {
  group: "networking.k8s.io",
  version: "v1",
  kind: "NetworkPolicy",
  plural: "networkpolicies",
  singular: "networkpolicy",
  shortNames: ["netpol"],
  categories: [],
  namespaced: true,
  generations: true,
  schema: "NetworkPolicy",
  setDefaults(o) {
    const spec = (o.spec ??= {});
    spec.podSelector ??= {};
    // A policy always speaks of ingress; of egress only if it has rules for it.
    if (!spec.policyTypes?.length) spec.policyTypes = spec.egress?.length ? ["Ingress", "Egress"] : ["Ingress"];
    for (const rule of [...(spec.ingress ?? []), ...(spec.egress ?? [])]) {
      for (const p of rule.ports ?? []) p.protocol ||= "TCP";
    }
  },
  validate,
  subresources: {},
  selectableFields: {},
  columns: [
    NAME,
    { name: "Pod-Selector", type: "string", cell: (o) => orNone(selectorText(o.spec?.podSelector)) },
    AGE,
  ],
};

function validate({ spec = {} }: DeepReadonly<NetworkPolicy>): FieldErrors {
  const types = spec.policyTypes ?? [];
  return [
    ...validateLabelSelector(spec.podSelector, "spec.podSelector"),
    ...each("spec.ingress", spec.ingress, (rule, at) => [
      ...each(`${at}.ports`, rule.ports, validatePort),
      ...each(`${at}.from`, rule.from, validatePeer),
    ]),
    ...each("spec.egress", spec.egress, (rule, at) => [
      ...each(`${at}.ports`, rule.ports, validatePort),
      ...each(`${at}.to`, rule.to, validatePeer),
    ]),
    ...(types.length > TYPES.length
      ? [invalidValue("spec.policyTypes", types, "may not specify more than two policyTypes")]
      : each("spec.policyTypes", types, (t, at) => oneOf(at, t, TYPES))),
  ];
}

function validatePort(p: DeepReadonly<NetworkPolicyPort>, at: string): FieldErrors {
  return [...oneOf(`${at}.protocol`, p.protocol, PROTOCOLS), ...validatePortRange(p.port, p.endPort, at)];
}

function validatePortRange(port: number | string | undefined, end: number | undefined, at: string): FieldErrors {
  const wrongEnd = (why: string) => (end === undefined ? [] : [invalidValue(`${at}.endPort`, end, why)]);
  if (port === undefined) return wrongEnd("may not be specified when `port` is not specified");
  if (typeof port === "string") {
    return [
      ...wrongEnd("may not be specified when `port` is non-numeric"),
      ...portName(port).map((why) => invalidValue(`${at}.port`, port, why)),
    ];
  }
  return [
    ...portNumber(port).map((why) => invalidValue(`${at}.port`, port, why)),
    ...(end !== undefined && end < port ? wrongEnd("must be greater than or equal to `port`") : []),
    ...(end === undefined ? [] : portNumber(end).flatMap(wrongEnd)),
  ];
}

function validatePeer(p: DeepReadonly<NetworkPolicyPeer>, at: string): FieldErrors {
  const selects = p.podSelector !== undefined || p.namespaceSelector !== undefined;
  return [
    ...validateLabelSelector(p.podSelector, `${at}.podSelector`),
    ...validateLabelSelector(p.namespaceSelector, `${at}.namespaceSelector`),
    ...(p.ipBlock ? validateBlock(p.ipBlock, `${at}.ipBlock`) : []),
    ...(selects || p.ipBlock ? [] : [required(at, "must specify a peer")]),
    ...(selects && p.ipBlock ? [forbidden(at, "may not specify both ipBlock and another peer")] : []),
  ];
}

function validateBlock({ cidr, except }: DeepReadonly<IPBlock>, at: string): FieldErrors {
  if (!cidr) return [required(`${at}.cidr`)];
  const outer = parseCidr(cidr);
  return [
    ...validateCidr(cidr, `${at}.cidr`),
    ...each(outer ? `${at}.except` : "", outer ? except : [], (text, i) => {
      const inner = parseCidr(text);
      const strict = !outer || !inner || (contains(outer, inner) && inner.prefix > outer.prefix);
      return [
        ...validateCidr(text, i),
        ...(strict ? [] : [invalidValue(i, text, "must be a strict subset of `cidr`")]),
      ];
    }),
  ];
}
