/** Go's durations, in nanoseconds. */
import { own } from "../../util/keys.ts";

const UNITS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  μs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};
const MAX = 2n ** 63n;

/** `1h30m`, `-1.5h`, `300ms`, `0`: undefined if it is none, or does not fit 64 bits. */
export function parseDuration(text: string): bigint | undefined {
  const match = /^([+-]?)(0|(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)$/.exec(text.slice(0, 1_000));
  if (!match || text.length > 1_000) return undefined;
  let total = 0n;
  for (const [, whole = "", fraction = "", unit = ""] of (match[2] ?? "").matchAll(/(\d*)(?:\.(\d*))?([a-zµμ]+)/g)) {
    const scale = own(UNITS, unit) ?? 0n;
    total += BigInt(whole || "0") * scale + (BigInt(fraction || "0") * scale) / 10n ** BigInt(fraction.length);
  }
  if (total >= MAX) return undefined;
  return match[1] === "-" ? -total : total;
}
