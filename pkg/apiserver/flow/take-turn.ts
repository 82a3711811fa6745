/** Where fair queueing meets the wire. */
import type { ServerResponse } from "node:http";
import type { Attributes } from "../../api/rbac/attributes.ts";
import { badRequest } from "../../api/status.ts";
import type { FlowControl, Turn } from "./flow-control.ts";

/** They last: a seat for each would soon be all seats. */
const LASTING: ReadonlySet<string> = new Set(["exec", "attach", "portforward", "proxy", "log"]);

/**
 * Resolves when the request's turn has come; its seats are given back with the end of the answer, or before, by `leave`.
 * Rejects with TooManyRequests.
 */
export async function takeTurn(
  flow: FlowControl,
  res: ServerResponse,
  a: Attributes,
  width: () => number,
): Promise<Turn | undefined> {
  if (LASTING.has(a.subresource)) return undefined;
  // Whoever went before would never be heard to go.
  if (res.destroyed) throw badRequest("the request broke off");
  const turn = flow.enter(a, width);
  res.once("close", () => turn.leave());
  res.setHeader("X-Kubernetes-PF-FlowSchema-UID", turn.schemaUid);
  res.setHeader("X-Kubernetes-PF-PriorityLevel-UID", turn.levelUid);
  if (turn.ready) await turn.ready;
  return turn;
}
