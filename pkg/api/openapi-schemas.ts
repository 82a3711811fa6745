/** Types as OpenAPI schemas, in the shapes and under the names that upstream publishes. */
import { mustSchemaOf, schemaOf, type Field, type FieldType, type Scalar } from "./schema.ts";

export type Json = Readonly<Record<string, unknown>>;
/** Type → field → text; the type's own under "". */
export type Descriptions = Readonly<Record<string, Readonly<Record<string, string>>>>;

export interface GroupVersionKind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

/** v2 and v3 differ in where schemas stand, and in whether a reference may have company. */
export interface Dialect {
  readonly refPrefix: "#/components/schemas/" | "#/definitions/";
  /** v3.0 ignores what stands beside a `$ref`, so there it is wrapped. */
  readonly wrapRefs: boolean;
}

export const V3: Dialect = { refPrefix: "#/components/schemas/", wrapRefs: true };
export const V2: Dialect = { refPrefix: "#/definitions/", wrapRefs: false };

/** What is a scalar to us but a type with a name to clients. */
const NAMED: Partial<Record<Scalar, { readonly name: string; readonly v3: Json; readonly v2?: Json }>> = {
  quantity: {
    name: "io.k8s.apimachinery.pkg.api.resource.Quantity",
    v3: {
      description: "A number with an optional suffix: 500m, 1.5Gi, 2e3.",
      oneOf: [{ type: "string" }, { type: "number" }],
    },
    v2: { description: "A number with an optional suffix: 500m, 1.5Gi, 2e3.", type: "string" },
  },
  intOrString: {
    name: "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
    v3: {
      description: "A whole number, or a string such as a port's name or a percentage.",
      format: "int-or-string",
      oneOf: [{ type: "integer" }, { type: "string" }],
    },
    v2: {
      description: "A whole number, or a string such as a port's name or a percentage.",
      format: "int-or-string",
      type: "string",
    },
  },
  time: {
    name: "io.k8s.apimachinery.pkg.apis.meta.v1.Time",
    v3: { description: "A time of RFC 3339 with seconds.", type: "string", format: "date-time" },
  },
  microTime: {
    name: "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime",
    v3: { description: "A time of RFC 3339 with microseconds.", type: "string", format: "date-time" },
  },
};

const PATCH = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch";

const PLAIN: Readonly<Record<Scalar, Json>> = {
  string: { type: "string" },
  bytes: { type: "string", format: "byte" },
  bool: { type: "boolean" },
  int32: { type: "integer", format: "int32" },
  int64: { type: "integer", format: "int64" },
  double: { type: "number", format: "double" },
  quantity: {},
  intOrString: {},
  time: {},
  microTime: {},
  any: { "x-kubernetes-preserve-unknown-fields": true },
};

/** Custom resources: the name in documents → the schema; it refers to others through the collector. */
export type CustomTypes = ReadonlyMap<string, (schemas: SchemaCollector) => Json>;

/** Collects the schemas of the types that a document refers to, and of those that they refer to. */
export class SchemaCollector {
  readonly #dialect: Dialect;
  readonly #descriptions: Descriptions;
  readonly #kinds: ReadonlyMap<string, readonly GroupVersionKind[]>;
  readonly #customs: CustomTypes;
  readonly #schemas = new Map<string, Json>();

  /** `kinds`: the kinds that the types (by name) are. `customs`: types that are not in the generated schema. */
  constructor(
    dialect: Dialect,
    descriptions: Descriptions,
    kinds: ReadonlyMap<string, readonly GroupVersionKind[]>,
    customs: CustomTypes = new Map(),
  ) {
    this.#dialect = dialect;
    this.#descriptions = descriptions;
    this.#kinds = kinds;
    this.#customs = customs;
  }

  /** A reference to the type, whose schema is in {@link schemas} from now on. */
  ref(typeName: string): Json {
    const custom = this.#customs.get(typeName);
    const openApiName = custom ? typeName : mustSchemaOf(typeName).openApiName;
    if (!this.#schemas.has(openApiName)) {
      this.#schemas.set(openApiName, {}); // Holds the place while types refer to themselves.
      this.#schemas.set(openApiName, custom ? custom(this) : this.#typeSchema(typeName));
    }
    return this.#refTo(openApiName);
  }

