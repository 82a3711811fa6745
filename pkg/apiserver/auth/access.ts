/** The door of the server: who a request comes from, and whether it may in. front.ts asks here, and reviews do. */
import type { IncomingMessage } from "node:http";
import type { Attributes, User } from "../../api/rbac/attributes.ts";
import type { Verdict } from "../../api/rbac/policy.ts";
import { ApiError } from "../../api/status.ts";
import type { ClusterView } from "../admission.ts";
import {
  ANONYMOUS,
  BadToken,
  type TokenAuthenticator,
  type TokenOwner,
  bearerToken,
  certificateUser,
  tokenOwner,
} from "./authentication.ts";
import { type UserRules, decide, forbidden, rulesFor } from "./authorization.ts";
import { refuseRemoved } from "./removed-nodes.ts";
import { impersonationOf } from "./impersonation.ts";
import type { JwtKey } from "./jwt.ts";
import { ISSUER } from "./service-account-tokens.ts";

/** Whom tokens for this server are meant for. */
export const API_AUDIENCES: readonly string[] = [ISSUER];

export interface AccessOptions {
  readonly view: ClusterView;
  /** Resolves when the view shows what had been written before the call. */
  readonly caughtUp: () => Promise<unknown>;
  /** Tried in order, after client certificates. */
  readonly tokens?: readonly TokenAuthenticator[];
  /** Who shows no credentials is told of health and version. Default: yes. */
  readonly anonymous?: boolean | undefined;
  /** By which others can check the tokens of ServiceAccounts. */
  readonly key?: JwtKey;
}

/** Who acts, and as whom. */
export interface Identity {
  /** Whose credentials they are. */
  readonly caller: User;
  /** Whose rights count: the caller, or whom it impersonates. */
  readonly user: User;
}

export class Access {
  readonly #o: AccessOptions;

  constructor(o: AccessOptions) {
    this.#o = o;
  }

  get anonymous(): boolean {
    return this.#o.anonymous ?? true;
  }

  /** Rejects with Unauthorized, or Forbidden when the caller may not be whom it says it is. */
  async identify(req: IncomingMessage): Promise<Identity> {
    const caller = certificateUser(req) ?? (await this.#byToken(req));
    this.check(req, caller);
    if (caller === ANONYMOUS) throw unauthorized();
    const impersonation = impersonationOf(req.headersDistinct, caller);
    for (const need of impersonation?.needs ?? []) await this.authorize(need);
    return { caller, user: impersonation?.user ?? caller };
  }

  /** For a request that lasts: throws Unauthorized as soon as its caller would not be let in any more. */
  check(req: IncomingMessage, caller: User): void {
    refuseRemoved(req, caller, this.#o.view);
  }

  /** Rejects with Forbidden; resolves with the reason why it may. */
  async authorize(a: Attributes): Promise<string> {
    const { allowed, reason } = await this.decide(a);
    if (!allowed) throw forbidden(a, reason);
    return reason;
  }

  /**
   * A right that was granted before the call counts, whatever server it was written through: no refusal stands on what
   * the cache had not yet seen. A right that was taken away may still count for the moment that its event is under way.
   */
  async decide(a: Attributes): Promise<Verdict> {
    const { view, caughtUp } = this.#o;
    const verdict = decide(a, view);
    if (verdict.allowed) return verdict;
    await caughtUp();
    return decide(a, view);
  }

  rulesFor(user: User, namespace: string): UserRules {
    return rulesFor(user, namespace, this.#o.view);
  }

  /** Rejects with BadToken. */
  tokenOwner(token: string, audiences: readonly string[]): Promise<TokenOwner> {
    return tokenOwner(token, audiences, this.#o.tokens ?? []);
  }

  /** What the server tells of its tokens at this path, if anything. `address`: its own host and port. */
  published(path: string, address: string): object | undefined {
    const { key } = this.#o;
    if (!key) return undefined;
    switch (path.replace(/\/$/, "")) {
      case "/openid/v1/jwks":
        return key.jwks();
      case "/.well-known/openid-configuration":
        return {
          issuer: ISSUER,
          jwks_uri: `https://${address}/openid/v1/jwks`,
          response_types_supported: ["id_token"],
          subject_types_supported: ["public"],
          id_token_signing_alg_values_supported: [key.algorithm],
        };
      default:
        return undefined;
    }
  }

  async #byToken(req: IncomingMessage): Promise<User> {
    const token = bearerToken(req);
    if (token === undefined) return ANONYMOUS;
    try {
      return (await this.tokenOwner(token, API_AUDIENCES)).user;
    } catch (error) {
      // Why it is not good is nobody's business who cannot show a good one.
      throw error instanceof BadToken ? unauthorized() : error;
    }
  }
}

const unauthorized = () => new ApiError("Unauthorized", "Unauthorized");
