/**
 * The tokens of ServiceAccounts: signed claims that hold as long as the account, and what the token is bound to, are
 * there. So a token dies with its Pod, without anybody having to revoke it.
 */
import { nodes } from "../../api/kinds/core/node.ts";
import { pods } from "../../api/kinds/core/pod.ts";
import { secrets } from "../../api/kinds/core/secret.ts";
import { serviceAccounts } from "../../api/kinds/core/serviceaccount.ts";
import type { ServiceAccount } from "../../api/generated/types.ts";
import type { ApiObject } from "../../api/object.ts";
import { nameOf, namespaceOf, uidOf } from "../../api/object.ts";
import { serviceAccountGroups, serviceAccountUser, type User } from "../../api/rbac/attributes.ts";
import type { ResourceRef } from "../../api/resource.ts";
import type { Clock } from "../../util/clock.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { ClusterView } from "../admission.ts";
import { BadToken, CREDENTIAL_ID, type TokenOwner } from "./authentication.ts";
import { claimsOf, type JwtKey } from "./jwt.ts";

/** As every cluster calls itself, and as client libraries expect it. */
export const ISSUER = "https://kubernetes.default.svc.cluster.local";
/** Clocks may differ, and what was deleted may still be read from a cache elsewhere. */
const LEEWAY_SECONDS = 60;
/** Signatures known to be good; more than that many at once start over. */
const KEPT_TOKENS = 1024;

interface Ref {
  readonly name: string;
  readonly uid: string;
}

/** Times in seconds since the epoch. */
export interface Claims {
  readonly iss: string;
  readonly sub: string;
  readonly aud: readonly string[];
  readonly iat: number;
  readonly nbf: number;
  readonly exp: number;
  readonly jti: string;
  readonly "kubernetes.io": {
    readonly namespace: string;
    readonly serviceaccount: Ref;
    readonly pod?: Ref;
    readonly secret?: Ref;
    readonly node?: Ref;
    /** Who uses it later should have fetched a new one. */
    readonly warnafter?: number;
  };
}

export interface ClaimsOptions {
  readonly account: DeepReadonly<ServiceAccount>;
  readonly audiences: readonly string[];
  readonly seconds: number;
  readonly warnAfterSeconds?: number;
  /** At most one of Pod (with its node) and Secret, or a node alone. */
  readonly bound: Partial<Record<"pod" | "secret" | "node", DeepReadonly<ApiObject>>>;
  /** Milliseconds. */
  readonly now: number;
  readonly id: string;
}

export function newClaims(o: ClaimsOptions): Claims {
  const iat = Math.floor(o.now / 1000);
  const { account, bound, warnAfterSeconds } = o;
  const ref = (object: DeepReadonly<ApiObject>): Ref => ({ name: nameOf(object), uid: uidOf(object) });
  return {
    aud: o.audiences,
    exp: iat + o.seconds,
    iat,
    iss: ISSUER,
    jti: o.id,
    "kubernetes.io": {
      namespace: namespaceOf(account),
      ...(bound.node && { node: ref(bound.node) }),
      ...(bound.pod && { pod: ref(bound.pod) }),
      ...(bound.secret && { secret: ref(bound.secret) }),
      serviceaccount: ref(account),
      ...(warnAfterSeconds !== undefined && { warnafter: iat + warnAfterSeconds }),
    },
    nbf: iat,
    sub: serviceAccountUser(namespaceOf(account), nameOf(account)),
  };
}

export class ServiceAccountTokens {
  readonly #key: JwtKey;
  readonly #view: ClusterView;
  readonly #clock: Pick<Clock, "now">;
  readonly #signed = new Map<string, Claims>();

  constructor(o: { key: JwtKey; view: ClusterView; clock: Pick<Clock, "now"> }) {
    this.#key = o.key;
    this.#view = o.view;
    this.#clock = o.clock;
  }

  issue(claims: Claims): Promise<string> {
    return this.#key.sign(claims);
  }

