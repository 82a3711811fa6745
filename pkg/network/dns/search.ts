/**
 * Spares clients the `ndots:5` chain. A Pod that wants `example.com` asks for `example.com.NS.svc.cluster.local` first,
 * then for three or more other names, each of which is none. The server knows the Pod's namespace, hence what the Pod
 * would ask next, and answers the first question with the end of the chain, as CoreDNS' autopath does. Pure.
 */
import { canonical, prefixIn } from "./names.ts";

export interface SearchInput {
  /** What is asked for. */
  readonly name: string;
  /** The asking Pod's. */
  readonly namespace: string;
  readonly domain: string;
  /** Of the host: Pods have them after the cluster's own. */
  readonly hostSearches: readonly string[];
}

/**
 * What the Pod would ask for after this name; nothing where this is not the first of such a chain. A word without a dot
 * is asked for within the cluster only: nobody outside is told which Services Pods look for.
 */
export function laterNames(i: SearchInput): readonly string[] {
  const wanted = prefixIn(canonical(i.name), `${i.namespace}.svc.${i.domain}`);
  if (!wanted) return [];
  const inCluster = [`svc.${i.domain}`, i.domain];
  if (!wanted.includes(".")) return inCluster.map((suffix) => `${wanted}.${suffix}`);
  return [...[...inCluster, ...i.hostSearches.map(canonical)].map((suffix) => `${wanted}.${suffix}`), wanted];
}
