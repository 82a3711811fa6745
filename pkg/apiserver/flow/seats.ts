/**
 * How many requests run at once. The seats of the server are shared out to levels by their shares; what a level does not
 * need it lends, but for a part that is always kept for it.
 *
 *  L1  What a level keeps is there at once, whatever other levels do.
 *  L2  All levels together use no more than all seats (or, were they fewer, what all levels keep).
 *  L3  A request wider than what its level keeps runs at the latest when the level runs nothing else.
 */
export interface LevelShare {
  readonly shares: number;
  readonly lendablePercent: number;
  /** Undefined: as much as others lend. */
  readonly borrowingLimitPercent: number | undefined;
}

export interface LevelLimits {
  /** By its shares. */
  readonly nominal: number;
  /** Never lent. */
  readonly kept: number;
  /** Never exceeded. */
  readonly most: number;
}

/** A level as far as seats are concerned. */
export interface Seated {
  limits: LevelLimits;
  used: number;
}

export function limitsOf(level: LevelShare, sharesOfAll: number, seats: number): LevelLimits {
  const nominal = Math.ceil((seats * level.shares) / Math.max(1, sharesOfAll));
  const lent = Math.round((nominal * level.lendablePercent) / 100);
  const borrowed = level.borrowingLimitPercent === undefined ? seats : (nominal * level.borrowingLimitPercent) / 100;
  return { nominal, kept: Math.max(1, nominal - lent), most: Math.max(1, nominal + Math.round(borrowed)) };
}

/** How many seats a request of `width` gets now; 0: it must wait. */
export function seatsFor(level: Seated, width: number, all: Iterable<Seated>, seats: number): number {
  const { used, limits } = level;
  const wanted = Math.min(width, limits.most);
  if (used + wanted <= limits.kept) return wanted;
  if (used + wanted <= limits.most) {
    let taken = used + wanted;
    for (const other of all) if (other !== level) taken += Math.max(other.used, other.limits.kept);
    if (taken <= seats) return wanted;
  }
  return used === 0 ? limits.kept : 0;
}
