/** A token by which agents of tests join, known from the beginning. */
import type { Secret } from "../../pkg/api/generated/types.ts";
import { type Connection, type Kubeconfig, singleKubeconfig } from "../../pkg/client/kubeconfig.ts";

const TOKEN = { id: "abcdef", secret: "0123456789abcdef" };

export const tokenSecret: Secret = {
  apiVersion: "v1",
  kind: "Secret",
  metadata: { name: `bootstrap-token-${TOKEN.id}`, namespace: "kube-system" },
  type: "bootstrap.kubernetes.io/token",
  stringData: {
    "token-id": TOKEN.id,
    "token-secret": TOKEN.secret,
    "usage-bootstrap-authentication": "true",
    "auth-extra-groups": "system:bootstrappers:mini-kube:default-node-token",
  },
};

/** For `--bootstrap-kubeconfig`: the same servers, by the token. */
export function bootstrapKubeconfig({ cert: _cert, key: _key, ...cluster }: Connection): Kubeconfig {
  return singleKubeconfig("bootstrap", { ...cluster, token: `${TOKEN.id}.${TOKEN.secret}` });
}
