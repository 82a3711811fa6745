/** Which Pods a NetworkPolicy speaks of: those it isolates, and those it lets in or out to. Pure. */
import type { NetworkPolicy, NetworkPolicyPeer } from "../../api/generated/types.ts";
import { namespaceOf } from "../../api/object.ts";
import { fromLabelSelector, type LabelSelectorObject, matchesLabels, type Selector } from "../../api/selectors.ts";
import type { DeepReadonly } from "../../util/types.ts";

export type ReadonlyPolicy = DeepReadonly<NetworkPolicy>;
export type ReadonlyPeer = DeepReadonly<NetworkPolicyPeer>;
export type Labels = Readonly<Record<string, string>>;
export type Direction = "ingress" | "egress";

/** What policies see of a Pod. Those on the host's network are the host to them, and not here. */
export interface PolicyPod {
  readonly namespace: string;
  readonly labels: Labels;
  /** IPv4 */
  readonly ip: string;
  /** With a name, of its containers. */
  readonly ports: readonly { readonly name: string; readonly protocol: string; readonly port: number }[];
  /** Runs on this node: here its policies are enforced. */
  readonly local: boolean;
}

export interface PolicyInput {
  readonly policies: readonly ReadonlyPolicy[];
  /** Of the whole cluster. */
  readonly pods: readonly PolicyPod[];
  readonly namespaces: ReadonlyMap<string, Labels>;
}

/** No value is among none. */
const NOTHING: Selector = [{ key: "", operator: "In", values: [] }];

const parsed = new WeakMap<object, Selector>();

function matches(selector: DeepReadonly<LabelSelectorObject> | undefined, labels: Labels): boolean {
  if (!selector) return true;
  let requirements = parsed.get(selector);
  if (!requirements) {
    requirements = fromLabelSelector(selector) ?? NOTHING;
    parsed.set(selector, requirements);
  }
  return matchesLabels(requirements, labels);
}

/** What is not said: always ingress, and egress where there are rules for it. */
export function directionsOf({ spec }: ReadonlyPolicy): readonly Direction[] {
  const types = spec?.policyTypes ?? (spec?.egress ? ["Ingress", "Egress"] : ["Ingress"]);
  return (["ingress", "egress"] as const).filter((d) => types.some((t) => t.toLowerCase() === d));
}

export function isolates(policy: ReadonlyPolicy, pod: Pick<PolicyPod, "namespace" | "labels">): boolean {
  return namespaceOf(policy) === pod.namespace && matches(policy.spec?.podSelector, pod.labels);
}

/** Of a peer that is no ipBlock. A Pod selector alone means the policy's own namespace. */
export function isPeer(
  peer: ReadonlyPeer,
  pod: PolicyPod,
  of: { readonly namespace: string } & Pick<PolicyInput, "namespaces">,
): boolean {
  const { podSelector, namespaceSelector } = peer;
  const inNamespace = namespaceSelector
    ? matches(namespaceSelector, of.namespaces.get(pod.namespace) ?? {})
    : pod.namespace === of.namespace;
  return inNamespace && matches(podSelector, pod.labels);
}
