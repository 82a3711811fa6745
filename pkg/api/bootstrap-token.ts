/** Bootstrap tokens: by which a machine joins. Each is a Secret of kube-system, as kubeadm makes them. Pure. */
import type { Secret } from "./generated/types.ts";
import { decodeBase64 } from "./validation/data.ts";
import type { DeepReadonly } from "../util/types.ts";

export const TOKEN_TYPE = "bootstrap.kubernetes.io/token";
export const TOKEN_NAMESPACE = "kube-system";
/** Of whoever shows a token. */
export const BOOTSTRAPPERS = "system:bootstrappers";
/** Who shows a token of {@link bootstrapTokenSecret} may ask for a node's certificate, and gets it. */
export const DEFAULT_TOKEN_GROUP = "system:bootstrappers:mini-kube:default-node-token";
/** What a machine that joins must know: where the API servers are. A ConfigMap, as kubeadm makes it. */
export const CLUSTER_INFO = { namespace: "kube-public", name: "cluster-info" };

const TOKEN = /^([a-z0-9]{6})\.([a-z0-9]{16})$/;

export interface TokenParts {
  /** Public. */
  readonly id: string;
  readonly secret: string;
}

/** Undefined: it is none. */
export function parseToken(text: string): TokenParts | undefined {
  const [, id, secret] = TOKEN.exec(text) ?? [];
  return id === undefined || secret === undefined ? undefined : { id, secret };
}

export const tokenSecretName = (id: string) => `bootstrap-token-${id}`;

export interface BootstrapToken extends TokenParts {
  readonly description: string;
  /** Milliseconds since the epoch; Infinity: it does not end. */
  readonly expiresAt: number;
  readonly usages: readonly string[];
  readonly groups: readonly string[];
}

/** Nothing is signed here; kubeadm's tokens may say so. */
const USAGES = ["authentication", "signing"];

/** Undefined: it is no such Secret, or one that no token stands in. */
export function readToken(o: DeepReadonly<Secret>): BootstrapToken | undefined {
  const valueOf = (key: string) => decodeBase64(o.data?.[key] ?? "");
  const parts = parseToken(`${valueOf("token-id")}.${valueOf("token-secret")}`);
  const named = o.metadata.namespace === TOKEN_NAMESPACE && o.metadata.name === tokenSecretName(parts?.id ?? "");
  if (!parts || !named || o.type !== TOKEN_TYPE) return undefined;
  const until = valueOf("expiration");
  return {
    ...parts,
    description: valueOf("description"),
    // What cannot be read as a time has passed.
    expiresAt: until === "" ? Infinity : Date.parse(until) || 0,
    usages: USAGES.filter((usage) => valueOf(`usage-bootstrap-${usage}`) === "true"),
    groups: valueOf("auth-extra-groups").split(",").filter(Boolean),
  };
}

/** `expiration`: RFC 3339; undefined: never. */
export function bootstrapTokenSecret(t: TokenParts & { description?: string; expiration?: string }): Secret {
  return {
    metadata: { name: tokenSecretName(t.id), namespace: TOKEN_NAMESPACE },
    type: TOKEN_TYPE,
    stringData: {
      "token-id": t.id,
      "token-secret": t.secret,
      ...(t.description !== undefined && { description: t.description }),
      ...(t.expiration !== undefined && { expiration: t.expiration }),
      "auth-extra-groups": DEFAULT_TOKEN_GROUP,
      "usage-bootstrap-authentication": "true",
    },
  };
}
