/** How the proxies of the nodes tell each other, and the agents, which EndpointSlices are in their data path. */

/** Where each proxy has a Lease of its own. */
export const PROXY_NAMESPACE = "kube-system";
export const proxyLeaseName = (node: string) => `service-proxy.${node}`;
export const PROXY_LABEL = "mini-kube.io/component";
export const PROXY_LABELS = { [PROXY_LABEL]: "service-proxy" };
/** On the Lease: every EndpointSlice up to this resourceVersion is in the node's data path. */
export const APPLIED_REVISION = "mini-kube.io/applied-revision";
