/** Webhooks: where they are called, about what, and what comes of their failing. */
import type { DeepReadonly } from "../../util/types.ts";
import type {
  AdmissionregistrationV1ServiceReference,
  AdmissionregistrationV1WebhookClientConfig,
  MutatingWebhook,
  ValidatingWebhook,
} from "../generated/types.ts";
import { dns1035Label, dnsSubdomain, portNumber } from "../names.ts";
import {
  FAILURE_POLICIES,
  MATCH_POLICIES,
  REINVOCATION_POLICIES,
  validateMatchConditions,
  validateRule,
} from "./admission-rules.ts";
import { validateFullyQualifiedName } from "./domain.ts";
import { checked, each, type FieldErrors, invalidValue, notSupported, oneOf, required, unique } from "./field.ts";
import { validateLabelSelector } from "./selector.ts";

type Webhook = DeepReadonly<ValidatingWebhook | MutatingWebhook>;

const SIDE_EFFECTS = ["None", "NoneOnDryRun"];
const REVIEW_VERSIONS = ["v1", "v1beta1"];
const DESIRED = "; desired format: https://host[/path]";

export function validateWebhooks(hooks: readonly Webhook[] | undefined): FieldErrors {
  return [...each("webhooks", hooks, validateWebhook), ...unique("webhooks", hooks, (h) => h.name, ".name")];
}

function validateWebhook(h: Webhook, at: string): FieldErrors {
  const seconds = h.timeoutSeconds;
  return [
    ...validateFullyQualifiedName(h.name, `${at}.name`),
    ...each(`${at}.rules`, h.rules, validateRule),
    ...oneOf(`${at}.failurePolicy`, h.failurePolicy, FAILURE_POLICIES),
    ...oneOf(`${at}.matchPolicy`, h.matchPolicy, MATCH_POLICIES),
    ...validateSideEffects(h.sideEffects, `${at}.sideEffects`),
    ...(seconds !== undefined && (seconds < 1 || seconds > 30)
      ? [invalidValue(`${at}.timeoutSeconds`, seconds, "the timeout value must be between 1 and 30 seconds")]
      : []),
    ...validateLabelSelector(h.namespaceSelector, `${at}.namespaceSelector`),
    ...validateLabelSelector(h.objectSelector, `${at}.objectSelector`),
    ...("reinvocationPolicy" in h
      ? oneOf(`${at}.reinvocationPolicy`, h.reinvocationPolicy, REINVOCATION_POLICIES)
      : []),
    ...validateClientConfig(h.clientConfig ?? {}, `${at}.clientConfig`),
    ...validateMatchConditions(h.matchConditions, `${at}.matchConditions`),
    ...validateReviewVersions(h.admissionReviewVersions ?? [], `${at}.admissionReviewVersions`),
  ];
}

function validateSideEffects(value: string | undefined, field: string): FieldErrors {
  if (!value) return [required(field, `must specify one of ${SIDE_EFFECTS.join(", ")}`)];
  return SIDE_EFFECTS.includes(value) ? [] : [notSupported(field, value, SIDE_EFFECTS)];
}

function validateReviewVersions(versions: readonly string[], field: string): FieldErrors {
  if (!versions.length) return [required(field, `must specify one of ${REVIEW_VERSIONS.join(", ")}`)];
  const known = versions.some((v) => REVIEW_VERSIONS.includes(v));
  return [
    ...each(field, versions, (v, at, i) =>
      versions.indexOf(v) < i ? [invalidValue(at, v, "duplicate version")] : checked(at, v, dns1035Label),
    ),
    ...(known ? [] : [invalidValue(field, versions, `must include at least one of ${REVIEW_VERSIONS.join(", ")}`)]),
  ];
}

/** Also for the webhooks that convert custom resources. */
export function validateClientConfig(
  c: DeepReadonly<AdmissionregistrationV1WebhookClientConfig>,
  at: string,
): FieldErrors {
  if ((c.url === undefined) === (c.service === undefined)) {
    return [required(at, "exactly one of url or service is required")];
  }
  if (c.service) return validateServiceReference(c.service, `${at}.service`);
  return validateUrl(c.url ?? "", `${at}.url`);
}

/** RFC 3986, appendix B: takes any text apart. */
const URL_PARTS = /^(?:([^:/?#]+):)?(?:\/\/(?:([^@/?#]*)@)?([^/?#]*))?[^?#]*(?:\?([^#]*))?(?:#([\s\S]*))?$/;

function validateUrl(url: string, field: string): FieldErrors {
  const [, scheme = "", user, host = "", query, fragment] = URL_PARTS.exec(url) ?? [];
  return [
    ...(scheme === "https" ? [] : [invalidValue(field, scheme, `'https' is the only allowed URL scheme${DESIRED}`)]),
    ...(host ? [] : [invalidValue(field, host, `host must be specified${DESIRED}`)]),
    ...(user === undefined ? [] : [invalidValue(field, user, "user information is not permitted in the URL")]),
    ...(fragment ? [invalidValue(field, fragment, "fragments are not permitted in the URL")] : []),
    ...(query ? [invalidValue(field, query, "query parameters are not permitted in the URL")] : []),
  ];
}

function validateServiceReference(s: DeepReadonly<AdmissionregistrationV1ServiceReference>, at: string): FieldErrors {
  const port = s.port ?? 443;
  return [
    ...(s.name ? [] : [required(`${at}.name`, "service name is required")]),
    ...(s.namespace ? [] : [required(`${at}.namespace`, "service namespace is required")]),
    ...validateUrlPath(s.path ?? "", `${at}.path`),
    ...portNumber(port).map((why) => invalidValue(`${at}.port`, port, `port is not valid: ${why}`)),
  ];
}

function validateUrlPath(path: string, field: string): FieldErrors {
  if (path === "" || path === "/") return [];
  const wrong = (why: string) => invalidValue(field, path, why);
  if (path === "//") return [wrong("segment[0] may not be empty")];
  const steps = path.slice(1).replace(/\/$/, "").split("/");
  return [
    ...(path.startsWith("/") ? [] : [wrong("must start with a '/'")]),
    ...steps.flatMap((step, i) =>
      step === ""
        ? [wrong(`segment[${i}] may not be empty`)]
        : dnsSubdomain(step).map((why) => wrong(`segment[${i}]: ${why}`)),
    ),
  ];
}
