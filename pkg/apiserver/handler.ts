/** What stands behind every wire: a call in, an answer out. */
import type { ListMeta } from "../api/object.ts";
import type { RequestContext, ResourceDef } from "../api/resource.ts";
import type { Call } from "../client/transport.ts";
import type { Entry } from "./entry.ts";
import type { Watcher } from "./watcher.ts";

export type User = RequestContext["user"];

/** Who calls, and what to tell them beside the answer. */
export interface Caller {
  readonly user: User;
  /** Until its first slash it names the writer, where the call does not. */
  readonly userAgent?: string;
  /** Rejects with Forbidden unless it may also create: an apply makes what is not there. Absent: it may. */
  readonly mayCreate?: () => Promise<void>;
  readonly warn: (message: string) => void;
}

export type Answer =
  | { readonly type: "object"; readonly def: ResourceDef; readonly entry: Entry; readonly created: boolean }
  | {
      readonly type: "list";
      readonly def: ResourceDef;
      readonly entries: readonly Entry[];
      readonly metadata: ListMeta;
    }
  /** What is no stored object: a Status, a facet, a review. */
  | { readonly type: "value"; readonly value: object; readonly created: boolean };

export interface Handler {
  /** Rejects with ApiError only. */
  handle(call: Call, caller: Caller): Promise<Answer>;
  /** Rejects with ApiError only; the watcher is the caller's to end. */
  watch(call: Call): Promise<Watcher>;
}
