/** How many seats a request takes: a list costs by what it goes through, everything else one. */
import type { Attributes } from "../../api/rbac/attributes.ts";

const OBJECTS_PER_SEAT = 100;
const MOST = 10;

/** `stored`: how many objects of the kind there are, asked only where it matters; `limit`: of the list, 0 for none. */
export function widthOf(a: Attributes, o: { readonly stored: () => number; readonly limit: number }): number {
  if (a.verb !== "list" && a.verb !== "watch" && a.verb !== "deletecollection") return 1;
  if (a.name !== "") return 1;
  // With a selector more may be gone through than is answered.
  const selective = a.fieldSelector !== undefined || a.labelSelector !== undefined;
  const stored = o.stored();
  const objects = o.limit > 0 && !selective ? Math.min(o.limit, stored) : stored;
  return Math.min(MOST, Math.max(1, Math.ceil(objects / OBJECTS_PER_SEAT)));
}
