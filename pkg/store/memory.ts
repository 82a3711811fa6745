import { MvccStore, type MvccOptions } from "./mvcc.ts";
import { MemoryLog } from "./revision-log.ts";

/** The store of tests and of `--store memory`: everything etcd does, nothing outlives the process. */
export class MemoryStore extends MvccStore {
  constructor(o: MvccOptions = {}) {
    super(new MemoryLog(), o);
  }
}
