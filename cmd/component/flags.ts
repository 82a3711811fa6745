/** What the flags of programs take; each throws UsageError with what would do. */
import type { Taint } from "../../pkg/api/generated/types.ts";
import { labelValue, qualifiedName } from "../../pkg/api/names.ts";
import { UsageError } from "../../pkg/cli/io.ts";
import { parseIpv4 } from "../../pkg/util/ipv4.ts";

export function port(value: string): number {
  const n = Number(value);
  if (!Number.isInteger(n) || n < 1 || n > 65535) throw new UsageError(`${value}: a port is a number from 1 to 65535`);
  return n;
}

export function portOrAny(value: string): number {
  return value === "0" ? 0 : port(value);
}

export function portOrNone(value: string): number | "none" {
  return value === "none" ? value : port(value);
}

/** For `--flag`: an address of this machine. */
export const address = (flag: string) => (value: string) => {
  if (parseIpv4(value) !== undefined) return value;
  throw new UsageError(`${flag} ${value}: an IPv4 address of this machine is needed, like 192.168.1.10`);
};

export function seconds(value: string): number {
  const n = Number(value.replace(/s$/, ""));
  if (!Number.isInteger(n) || n < 0) throw new UsageError(`${value}: a whole number of seconds is needed, like 40`);
  return n;
}

export function bool(value: string): boolean {
  if (value !== "true" && value !== "false") throw new UsageError(`${value}: true or false is needed`);
  return value === "true";
}

export function positive(value: string): number {
  const n = Number(value);
  if (!Number.isInteger(n) || n < 1) throw new UsageError(`${value}: a whole number from 1 on is needed`);
  return n;
}

/** Of a lead: a leader tries to renew once a second, and has a second to stop in. */
export function leaseDuration(value: string): number {
  const n = seconds(value);
  if (n < 3) throw new UsageError(`--leader-elect-lease-duration ${value}: at least 3 seconds are needed`);
  return n;
}

/** Name, what it is for. */
export const LEASE_FLAG = [
  "--leader-elect-lease-duration <seconds>",
  "so long the others wait for a silent leader (default: 5; more where the machines are busy)",
] as const;

export function list(value: string): string[] {
  return value
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
}

/** `zone=a,disk=ssd` */
export function nodeLabels(value: string): Record<string, string> {
  return Object.fromEntries(
    list(value).map((part) => {
      const [key, text] = splitAt(part, "=");
      const [why] = [...qualifiedName(key), ...labelValue(text)];
      if (why !== undefined) throw new UsageError(`--node-labels ${part}: key=value is needed: ${why}`);
      return [key, text];
    }),
  );
}

const EFFECTS: readonly string[] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

/** `dedicated=web:NoSchedule,slow:PreferNoSchedule` */
export function nodeTaints(value: string): Taint[] {
  return list(value).map((part) => {
    const [rest, effect] = splitAt(part, ":");
    const [key, text] = splitAt(rest, "=");
    const [why] = [...qualifiedName(key), ...labelValue(text)];
    if (!EFFECTS.includes(effect) || why !== undefined) {
      const wrong = why ?? `the effect is one of ${EFFECTS.join(", ")}`;
      throw new UsageError(`--register-with-taints ${part}: key=value:Effect is needed: ${wrong}`);
    }
    return { key, effect, ...(text !== "" && { value: text }) };
  });
}

function splitAt(text: string, mark: string): [string, string] {
  const at = text.lastIndexOf(mark);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + mark.length)];
}
