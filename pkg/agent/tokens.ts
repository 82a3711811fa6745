/** Tokens of ServiceAccounts for the Pods that run here, made anew in good time before they expire. */
import type { AuthenticationV1TokenRequest as TokenRequest } from "../api/generated/types.ts";
import { serviceAccounts } from "../api/kinds/core/serviceaccount.ts";
import type { Client } from "../client/client.ts";
import { BoundedMap } from "../reconcile/correlate.ts";
import type { Clock } from "../util/clock.ts";
import type { Pod } from "./facts.ts";
import type { TokenSource } from "./projection.ts";

/** As the kubelet: a token is replaced when so much of its life has passed, or when it is a day old. */
const REFRESH_AFTER = 0.8;
const MAX_AGE_MS = 24 * 3_600_000;
const DEFAULT_SECONDS = 3_600;
/** Of all Pods of a node; one that is forgotten is only asked for again. */
const KEPT = 1_000;

export class Tokens {
  readonly #client: Client;
  readonly #clock: Clock;
  readonly #known = new BoundedMap<string, { token: string; until: number }>(KEPT);

  constructor(o: { client: Client; clock: Clock }) {
    this.#client = o.client;
    this.#clock = o.clock;
  }

  /** Bound to the Pod: it is worth nothing once the Pod is gone. Rejects with the API server's refusal. */
  async get(pod: Pod, source: TokenSource): Promise<string> {
    const { name = "", namespace = "", uid = "" } = pod.metadata;
    const { audience, expirationSeconds = DEFAULT_SECONDS } = source;
    const key = `${uid}/${audience ?? ""}/${expirationSeconds}`;
    const known = this.#known.get(key);
    if (known && this.#clock.now() < known.until) return known.token;
    const spec = {
      audiences: audience ? [audience] : [],
      expirationSeconds,
      boundObjectRef: { kind: "Pod", apiVersion: "v1", name, uid },
    };
    const body = { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec };
    const account = pod.spec?.serviceAccountName ?? "default";
    const asked = this.#clock.now();
    const answer = await this.#client.resource(serviceAccounts, namespace).subresource(account, "token", body);
    const { token = "", expirationTimestamp = "" } = (answer as TokenRequest).status ?? {};
    const life = Date.parse(expirationTimestamp) - asked;
    this.#known.set(key, { token, until: asked + Math.min(life * REFRESH_AFTER, MAX_AGE_MS) });
    return token;
  }
}
