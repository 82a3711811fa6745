/** The host's own resolv.conf, followed when it changes. */
import { readFile } from "node:fs/promises";
import type { Clock } from "../../util/clock.ts";
import { canonicalIp } from "./names.ts";

export interface HostResolver {
  readonly nameservers: readonly string[];
  readonly searches: readonly string[];
}

/** As resolver(5) reads it: the last `search` or `domain` counts. Pure. */
export function parseResolvConf(text: string): HostResolver {
  const nameservers: string[] = [];
  let searches: readonly string[] = [];
  for (const line of text.split("\n")) {
    const [keyword, ...words] = line
      .replace(/[#;].*/, "")
      .trim()
      .split(/\s+/);
    const ip = keyword === "nameserver" ? canonicalIp(words[0] ?? "") : undefined;
    if (ip !== undefined) nameservers.push(ip);
    if (keyword === "search" || keyword === "domain") searches = words.filter((w) => w !== ".");
  }
  return { nameservers, searches };
}

const LOOK_MS = 2_000;

/** Tells what stands there, at once and whenever it has changed, until the signal aborts. A file that is not there is empty. */
export async function followResolvConf(
  o: { readonly path: string; readonly clock: Clock; readonly onChange: (now: HostResolver) => void },
  signal: AbortSignal,
): Promise<void> {
  let last: string | undefined;
  while (!signal.aborted) {
    const text = await readFile(o.path, "utf8").catch(() => "");
    if (text !== last) o.onChange(parseResolvConf(text));
    last = text;
    await o.clock.sleep(LOOK_MS, signal).catch(() => {}); // an abort; the loop sees it
  }
}
