/**
 * Tokens by which a machine joins: Secrets of the type `bootstrap.kubernetes.io/token` in kube-system. Whoever shows one
 * is `system:bootstrap:ID`, and may do what is bound to the group of all such.
 */
import { timingSafeEqual } from "node:crypto";
import type { Secret } from "../../api/generated/types.ts";
import { BOOTSTRAPPERS, parseToken, TOKEN_NAMESPACE, TOKEN_TYPE, tokenSecretName } from "../../api/bootstrap-token.ts";
import { secrets } from "../../api/kinds/core/secret.ts";
import { decodeBase64 } from "../../api/validation/data.ts";
import type { Clock } from "../../util/clock.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { ClusterView } from "../admission.ts";
import { BadToken, type TokenAuthenticator } from "./authentication.ts";

const EXTRA_GROUP = /^system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]$/;

export function bootstrapTokenAuthenticator(view: ClusterView, clock: Pick<Clock, "now">): TokenAuthenticator {
  return (token, audiences) => {
    const parts = parseToken(token);
    if (!parts) return Promise.resolve(undefined);
    const { id, secret } = parts;
    const kept = view.get(secrets, TOKEN_NAMESPACE, tokenSecretName(id));
    const why = refusal(kept, { id, secret, now: clock.now() });
    if (why !== undefined) return Promise.reject(new BadToken(why));
    const groups = valueOf(kept, "auth-extra-groups").split(",").filter(Boolean);
    const wrong = groups.find((g) => !EXTRA_GROUP.test(g));
    if (wrong !== undefined) return Promise.reject(new BadToken(`bootstrap group ${JSON.stringify(wrong)} is invalid`));
    return Promise.resolve({ user: { name: `system:bootstrap:${id}`, groups: [BOOTSTRAPPERS, ...groups] }, audiences });
  };
}

/** The same whether it is unknown or wrong: a guess learns nothing. */
function refusal(
  kept: DeepReadonly<Secret> | undefined,
  { id, secret, now }: { id: string; secret: string; now: number },
): string | undefined {
  const unknown = "unknown bootstrap token";
  if (kept?.type !== TOKEN_TYPE || kept.metadata.deletionTimestamp || valueOf(kept, "token-id") !== id) return unknown;
  if (!same(valueOf(kept, "token-secret"), secret)) return unknown;
  const until = valueOf(kept, "expiration");
  // What cannot be read as a time has passed.
  if (until !== "" && !(Date.parse(until) > now)) return "bootstrap token has expired";
  return valueOf(kept, "usage-bootstrap-authentication") === "true" ? undefined : "bootstrap token is not for that";
}

const valueOf = (secret: DeepReadonly<Secret> | undefined, key: string) => decodeBase64(secret?.data?.[key] ?? "");

function same(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
