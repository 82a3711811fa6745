/** Who calls, and whether they may. */
import type { IncomingMessage } from "node:http";
import type { TLSSocket } from "node:tls";
import { ApiError } from "../api/status.ts";
import type { Call } from "../client/transport.ts";
import type { User } from "./handler.ts";

/** Undefined: this method does not know the caller; another may. */
export type Authenticator = (req: IncomingMessage) => User | undefined;

/** Throws Forbidden. */
export type Authorizer = (user: User, call: Call) => void;

export const ANONYMOUS: User = { name: "system:anonymous", groups: ["system:unauthenticated"] };

/** A connection's caller never changes, and reading a certificate takes longer than most requests. */
const callers = new WeakMap<object, User | "unknown">();

/** By a client certificate of the cluster's CA: CN is the name, each O a group. */
export const byCertificate: Authenticator = (req) => {
  let caller = callers.get(req.socket);
  if (caller === undefined) {
    caller = callerOf(req.socket as TLSSocket) ?? "unknown";
    callers.set(req.socket, caller);
  }
  return caller === "unknown" ? undefined : caller;
};

function callerOf(socket: TLSSocket): User | undefined {
  if (!socket.authorized) return undefined;
  const subject = socket.getPeerCertificate().subject as { CN?: string; O?: string | string[] } | undefined;
  if (!subject?.CN) return undefined;
  const groups = subject.O === undefined ? [] : [subject.O].flat();
  return { name: subject.CN, groups: [...groups, "system:authenticated"] };
}

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
