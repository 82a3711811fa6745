/** What annotations of an Ingress change about its routes. Few on purpose; docs/ingress.md lists them. */
import type { Ingress } from "../../api/generated/types.ts";
import { bytes, isQuantity } from "../../api/quantity.ts";
import type { DeepReadonly } from "../../util/types.ts";

export interface RouteSettings {
  /** Plain HTTP is answered with a redirect, where the host has TLS. */
  readonly redirectToHttps: boolean;
  /** Bytes; a longer request is refused with 413. */
  readonly maxBodyBytes: number;
  /** From the request's last byte to the answer's first one, and between any two of the answer. */
  readonly timeoutMs: number;
}

export const DEFAULT_SETTINGS: RouteSettings = { redirectToHttps: true, maxBodyBytes: Infinity, timeoutMs: 60_000 };

const PREFIX = "mini-kube.io/";
const MAX_TIMEOUT_SECONDS = 24 * 60 * 60;

type Change = Partial<{ -readonly [K in keyof RouteSettings]: RouteSettings[K] }>;

/** Annotation → what its value means; undefined: it means nothing. */
const READERS: Readonly<Record<string, { wants: string; read: (value: string) => Change | undefined }>> = {
  "ssl-redirect": {
    wants: "true or false",
    read: (v) => (v === "true" || v === "false" ? { redirectToHttps: v === "true" } : undefined),
  },
  "proxy-body-size": {
    wants: "a quantity of bytes, like 8Mi; 0 for no limit",
    read: (v) => (isQuantity(v) && bytes(v) >= 0 ? { maxBodyBytes: bytes(v) || Infinity } : undefined),
  },
  "proxy-read-timeout": {
    wants: "a number of seconds, like 60",
    read(v) {
      const seconds = Number(v.replace(/s$/, ""));
      const ok = v !== "" && seconds > 0 && seconds <= MAX_TIMEOUT_SECONDS;
      return ok ? { timeoutMs: Math.ceil(seconds * 1000) } : undefined;
    },
  },
};

/** A value that cannot be understood leaves the default, and is told. */
export function settingsOf({ metadata }: DeepReadonly<Ingress>): { settings: RouteSettings; problems: string[] } {
  let settings = DEFAULT_SETTINGS;
  const problems: string[] = [];
  for (const [name, { wants, read }] of Object.entries(READERS)) {
    const value = metadata.annotations?.[PREFIX + name];
    if (value === undefined) continue;
    const change = read(value);
    if (change) settings = { ...settings, ...change };
    else problems.push(`annotation ${PREFIX}${name}: ${JSON.stringify(value)} is not ${wants}`);
  }
  return { settings, problems };
}
