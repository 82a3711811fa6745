/** How the proxies of the nodes tell each other, and the agents, which EndpointSlices are in their data path. */

/** Where each proxy has a Lease of its own. */
export const PROXY_NAMESPACE = "kube-system";
export const proxyLeaseName = (node: string) => `service-proxy.${node}`;
/** The cluster's DNS: one Service, and of each node a slice with its own server. */
export const DNS_NAMESPACE = "kube-system";
export const DNS_SERVICE = "kube-dns";
export const dnsSliceName = (node: string) => `${DNS_SERVICE}-${node}`;
export const PROXY_LABEL = "mini-kube.io/component";
export const PROXY_LABELS = { [PROXY_LABEL]: "service-proxy" };
/** On the Lease: every EndpointSlice up to this resourceVersion is in the node's data path. */
export const APPLIED_REVISION = "mini-kube.io/applied-revision";
