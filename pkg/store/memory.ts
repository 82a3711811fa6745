import type { WatchLimits } from "./event-queue.ts";
import { MvccStore } from "./mvcc.ts";
import { MemoryLog } from "./revision-log.ts";

/** The store of tests and of `--store memory`: everything etcd does, nothing outlives the process. */
export class MemoryStore extends MvccStore {
  constructor(o: WatchLimits = {}) {
    super(new MemoryLog(), o);
  }
}
