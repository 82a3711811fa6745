/** What the schema of a custom resource must do, where a built-in kind has its generated one (schema.ts, decode.ts). */
import type { Decoded } from "./decode.ts";
import type { MergeType } from "./apply/merge-type.ts";
import type { ApiObject } from "./object.ts";
import type { Json } from "./openapi-schemas.ts";
import type { FieldError } from "./status.ts";
import type { DeepReadonly } from "../util/types.ts";

export interface CustomSchema {
  /**
   * Prunes what the schema does not know (named in `unknown`). Wrong types are errors here only in apiVersion, kind and
   * metadata, as in Kubernetes: elsewhere {@link validate} finds them. The input is not changed.
   */
  decode(input: unknown): Decoded;
  /** Fills in the schema's defaults, in place. */
  setDefaults(o: ApiObject): void;
  /** With the defaults that came into the schema after it was written; the same object where none is missing. */
  filledIn(o: DeepReadonly<ApiObject>): DeepReadonly<ApiObject>;
  /** All that the schema says of values, CEL rules included. */
  validate(next: DeepReadonly<ApiObject>, old?: DeepReadonly<ApiObject>): readonly FieldError[];
  readonly mergeType: MergeType;
  /** The object's schema for OpenAPI, apiVersion, kind and metadata included. */
  openApi(dialect: "v2" | "v3"): Json;
}
