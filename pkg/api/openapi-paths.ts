/** The paths of a kind as OpenAPI v3 operations. */
import { own } from "../util/keys.ts";
import { listTypeOf, type GroupVersionKind, type Json, type SchemaCollector } from "./openapi-schemas.ts";
import { apiVersionOf, type ApiObject } from "./object.ts";
import type { ResourceDef, Subresource, Verb } from "./resource.ts";

type Method = "get" | "post" | "put" | "patch" | "delete";

const METHOD = { get: "get", create: "post", update: "put", patch: "patch", delete: "delete" } as const;

type Action = "list" | "get" | "post" | "put" | "patch" | "delete" | "deletecollection" | "connect";

interface Operation {
  readonly action: Action;
  readonly method: Method;
  /** The kind the operation is about: clients find out by it what the server can. */
  readonly gvk: GroupVersionKind;
  readonly body?: Json;
  readonly answer: Json;
  /** What sets the operation's name apart: `Status`. */
  readonly suffix?: string;
}

export function pathsOf(def: ResourceDef, schemas: SchemaCollector): Record<string, Json> {
  const base = def.group ? `/apis/${apiVersionOf(def)}` : `/api/${def.version}`;
  const collection = `${base}/${def.namespaced ? "namespaces/{namespace}/" : ""}${def.plural}`;
  const gvk = gvkOf(def);
  const object = schemas.ref(def.schema);
  const status = schemas.ref("Status");
  const options = schemas.ref("DeleteOptions");
  const list: Operation = { action: "list", method: "get", gvk, answer: schemas.ref(listTypeOf(def) ?? def.schema) };
  const item = `${collection}/{name}`;
  return {
    ...(def.namespaced && { [`${base}/${def.plural}`]: pathItem(def, [{ ...list, suffix: "ForAllNamespaces" }], []) }),
    [collection]: pathItem(
      def,
      [
        list,
        { action: "post", method: "post", gvk, body: object, answer: object },
        { action: "deletecollection", method: "delete", gvk, body: options, answer: status },
      ],
      namespaceOf(def),
    ),
    [item]: pathItem(
      def,
      [
        ...readAndWrite(gvk, object, schemas),
        { action: "delete", method: "delete", gvk, body: options, answer: status },
      ],
      [...namespaceOf(def), NAME],
    ),
    ...Object.fromEntries(
      Object.entries(def.subresources).map(([name, sub]) => [
        `${item}/${name}`,
        pathItem(def, subresource(def, name, sub, schemas), [...namespaceOf(def), NAME]),
      ]),
    ),
  };
}

function readAndWrite(gvk: GroupVersionKind, object: Json, schemas: SchemaCollector, suffix = ""): Operation[] {
  return [
    { action: "get", method: "get", gvk, answer: object, suffix },
    { action: "put", method: "put", gvk, body: object, answer: object, suffix },
    { action: "patch", method: "patch", gvk, body: schemas.patchRef(), answer: object, suffix },
  ];
}

function subresource(
  def: ResourceDef,
  name: string,
  sub: Subresource<ApiObject>,
  schemas: SchemaCollector,
): Operation[] {
  const suffix = capital(name);
  switch (sub.type) {
    case "part":
      return readAndWrite(gvkOf(def), schemas.ref(def.schema), schemas, suffix);
    case "facet":
      return readAndWrite(gvkOf(sub.of), schemas.ref(sub.of.schema), schemas, suffix);
    case "call": {
      const of = schemas.ref(sub.input.schema);
      return [{ action: "post", method: "post", gvk: gvkOf(sub.input), body: of, answer: of, suffix }];
    }
    case "action": {
      const method = sub.verb === "create" ? "post" : "put";
      const body = schemas.ref(sub.input.schema);
      const answer = sub.answer === "status" ? schemas.ref("Status") : schemas.ref(def.schema);
      return [{ action: method, method, gvk: gvkOf(sub.input), body, answer, suffix }];
    }
    case "connect":
      return sub.verbs.map((verb) => ({
        action: "connect",
        method: METHOD[verb],
        gvk: { ...gvkOf(def), kind: connectKind(def, name) },
        answer: { type: "string" },
        suffix,
      }));
  }
}

function pathItem(def: ResourceDef, operations: readonly Operation[], parameters: readonly Json[]): Json {
  const served = operations.filter(
    ({ action }) => !def.verbs || action === "connect" || def.verbs.includes(CALL[action]),
  );
  return {
    ...Object.fromEntries(served.map((o) => [o.method, operation(def, o)])),
    parameters: [...parameters, query("pretty", "string", "If 'true', then the output is pretty printed.")],
  };
}

const CONNECTIONS: Readonly<Record<string, string>> = {
  attach: "Attach",
  exec: "Exec",
  portforward: "PortForward",
  proxy: "Proxy",
};

/**
 * Not the object's own kind: clients look at any PATCH operation of that to learn what a patch of it takes, and that of a
 * proxy takes nothing.
 */
function connectKind(def: ResourceDef, name: string): string {
  const how = own(CONNECTIONS, name);
  return how === undefined ? def.kind : `${def.kind}${how}Options`;
}

