/**
 * Is there an order of the calls, in which each takes effect at one moment between its start and its end, that explains
 * every answer? The search of Wing and Gong, with Lowe's memory of what was tried: of the calls that could be the next, take
 * one that fits; when an answer is passed that no order explains, take back the last one taken.
 */
import { byKey, type Operation } from "./history.ts";

/** Undefined: no object. */
type State = string | undefined;

/** The state behind the call; null: it cannot have been answered so in this state. */
function step(state: State, o: Operation): { readonly state: State } | null {
  if (o.op === "read") return o.value === state ? { state } : null;
  return o.expected === state ? { state: o.value } : null;
}

/** A call or an answer in the order of time; a doubly linked list, so that what is taken out can be put back. */
interface Entry {
  readonly id: number;
  /** Of a call. */
  readonly operation?: Operation;
  /** Of a call whose answer is known: that answer. */
  answer?: Entry;
  prev: Entry | undefined;
  next: Entry | undefined;
}

/** One sentence for each register whose history has no explanation. */
export function linearizabilityViolations(history: readonly Operation[]): string[] {
  return [...byKey(history)].flatMap(([key, operations]) => {
    const stuck = unexplained(operations);
    return stuck ? [`${key}: no order explains ${describe(stuck)}`] : [];
  });
}

export function describe(o: Operation): string {
  const what = o.op === "read" ? `a read of ${o.value}` : `${o.expected} → ${o.value}`;
  return `${what} by client ${o.client} through ${o.server}, ${Math.round(o.start)}–${Math.round(o.end)} ms (${o.outcome})`;
}

/** Of one register: the answer furthest in time that no order explains; undefined: all are explained. */
function unexplained(history: readonly Operation[]): Operation | undefined {
  // What failed did not happen, and a read without an answer says nothing.
  const operations = history.filter((o) => o.outcome === "ok" || (o.outcome === "unknown" && o.op === "write"));
  const head = timeline(operations);
  let open = operations.filter((o) => o.outcome === "ok").length;
  let state: State;
  let taken = 0n;
  let furthest = -1;
  const tried = new Set<string>();
  const path: { entry: Entry; before: State }[] = [];
  let entry = head.next;
  while (open > 0) {
    if (entry?.operation) {
      const after = step(state, entry.operation);
      const mark = taken | (1n << BigInt(entry.id));
      const known = after ? `${mark.toString(36)} ${after.state}` : "";
      if (after && !tried.has(known)) {
        tried.add(known);
        path.push({ entry, before: state });
        ({ state } = after);
        taken = mark;
        if (entry.answer) open -= 1;
        takeOut(entry);
        entry = head.next;
      } else entry = entry.next;
      continue;
    }
    // An answer of a call that is not taken, or the end of all: what was taken before was wrong.
    if (entry) furthest = Math.max(furthest, entry.id);
    const last = path.pop();
    if (!last) return operations[furthest];
    putBack(last.entry);
    if (last.entry.answer) open += 1;
    taken &= ~(1n << BigInt(last.entry.id));
    state = last.before;
    entry = last.entry.next;
  }
  return undefined;
}

function timeline(operations: readonly Operation[]): Entry {
  const points: { at: number; order: number; entry: Entry }[] = [];
  for (const [id, operation] of operations.entries()) {
    const call: Entry = { id, operation, prev: undefined, next: undefined };
    // At the same moment calls come before answers: they overlap.
    points.push({ at: operation.start, order: 0, entry: call });
    if (operation.outcome !== "ok") continue;
    call.answer = { id, prev: undefined, next: undefined };
    points.push({ at: operation.end, order: 1, entry: call.answer });
  }
  points.sort((a, b) => a.at - b.at || a.order - b.order);
  const head: Entry = { id: -1, prev: undefined, next: undefined };
  let last = head;
  for (const { entry } of points) {
    last.next = entry;
    entry.prev = last;
    last = entry;
  }
  return head;
}

function takeOut(call: Entry): void {
  for (const entry of [call, call.answer]) {
    if (!entry) continue;
    if (entry.prev) entry.prev.next = entry.next;
    if (entry.next) entry.next.prev = entry.prev;
  }
}

/** The reverse, in reverse: each entry still knows its neighbours. */
function putBack(call: Entry): void {
  for (const entry of [call.answer, call]) {
    if (!entry) continue;
    if (entry.prev) entry.prev.next = entry;
    if (entry.next) entry.next.prev = entry;
  }
}
