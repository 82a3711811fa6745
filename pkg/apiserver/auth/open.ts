/** Identity and rights of one server, put together: its door, and the answers to who asks about them. */
import type { Random } from "../../util/clock.ts";
import type { ApiServer } from "../server.ts";
import { reviewHandlers } from "../virtual/reviews.ts";
import { Access } from "./access.ts";
import type { TokenAuthenticator } from "./authentication.ts";
import { bootstrapTokenAuthenticator } from "./bootstrap-token.ts";
import { JwtKey } from "./jwt.ts";
import { ServiceAccountTokens } from "./service-account-tokens.ts";
import { tokenRequestHandler } from "./token-request.ts";

export interface OpenAccessOptions {
  /** PEM: signs the tokens of ServiceAccounts. */
  readonly key: string;
  readonly random: Random;
  /** See {@link AccessOptions.anonymous}. */
  readonly anonymous?: boolean | undefined;
  /** Tokens of other kinds. */
  readonly tokens?: readonly TokenAuthenticator[];
}

export function openAccess(api: ApiServer, o: OpenAccessOptions): Access {
  const { view, clock, cache } = api;
  const key = new JwtKey(o.key);
  const accounts = new ServiceAccountTokens({ key, view, clock });
  const access = new Access({
    view,
    key,
    anonymous: o.anonymous,
    caughtUp: () => cache.fresh(),
    tokens: [
      (token, audiences) => accounts.authenticate(token, audiences),
      bootstrapTokenAuthenticator(view, clock),
      ...(o.tokens ?? []),
    ],
  });
  api.calls.set("serviceaccounts/token", tokenRequestHandler(accounts, o.random));
  for (const [kind, handler] of reviewHandlers(access)) api.virtual.set(kind, handler);
  return access;
}