/** What an operation is as a verb of the kind. */
const CALL = {
  list: "list",
  get: "get",
  post: "create",
  put: "update",
  patch: "patch",
  delete: "delete",
  deletecollection: "deletecollection",
} as const satisfies Record<Exclude<Action, "connect">, Verb>;

const VERB: Readonly<Record<Action, string>> = {
  list: "list",
  get: "read",
  post: "create",
  put: "replace",
  patch: "patch",
  delete: "delete",
  deletecollection: "deleteCollection",
  connect: "connect",
};

const PATCH_TYPES = [
  "application/apply-patch+yaml",
  "application/json-patch+json",
  "application/merge-patch+json",
  "application/strategic-merge-patch+json",
];

/** By this kubectl decides how to apply: a strategic patch needs merge keys, which custom resources do not have. */
function patchTypes(def: ResourceDef): readonly string[] {
  return def.custom ? PATCH_TYPES.filter((t) => !t.includes("strategic")) : PATCH_TYPES;
}

function operation(def: ResourceDef, o: Operation): Json {
  const group = def.group.replace(/\.k8s\.io$/, "") || "core";
  const tag = `${group.replaceAll(".", "_")}_${def.version}`;
  const scope = `${group.split(".").map(capital).join("")}${capital(def.version)}`;
  const namespaced = def.namespaced && o.suffix !== "ForAllNamespaces" ? "Namespaced" : "";
  const method = o.action === "connect" ? capital(o.method) : "";
  const bodyTypes = o.method === "patch" ? patchTypes(def) : ["*/*"];
  const answerTypes =
    o.action === "connect"
      ? ["*/*"]
      : ["application/json", "application/yaml", ...(o.action === "list" ? ["application/json;stream=watch"] : [])];
  return {
    tags: [tag],
    description: `${VERB[o.action]} ${o.action === "list" ? "or watch objects" : "an object"} of kind ${o.gvk.kind}`,
    operationId: `${VERB[o.action]}${method}${scope}${namespaced}${def.kind}${o.suffix ?? ""}`,
    parameters: parametersOf(o),
    ...(o.body && {
      requestBody: { required: o.method !== "delete", content: contentOf(bodyTypes, o.body) },
    }),
    responses: {
      [o.action === "post" ? "201" : "200"]: { description: "OK", content: contentOf(answerTypes, o.answer) },
    },
    "x-kubernetes-action": o.action,
    "x-kubernetes-group-version-kind": o.gvk,
  };
}

function contentOf(types: readonly string[], schema: Json): Json {
  return Object.fromEntries(types.map((t) => [t, { schema }]));
}

const NAME = path("name", "name of the object");
const NAMESPACE = path("namespace", "object name and auth scope, such as for teams and projects");
const DRY_RUN = query("dryRun", "string", "'All': everything but the change itself is done.");
const SELECTORS = [
  query("fieldSelector", "string", "Restricts the objects to those whose fields have these values."),
  query("labelSelector", "string", "Restricts the objects to those that have these labels."),
];
const RESOURCE_VERSION = query("resourceVersion", "string", "At which, or since which, version to look.");
const WRITE = [
  DRY_RUN,
  query("fieldManager", "string", "The name of who or what makes the change."),
  query("fieldValidation", "string", "What to do about unknown fields: Ignore, Warn (the default) or Strict."),
];
const DELETE = [
  DRY_RUN,
  query("gracePeriodSeconds", "integer", "How long the object may take to end; 0 is at once."),
  query("propagationPolicy", "string", "What becomes of dependents: Orphan, Background or Foreground."),
];
const LIST = [
  query("allowWatchBookmarks", "boolean", "Asks for BOOKMARK events on a watch."),
  query("continue", "string", "Where to go on, from the answer before."),
  ...SELECTORS,
  query("limit", "integer", "At most so many objects; the answer says how to go on."),
  RESOURCE_VERSION,
  query("resourceVersionMatch", "string", "How to understand resourceVersion: NotOlderThan or Exact."),
  query("sendInitialEvents", "boolean", "Starts a watch with the present state."),
  query("timeoutSeconds", "integer", "Ends the call after that long."),
  query("watch", "boolean", "Streams changes instead of a list."),
];

function parametersOf(o: Operation): readonly Json[] {
  switch (o.action) {
    case "list":
      return LIST;
    case "post":
    case "put":
      return WRITE;
    case "patch":
      return [...WRITE, query("force", "boolean", "Server-side apply takes over fields of other managers.")];
    case "delete":
      return DELETE;
    case "deletecollection":
      return [...DELETE, ...SELECTORS, RESOURCE_VERSION];
    case "get":
    case "connect":
      return [];
  }
}

function query(name: string, type: string, description: string): Json {
  return { name, in: "query", description, schema: { type, uniqueItems: true } };
}

function path(name: string, description: string): Json {
  return { name, in: "path", required: true, description, schema: { type: "string", uniqueItems: true } };
}

function namespaceOf(def: ResourceDef): readonly Json[] {
  return def.namespaced ? [NAMESPACE] : [];
}

function gvkOf({ group, version, kind }: GroupVersionKind): GroupVersionKind {
  return { group, kind, version };
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