  /** A {@link TokenAuthenticator}. */
  async authenticate(token: string, audiences: readonly string[]): Promise<TokenOwner | undefined> {
    const claims = await this.#claims(token);
    if (!claims) return undefined;
    const meant = audiences.filter((a) => claims.aud.includes(a));
    if (meant.length === 0) {
      const lists = [claims.aud, audiences].map((l) => JSON.stringify(l).replaceAll(",", " "));
      throw new BadToken(`token audiences ${lists[0]} is invalid for the target audiences ${lists[1]}`);
    }
    this.#checkTimes(claims);
    this.#checkObjects(claims);
    return { user: userOf(claims), audiences: meant };
  }

  async #claims(token: string): Promise<Claims | undefined> {
    const known = this.#signed.get(token);
    if (known) return known;
    const claims = claimsOf(token);
    if (claims?.["iss"] !== ISSUER) return undefined;
    if (!(await this.#key.verify(token))) throw new BadToken("invalid signature");
    if (this.#signed.size >= KEPT_TOKENS) this.#signed.clear();
    // Only this server signs, and it signs only Claims.
    this.#signed.set(token, claims as unknown as Claims);
    return claims as unknown as Claims;
  }

  #checkTimes({ nbf, exp }: Claims): void {
    const now = this.#clock.now() / 1000;
    if (now > exp + LEEWAY_SECONDS) throw new BadToken("service account token has expired");
    if (now < nbf - LEEWAY_SECONDS) throw new BadToken("service account token is not valid yet");
  }

  #checkObjects({ "kubernetes.io": { namespace, serviceaccount, pod, secret, node } }: Claims): void {
    const { name, uid } = serviceaccount;
    const account = this.#view.get(serviceAccounts, namespace, name);
    if (!account) throw new BadToken(`serviceaccounts ${JSON.stringify(name)} not found`);
    if (uidOf(account) !== uid) {
      throw new BadToken(`service account UID (${uidOf(account)}) does not match claim (${uid})`);
    }
    if (this.#isGone(account)) throw new BadToken(`service account ${namespace}/${name} has been deleted`);
    if (secret) this.#checkBound(secrets, namespace, secret);
    if (pod) this.#checkBound(pods, namespace, pod);
    // A Pod's node is only said, not bound to.
    if (node && !pod) this.#checkBound(nodes, "", node);
  }

  #checkBound<T extends ApiObject>(kind: ResourceRef<T>, namespace: string, ref: Ref): void {
    const object = this.#view.get(kind, namespace, ref.name);
    if (!object) throw new BadToken("service account token has been invalidated");
    if (uidOf(object) !== ref.uid) {
      const what = kind.kind.toLowerCase();
      const claim = `service account ${what} ref claim (${ref.uid})`;
      throw new BadToken(`${what} UID (${uidOf(object)}) does not match ${claim}`);
    }
    if (this.#isGone(object)) throw new BadToken("service account token has been invalidated");
  }

  #isGone({ metadata: { deletionTimestamp } }: DeepReadonly<ApiObject>): boolean {
    if (deletionTimestamp === undefined) return false;
    return Date.parse(deletionTimestamp) < this.#clock.now() - LEEWAY_SECONDS * 1000;
  }
}

function userOf({ jti, "kubernetes.io": { namespace, serviceaccount, pod, node } }: Claims): User {
  const extra = {
    [CREDENTIAL_ID]: [`JTI=${jti}`],
    ...(node && { "authentication.kubernetes.io/node-name": [node.name] }),
    ...(node?.uid && { "authentication.kubernetes.io/node-uid": [node.uid] }),
    ...(pod && { "authentication.kubernetes.io/pod-name": [pod.name] }),
    ...(pod && { "authentication.kubernetes.io/pod-uid": [pod.uid] }),
  };
  return {
    name: serviceAccountUser(namespace, serviceaccount.name),
    uid: serviceaccount.uid,
    groups: serviceAccountGroups(namespace),
    extra,
  };
}
