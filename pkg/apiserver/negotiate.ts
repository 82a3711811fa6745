/**
 * Which form of an answer a client wants (`Accept`), and what form a body has (`Content-Type`). Pure.
 *
 * The list of `Accept` is taken in its order, as Kubernetes does; q-values no client of ours sends are not looked at.
 */
import { ApiError } from "../api/status.ts";
import { own } from "../util/keys.ts";

export interface AnswerForm {
  readonly encoding: "json" | "yaml";
  readonly as: "Object" | "Table" | "PartialObjectMetadata" | "PartialObjectMetadataList";
  /** Of meta.k8s.io, where `as` is not Object. */
  readonly version: "v1" | "v1beta1";
}

interface MediaType {
  readonly type: string;
  readonly params: Readonly<Record<string, string>>;
}

/** `application/json;as=Table;v=v1` → type and parameters, names in lower case. */
export function parseMediaType(text: string): MediaType {
  const [type = "", ...params] = text.split(";").map((part) => part.trim());
  const pairs = params.map((p) => {
    const at = p.indexOf("=");
    const value = at < 0 ? "" : p.slice(at + 1).replace(/^"(.*)"$/, "$1");
    return [(at < 0 ? p : p.slice(0, at)).toLowerCase(), value] as const;
  });
  return { type: type.toLowerCase(), params: Object.fromEntries(pairs) };
}

const parseAccept = (accept: string | undefined): MediaType[] =>
  (accept ?? "").split(",").flatMap((part) => (part.trim() === "" ? [] : [parseMediaType(part)]));

const FORMS = new Set(["Table", "PartialObjectMetadata", "PartialObjectMetadataList"]);

function encodingOf(type: string): AnswerForm["encoding"] | undefined {
  if (type === "application/json" || type === "*/*" || type === "application/*") return "json";
  return type === "application/yaml" || type === "application/x-yaml" ? "yaml" : undefined;
}

const PLAIN: AnswerForm = { encoding: "json", as: "Object", version: "v1" };

/** The first acceptable form that we have. Throws NotAcceptable when there is none. */
export function answerForm(accept: string | undefined): AnswerForm {
  const wanted = parseAccept(accept);
  if (wanted.length === 0) return PLAIN;
  for (const { type, params } of wanted) {
    const encoding = encodingOf(type);
    if (!encoding) continue;
    const { as, g, v } = params;
    if (as === undefined) return { ...PLAIN, encoding };
    if (!FORMS.has(as) || g !== "meta.k8s.io" || (v !== "v1" && v !== "v1beta1")) continue;
    return { encoding, as: as as AnswerForm["as"], version: v };
  }
  const have = "application/json, application/yaml";
  throw new ApiError("NotAcceptable", `only the following media types are accepted: ${have}`);
}

export type DiscoveryForm = "v2" | "v2beta1" | "legacy";

/** How discovery is to be told; the legacy documents are what any client understands. */
export function discoveryForm(accept: string | undefined): DiscoveryForm {
  for (const { type, params } of parseAccept(accept)) {
    if (type !== "application/json" || params["as"] !== "APIGroupDiscoveryList") continue;
    const { v } = params;
    if (v === "v2" || v === "v2beta1") return v;
  }
  return "legacy";
}

/** kubectl takes the aggregated form only under exactly this name. */
export function discoveryContentType(form: DiscoveryForm): string {
  return form === "legacy"
    ? "application/json"
    : `application/json;g=apidiscovery.k8s.io;v=${form};as=APIGroupDiscoveryList`;
}

export type BodyEncoding = "json" | "yaml" | "protobuf";

const BODY_TYPES: Readonly<Record<string, BodyEncoding>> = {
  "": "json",
  "application/json": "json",
  "application/yaml": "yaml",
  "application/x-yaml": "yaml",
  "application/vnd.kubernetes.protobuf": "protobuf",
};

/** The form of a write's body; none said means JSON. Throws UnsupportedMediaType. */
export function bodyEncoding(contentType: string | undefined): BodyEncoding {
  const { type } = parseMediaType(contentType ?? "");
  const encoding = own(BODY_TYPES, type);
  if (encoding) return encoding;
  const supported = "application/json, application/yaml, application/vnd.kubernetes.protobuf";
  throw new ApiError(
    "UnsupportedMediaType",
    `the body of the request was in an unknown format - accepted media types include: ${supported}`,
  );
}
