/**
 * The transport between components of one process: function calls. Bodies are decoded as from the wire (so they are
 * copied, and checked); answers are the cache's own objects.
 */
import type { ApiObject, WatchEvent } from "../api/object.ts";
import type { Call, Transport } from "../client/transport.ts";
import type { Answer, Handler, User } from "./handler.ts";

export function inProcess(server: Handler, user: User): Transport {
  const caller = { user, warn: () => {} };
  return {
    async call(call, signal) {
      signal?.throwIfAborted();
      return contentOf(await server.handle(call, caller));
    },
    watch: (call, signal) => events(server, call, signal),
  };
}

async function* events(server: Handler, call: Call, signal: AbortSignal): AsyncGenerator<WatchEvent<ApiObject>> {
  if (signal.aborted) return;
  const watcher = await server.watch(call);
  for await (const batch of watcher.batches(signal)) {
    // Shared and read-only, as the Transport's contract says; the type cannot say it.
    for (const { type, entry } of batch) yield { type, object: entry.object as ApiObject };
  }
}

function contentOf(answer: Answer): unknown {
  switch (answer.type) {
    case "object":
      return answer.entry.object;
    case "value":
      return answer.value;
    case "list":
      return {
        apiVersion: answer.def.group ? `${answer.def.group}/${answer.def.version}` : answer.def.version,
        kind: `${answer.def.kind}List`,
        metadata: answer.metadata,
        items: answer.entries.map((e) => e.object),
      };
  }
}
