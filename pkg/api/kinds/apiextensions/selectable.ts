/** Field selectors of custom objects. */
import type { SelectableField } from "../../generated/types.ts";
import type { ResourceDef } from "../../resource.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import { readPath, stepsOf } from "./paths.ts";

/** `.spec.color` is asked for as `spec.color`. */
export function selectableFields(fields: readonly DeepReadonly<SelectableField>[]): ResourceDef["selectableFields"] {
  return Object.fromEntries(
    fields.map(({ jsonPath }) => {
      const steps = stepsOf(jsonPath);
      const read = (o: unknown) => {
        const value = readPath(o, steps);
        return value === undefined || value === null ? "" : String(value as string | number | boolean);
      };
      return [steps.join("."), read];
    }),
  );
}
