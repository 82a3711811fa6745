/** Who calls: by the certificate of the connection, else by a bearer token. */
import type { IncomingMessage } from "node:http";
import type { TLSSocket } from "node:tls";
import { AUTHENTICATED, UNAUTHENTICATED, type User } from "../../api/rbac/attributes.ts";

export const ANONYMOUS: User = { name: "system:anonymous", groups: [UNAUTHENTICATED] };
/** Which credential it was, among several of one user. */
export const CREDENTIAL_ID = "authentication.kubernetes.io/credential-id";

/** Whose token it is, and which of the audiences asked for it is meant for. */
export interface TokenOwner {
  readonly user: User;
  readonly audiences: readonly string[];
}

/** Undefined: not a token of this kind. Rejects with {@link BadToken} when it is, but is not good (any more). */
export type TokenAuthenticator = (token: string, audiences: readonly string[]) => Promise<TokenOwner | undefined>;

/** Told to who asks about a token, never to who only shows one. */
export class BadToken extends Error {
  constructor(why: string) {
    super(why);
    this.name = "BadToken";
  }
}

/** A connection's caller never changes, and reading a certificate takes longer than most requests. */
const callers = new WeakMap<object, User | "unknown">();

/** By a client certificate of the cluster's CA: CN is the name, each O a group. */
export function certificateUser(req: IncomingMessage): User | undefined {
  let caller = callers.get(req.socket);
  if (caller === undefined) {
    caller = subjectOf(req.socket as TLSSocket) ?? "unknown";
    callers.set(req.socket, caller);
  }
  return caller === "unknown" ? undefined : caller;
}

function subjectOf(socket: TLSSocket): User | undefined {
  if (!socket.authorized) return undefined;
  const certificate = socket.getPeerCertificate();
  const subject = certificate.subject as { CN?: string; O?: string | string[] } | undefined;
  if (!subject?.CN) return undefined;
  const groups = subject.O === undefined ? [] : [subject.O].flat();
  const id = certificate.fingerprint256.replaceAll(":", "").toLowerCase();
  return authenticated({ name: subject.CN, groups, extra: { [CREDENTIAL_ID]: [`X509SHA256=${id}`] } });
}

/** Everybody who is known is in this group. */
export function authenticated(user: User): User {
  return user.groups.includes(AUTHENTICATED) ? user : { ...user, groups: [...user.groups, AUTHENTICATED] };
}

/** The token a request shows, if any. */
export function bearerToken(req: IncomingMessage): string | undefined {
  const [scheme, token, ...rest] = (req.headers.authorization ?? "").trim().split(" ");
  return scheme?.toLowerCase() === "bearer" && token && rest.length === 0 ? token : undefined;
}

/** Asks each in turn. Rejects with BadToken when none takes it. */
export async function tokenOwner(
  token: string,
  audiences: readonly string[],
  authenticators: readonly TokenAuthenticator[],
): Promise<TokenOwner> {
  const errors: string[] = [];
  for (const authenticate of authenticators) {
    try {
      const owner = await authenticate(token, audiences);
      if (owner) return { ...owner, user: authenticated(owner.user) };
    } catch (error) {
      if (!(error instanceof BadToken)) throw error;
      errors.push(error.message);
    }
  }
  const why = "invalid bearer token";
  throw new BadToken(errors.length > 0 ? `[${why}, ${errors.join(", ")}]` : why);
}
