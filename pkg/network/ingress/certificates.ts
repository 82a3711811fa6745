/** Certificates of Secrets, ready to serve. */
import { X509Certificate } from "node:crypto";
import { createSecureContext, type SecureContext } from "node:tls";
import type { Secret } from "../../api/generated/types.ts";
import { keyOf } from "../../api/object.ts";
import type { Clock } from "../../util/clock.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { createCa, issueCert, type KeyPair } from "../../util/pki.ts";

interface Kept {
  readonly version: string;
  /** Of the last version that could be used. */
  readonly context: SecureContext | undefined;
  readonly problem: string | undefined;
}

/**
 * By key of the Secret. One that becomes unusable keeps the certificate it had, and says what is wrong; one that is gone
 * has none.
 */
export class Certificates {
  readonly #find: (key: string) => DeepReadonly<Secret> | undefined;
  readonly #kept = new Map<string, Kept>();

  constructor(find: (key: string) => DeepReadonly<Secret> | undefined) {
    this.#find = find;
  }

  context(key: string): SecureContext | undefined {
    return this.#look(key)?.context;
  }

  problem(key: string): string | undefined {
    const kept = this.#look(key);
    return kept ? kept.problem : `secret "${key}" not found, or not of type kubernetes.io/tls`;
  }

  #look(key: string): Kept | undefined {
    const secret = this.#find(key);
    if (!secret) return void this.#kept.delete(key);
    const version = `${secret.metadata.uid ?? ""}@${secret.metadata.resourceVersion ?? ""}`;
    const kept = this.#kept.get(key);
    if (kept?.version === version) return kept;
    const read = this.#read(secret, kept?.context);
    const next = { version, ...read };
    this.#kept.set(key, next);
    return next;
  }

  #read(secret: DeepReadonly<Secret>, before: SecureContext | undefined): Omit<Kept, "version"> {
    const part = (name: string) => Buffer.from(secret.data?.[name] ?? "", "base64").toString();
    const [cert, key] = [part("tls.crt"), part("tls.key")];
    try {
      if (cert === "" || key === "") throw new Error("tls.crt or tls.key is empty");
      const context = createSecureContext({ cert, key });
      // Reads at least the first of the chain; OpenSSL has said above whether the key is its own.
      void new X509Certificate(cert);
      return { context, problem: undefined };
    } catch (error) {
      const why = `secret "${keyOf(secret)}" has no certificate that can be used: ${(error as Error).message}`;
      return { context: before, problem: before ? `${why}; the one before stays in force` : why };
    }
  }
}

/** For hosts that have none; nobody has signed it but itself. */
export async function selfMadeCertificate(clock: Pick<Clock, "now">): Promise<KeyPair> {
  const ca = await createCa("mini-kube ingress default certificate", clock.now());
  const names = { commonName: "mini-kube ingress", dnsNames: ["localhost", "*.localhost"] };
  return issueCert(ca, { ...names, usages: ["server"] }, clock.now());
}
