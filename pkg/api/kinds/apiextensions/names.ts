/** Which of the names that a CRD wants it gets: no two kinds of a group may share one. */
import type {
  CustomResourceDefinition,
  CustomResourceDefinitionCondition as Condition,
  CustomResourceDefinitionNames as Names,
} from "../../generated/types.ts";
import { deepClone } from "../../equal.ts";
import type { DeepReadonly } from "../../../util/types.ts";

type Crd = DeepReadonly<CustomResourceDefinition>;

/** Names taken by other kinds of the group. */
export interface Taken {
  readonly resources: ReadonlySet<string>;
  readonly kinds: ReadonlySet<string>;
}

export function takenBy(kinds: Iterable<DeepReadonly<Partial<Names>>>): Taken {
  const resources = new Set<string>();
  const taken = new Set<string>();
  for (const { plural, singular, shortNames = [], kind, listKind } of kinds) {
    for (const name of [plural, singular, ...shortNames]) if (name) resources.add(name);
    for (const name of [kind, listKind]) if (name) taken.add(name);
  }
  return { resources, kinds: taken };
}

/** What is free is accepted at once; what is not stays as it was, and is told. The last conflict gives the reason. */
export function acceptNames(crd: Crd, taken: Taken): { names: Names; condition: Condition } {
  const wanted = deepClone(crd.spec.names);
  const accepted: Names = deepClone(crd.status?.acceptedNames ?? { kind: "", plural: "" });
  let conflict: { reason: string; message: string } | undefined;
  const inUse = (name: string) => `${JSON.stringify(name)} is already in use`;
  const one = (field: "plural" | "singular" | "kind" | "listKind", names: ReadonlySet<string>) => {
    const name = wanted[field] ?? "";
    if (name === accepted[field] || !names.has(name)) accepted[field] = name;
    else conflict = { reason: `${field.charAt(0).toUpperCase()}${field.slice(1)}Conflict`, message: inUse(name) };
  };
  one("plural", taken.resources);
  one("singular", taken.resources);
  const lost = (wanted.shortNames ?? []).filter((n) => taken.resources.has(n) && !accepted.shortNames?.includes(n));
  if (lost.length > 0) {
    const words = lost.map(inUse).join(", ");
    conflict = { reason: "ShortNamesConflict", message: lost.length > 1 ? `[${words}]` : words };
  } else if (wanted.shortNames) accepted.shortNames = wanted.shortNames;
  else delete accepted.shortNames;
  one("kind", taken.kinds);
  one("listKind", taken.kinds);
  if (wanted.categories) accepted.categories = wanted.categories;
  else delete accepted.categories;
  const condition = conflict
    ? { type: "NamesAccepted", status: "False", ...conflict }
    : { type: "NamesAccepted", status: "True", reason: "NoConflicts", message: "no conflicts found" };
  return { names: accepted, condition };
}
