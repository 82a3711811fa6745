/** A node's keys and certificates on its disk: each pair is one file, so that no crash can part them. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { readIfThere, replaceFile } from "../../util/files.ts";
import { newPrivateKey } from "../../util/pki-request.ts";
import type { KeyPair } from "../../util/pki.ts";
import type { Purpose } from "./plan.ts";

const OWNER_ONLY = 0o600;

/** As the kubelet has it: certificate and key, PEM. */
export const pairFile = (directory: string, purpose: Purpose) => join(directory, `${purpose}-current.pem`);
/** Of a certificate that was asked for and is not there yet. */
const pendingFile = (directory: string, purpose: Purpose) => join(directory, `${purpose}-pending.key`);

/** Undefined: there is none, or none that fits together. */
export async function readPair(directory: string, purpose: Purpose): Promise<KeyPair | undefined> {
  const text = await readIfThere(pairFile(directory, purpose));
  const split = text?.indexOf("-----BEGIN PRIVATE KEY") ?? -1;
  if (text === undefined || split <= 0) return undefined;
  const pair = { cert: text.slice(0, split), key: text.slice(split) };
  try {
    return new X509Certificate(pair.cert).checkPrivateKey(createPrivateKey(pair.key)) ? pair : undefined;
  } catch {
    return undefined;
  }
}

/** The pair takes the place of the one before, whole or not at all; what was pending is over. */
export async function writePair(directory: string, purpose: Purpose, { cert, key }: KeyPair): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const whole = cert.endsWith("\n") ? cert : `${cert}\n`;
  await replaceFile(pairFile(directory, purpose), `${whole}${key}`, OWNER_ONLY);
  await dropPendingKey(directory, purpose);
}

export async function removePair(directory: string, purpose: Purpose): Promise<void> {
  await rm(pairFile(directory, purpose), { force: true });
}

/** The same again until {@link writePair} or {@link dropPendingKey}: an agent that was killed finds what it asked for. */
export async function pendingKey(directory: string, purpose: Purpose): Promise<string> {
  const file = pendingFile(directory, purpose);
  const kept = await readIfThere(file);
  if (kept !== undefined) return kept;
  const key = newPrivateKey();
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await replaceFile(file, key, OWNER_ONLY);
  return key;
}

export async function dropPendingKey(directory: string, purpose: Purpose): Promise<void> {
  await rm(pendingFile(directory, purpose), { force: true });
}
