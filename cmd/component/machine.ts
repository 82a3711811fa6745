import { networkInterfaces } from "node:os";

/** The first address of this machine by which others may reach it; undefined: it has but the loopback's. */
export function firstAddress(): string | undefined {
  const all = Object.values(networkInterfaces()).flatMap((a) => a ?? []);
  return all.find((a) => a.family === "IPv4" && !a.internal)?.address;
}
