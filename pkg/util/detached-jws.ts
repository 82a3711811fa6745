/**
 * Signatures over a text that is kept elsewhere (RFC 7515, appendix F): by them who knows a bootstrap token's secret sees
 * that the cluster that published the text knows it, too, without either of them saying it.
 */

const encoder = new TextEncoder();

const base64url = (bytes: Uint8Array) =>
  btoa(String.fromCodePoint(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");

async function mac(secret: string, text: string): Promise<string> {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", encoder.encode(secret), algorithm, false, ["sign"]);
  return base64url(new Uint8Array(await crypto.subtle.sign("HMAC", key, encoder.encode(text))));
}

/** `HEADER..SIGNATURE`, by HS256. `id`: of the secret. The same for the same input. */
export async function signDetached(text: string, { id, secret }: { id: string; secret: string }): Promise<string> {
  const header = base64url(encoder.encode(JSON.stringify({ alg: "HS256", kid: id })));
  return `${header}..${await mac(secret, `${header}.${payload(text)}`)}`;
}

/** Whether the signature is this secret's over this text. */
export async function isSignedBy(
  signature: string,
  text: string,
  { id, secret }: { id: string; secret: string },
): Promise<boolean> {
  const [header = "", nothing, signed = ""] = signature.split(".");
  if (nothing !== "") return false;
  try {
    const { alg, kid } = JSON.parse(atob(header.replaceAll("-", "+").replaceAll("_", "/"))) as Record<string, unknown>;
    if (alg !== "HS256" || kid !== id) return false;
  } catch {
    return false;
  }
  // Both sides are computed here: who may learn anything from the time it takes has the secret.
  return (await mac(secret, `${header}.${payload(text)}`)) === signed;
}

function payload(text: string): string {
  return base64url(encoder.encode(text));
}
