/** Numbers of Pods that are given as such, or as a share of all: `maxUnavailable: 25%`. Pure. */

/** A percentage of `whole`, rounded as told; what is no percentage counts as none. */
export function shareOf(value: number | string | undefined, whole: number, round: "up" | "down"): number {
  if (typeof value !== "string") return value ?? 0;
  const percent = /^(\d+)%$/.exec(value)?.[1];
  if (percent === undefined) return 0;
  const share = (Number(percent) * whole) / 100;
  return round === "up" ? Math.ceil(share) : Math.floor(share);
}
