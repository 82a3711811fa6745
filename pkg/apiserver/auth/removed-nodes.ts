/** Who was removed from the cluster stays out: its certificate holds for months, but not here. */
import type { IncomingMessage } from "node:http";
import type { TLSSocket } from "node:tls";
import { configMaps } from "../../api/kinds/core/configmap.ts";
import type { User } from "../../api/rbac/attributes.ts";
import { isRemoved, REMOVED_NODES } from "../../api/removed-nodes.ts";
import { ApiError } from "../../api/status.ts";
import { SKEW_MS } from "../../util/pki.ts";
import type { ClusterView } from "../admission.ts";
import { nodeIdentity } from "./node-authorizer.ts";

/** When the certificate of a connection was issued. */
const issued = new WeakMap<object, number>();

/** Throws Unauthorized for a node that was removed after its certificate had been issued; also on old connections. */
export function refuseRemoved(req: IncomingMessage, caller: User, view: ClusterView): void {
  const node = nodeIdentity(caller);
  if (node === undefined) return;
  const data = view.get(configMaps, REMOVED_NODES.namespace, REMOVED_NODES.name)?.data;
  if (!data || !isRemoved(data, node, issuedAt(req.socket as TLSSocket))) return;
  throw new ApiError("Unauthorized", `the node ${node} was removed from the cluster; join again with a new token`);
}

/** A certificate begins to hold a little before it is issued. */
function issuedAt(socket: TLSSocket): number {
  let at = issued.get(socket);
  if (at === undefined) {
    at = Date.parse(socket.getPeerCertificate().valid_from) + SKEW_MS;
    issued.set(socket, at);
  }
  return at;
}