  patchRef(): Json {
    this.#schemas.set(PATCH, { description: "A patch, in the format that the Content-Type names.", type: "object" });
    return this.#refTo(PATCH);
  }

  schemas(): Json {
    return Object.fromEntries([...this.#schemas].toSorted(([a], [b]) => (a < b ? -1 : 1)));
  }

  #refTo(openApiName: string): Json {
    return { $ref: this.#dialect.refPrefix + openApiName };
  }

  #typeSchema(typeName: string): Json {
    const { fields, atomic } = mustSchemaOf(typeName);
    const required = [...fields.values()].filter((f) => f.required).map((f) => f.name);
    const kinds = this.#kinds.get(typeName);
    return {
      ...described(this.#descriptions[typeName]?.[""]),
      type: "object",
      ...(required.length > 0 && { required }),
      properties: Object.fromEntries([...fields.values()].map((f) => [f.name, this.#fieldSchema(typeName, f)])),
      ...(kinds && { "x-kubernetes-group-version-kind": kinds }),
      ...(atomic && { "x-kubernetes-map-type": "atomic" }),
    };
  }

  #fieldSchema(typeName: string, field: Field): Json {
    const { type, merge } = field;
    // The models have no text for fields of object types; the type's own is the next best, though explain then shows it
    // twice for such a field, for without it a listing of fields would say "<no description>".
    const text =
      this.#descriptions[typeName]?.[field.name] ||
      (type.kind === "object" ? this.#descriptions[type.type]?.[""] : undefined);
    return {
      ...described(text),
      ...this.#schemaOfType(type, Boolean(text) || Object.keys(merge).length > 0),
      ...(field.default !== undefined && { default: field.default }),
      ...(merge.mergeKey && { "x-kubernetes-patch-merge-key": merge.mergeKey }),
      ...(merge.strategy && { "x-kubernetes-patch-strategy": merge.strategy.join(",") }),
      ...(merge.listType && { "x-kubernetes-list-type": merge.listType }),
      ...(merge.listMapKeys && { "x-kubernetes-list-map-keys": merge.listMapKeys }),
      ...(merge.mapType && { "x-kubernetes-map-type": merge.mapType }),
    };
  }

  #schemaOfType(type: FieldType, hasCompany: boolean): Json {
    switch (type.kind) {
      case "list":
        return { type: "array", items: this.#element(type.of) };
      case "map":
        return { type: "object", additionalProperties: this.#element(type.of) };
      case "object":
        return this.#wrapped(this.ref(type.type), hasCompany);
      case "scalar":
        return NAMED[type.scalar] ? this.#wrapped(this.#named(type.scalar), hasCompany) : PLAIN[type.scalar];
    }
  }

  /** Elements are values, never absent: upstream states their zero values. */
  #element(type: FieldType): Json {
    if (type.kind === "object" && this.#dialect.wrapRefs) return { default: {}, allOf: [this.ref(type.type)] };
    return this.#schemaOfType(type, false);
  }

  #wrapped(ref: Json, hasCompany: boolean): Json {
    return this.#dialect.wrapRefs && hasCompany ? { allOf: [ref] } : ref;
  }

  #named(scalar: Scalar): Json {
    const named = NAMED[scalar];
    if (!named) throw new Error(`${scalar} has no name of its own`);
    this.#schemas.set(named.name, this.#dialect === V2 ? (named.v2 ?? named.v3) : named.v3);
    return this.#refTo(named.name);
  }
}

/** The type of lists of a kind: `PodList`, `CoreV1EventList`; undefined where there is none. */
export function listTypeOf(def: {
  readonly schema: string;
  readonly kind: string;
  readonly custom?: object;
}): string | undefined {
  if (def.custom) return `${def.schema}List`;
  return [`${def.schema}List`, `${def.kind}List`].find((name) => schemaOf(name));
}

function described(text: string | undefined): Json {
  return text ? { description: text } : {};
}
