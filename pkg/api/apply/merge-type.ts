/**
 * What server-side apply must know of a position in an object: one shape for built-in kinds (from schema.ts) and custom
 * ones (from their structural schema). Types are resolved when asked for, so recursive ones cost nothing.
 */

export type MergeType =
  /** Owned and replaced as a whole: scalars, atomic lists, atomic maps and structs. */
  | { readonly kind: "atomic" }
  /**
   * An object: `field` is undefined for what the schema does not know. Of a live object that counts as {@link DEDUCED};
   * a configuration that has it is refused. So where unknown fields are preserved, `field` answers DEDUCED itself.
   */
  | { readonly kind: "object"; field(name: string): MergeType | undefined; readonly always?: boolean }
  | { readonly kind: "map"; readonly of: MergeType }
  /** A list of scalars, each owned by its value. */
  | { readonly kind: "set" }
  /** A list whose items are told apart by the values of these keys. */
  | { readonly kind: "list"; readonly keys: readonly ListKey[]; readonly of: MergeType; readonly always?: boolean }
  /** Unknown: objects are merged by field, all else is atomic. */
  | { readonly kind: "deduced" };

// `always`: every object has one (a struct of Go that is no pointer), so that nobody owns that it is there.

export interface ListKey {
  readonly name: string;
  /** For items that leave the key out (`protocol: TCP`). */
  readonly default?: string | number | boolean;
}

export const DEDUCED: MergeType = { kind: "deduced" };
export const ATOMIC: MergeType = { kind: "atomic" };
