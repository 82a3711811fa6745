/** What stands behind every wire: a call in, an answer out. */
import type { ListMeta } from "../api/object.ts";
import type { RequestContext, ResourceDef } from "../api/resource.ts";
import type { Status } from "../api/status.ts";
import type { Call } from "../client/transport.ts";
import type { Entry } from "./entry.ts";
import type { Watcher } from "./watcher.ts";

export type User = RequestContext["user"];

/** Who calls, and what to tell them beside the answer. */
export interface Caller {
  readonly user: User;
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
  | { readonly type: "status"; readonly status: Status; readonly created: boolean };

export interface Handler {
  /** Rejects with ApiError only. */
  handle(call: Call, caller: Caller): Promise<Answer>;
  /** Rejects with ApiError only; the watcher is the caller's to end. */
  watch(call: Call): Promise<Watcher>;
}
