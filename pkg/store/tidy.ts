/** Gives the space that compactions freed back to the members' disks, by one process at a time. */
import type { Clock } from "../util/clock.ts";
import type { Logger } from "../util/log.ts";
import { planDefragment, type Thresholds } from "./defragment.ts";
import { OWN_KEYS } from "./own-keys.ts";
import type { Store } from "./store.ts";

export interface TidyOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  /** Not sooner than so long after somebody set about it last. */
  readonly everyMs: number;
  readonly signal: AbortSignal;
  readonly thresholds?: Thresholds;
}

/**
 * One member after the other, each only while all are well. A member that fails ends the round; the next one looks anew.
 * Other API servers on the store leave it to whoever was first.
 */
export async function tidyStore(o: TidyOptions): Promise<void> {
  const { maintenance } = o.store;
  if (!maintenance?.defragment) return;
  const plan = async () => planDefragment(await maintenance.status(), o.thresholds);
  const steps = await plan();
  if (steps.length === 0 || !(await claimed(o))) return;
  for (const step of steps) {
    if (o.signal.aborted) return;
    if (step.do === "disarm") {
      await maintenance.disarm?.();
      o.log.info({}, "the store takes writes again");
      continue;
    }
    // What held for the plan may not hold any more: one of three that is gone, and another one busy, would be no quorum.
    const still = (await plan()).some((s) => s.do === "defragment" && s.endpoint === step.endpoint);
    if (!still) continue;
    const began = o.clock.now();
    await maintenance.defragment(step.endpoint);
    o.log.info({ member: step.name, tookMs: Math.round(o.clock.now() - began) }, "defragmented the store");
  }
}

/**
 * False when somebody did so a moment ago. A store that is full takes no such note: then all may try, for what is lost is
 * time alone.
 */
async function claimed({ store, clock, everyMs }: TidyOptions): Promise<boolean> {
  const key = OWN_KEYS.defragmenting;
  const { kv } = await store.get(key);
  const at = kv ? Number(new TextDecoder().decode(kv.value)) : 0;
  if (clock.now() - at < everyMs / 2) return false;
  const op = { op: "put" as const, key, value: new TextEncoder().encode(String(clock.now())) };
  try {
    return (await store.txn([{ key, modRevision: kv?.modRevision ?? 0n }], [op])).ok;
  } catch (error) {
    if ((error as { full?: boolean }).full) return true;
    throw error;
  }
}
