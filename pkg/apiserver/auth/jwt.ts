/** Signed JSON Web Tokens: the one place that knows how they are made and checked. What they say is others' business. */
import { createHash, createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";

const ALGORITHM = "ES256";

/** Loaded with the first token: a start does not pay for it. */
const library = () => import("jose");

export class JwtKey {
  readonly #private: KeyObject;
  readonly #public: KeyObject;
  readonly #id: string;

  /** `pem`: a private key on the curve P-256. */
  constructor(pem: string) {
    this.#private = createPrivateKey(pem);
    this.#public = createPublicKey(this.#private);
    // Of the public key, so that it tells nothing, and is the same at every start.
    const der = this.#public.export({ type: "spki", format: "der" });
    this.#id = createHash("sha256").update(der).digest("base64url");
  }

  async sign(claims: object): Promise<string> {
    const { SignJWT } = await library();
    const header = { alg: ALGORITHM, kid: this.#id };
    return new SignJWT({ ...claims }).setProtectedHeader(header).sign(this.#private);
  }

  /** Whether this key has signed it. What it claims, and until when, is not looked at. */
  async verify(token: string): Promise<boolean> {
    const { compactVerify, errors } = await library();
    try {
      await compactVerify(token, this.#public, { algorithms: [ALGORITHM] });
      return true;
    } catch (error) {
      if (error instanceof errors.JOSEError) return false;
      throw error;
    }
  }

  /** For others to check tokens by (RFC 7517). */
  jwks(): object {
    const jwk = this.#public.export({ format: "jwk" });
    return { keys: [{ use: "sig", kty: jwk.kty, kid: this.#id, alg: ALGORITHM, crv: jwk.crv, x: jwk.x, y: jwk.y }] };
  }

  get algorithm(): string {
    return ALGORITHM;
  }
}

/** What a token claims, unchecked; undefined when it is no JWT. */
export function claimsOf(token: string): Readonly<Record<string, unknown>> | undefined {
  const [, payload, ...rest] = token.split(".");
  if (payload === undefined || rest.length !== 1) return undefined;
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, "base64url").toString());
    return typeof claims === "object" && claims !== null ? (claims as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
