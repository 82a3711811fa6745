/** Who calls, and whether they may. */
import type { IncomingMessage } from "node:http";
import type { TLSSocket } from "node:tls";
import { ApiError } from "../api/status.ts";
import type { Call } from "../client/transport.ts";
import type { User } from "./server.ts";

/** Undefined: this method does not know the caller; another may. */
export type Authenticator = (req: IncomingMessage) => User | undefined;

/** Throws Forbidden. */
export type Authorizer = (user: User, call: Call) => void;

export const ANONYMOUS: User = { name: "system:anonymous", groups: ["system:unauthenticated"] };

/** By a client certificate of the cluster's CA: CN is the name, each O a group. */
export const byCertificate: Authenticator = (req) => {
  const socket = req.socket as TLSSocket;
  if (!socket.authorized) return undefined;
  const { CN, O } = socket.getPeerCertificate().subject as { CN?: string; O?: string | string[] };
  if (!CN) return undefined;
  return { name: CN, groups: [...(O === undefined ? [] : [O].flat()), "system:authenticated"] };
};

/** Until there is RBAC: administrators and the cluster's own components may do everything, nobody else anything. */
export const mastersOnly: Authorizer = (user, call) => {
  if (user.groups.includes("system:masters") || user.name.startsWith("system:kube-")) return;
  if (user.name === ANONYMOUS.name) throw new ApiError("Unauthorized", "Unauthorized");
  const { verb, resource, group, namespace } = call;
  const where = namespace === undefined ? "at the cluster scope" : `in the namespace "${namespace}"`;
  throw new ApiError(
    "Forbidden",
    `${resource} is forbidden: User "${user.name}" cannot ${verb} resource "${resource}" in API group "${group}" ${where}`,
    { ...(group && { group }), kind: resource },
  );
};
