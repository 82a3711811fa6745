/** The `token` subresource of ServiceAccounts: a token for a while, for an audience, bound to an object or to none. */
import { nodes } from "../../api/kinds/core/node.ts";
import { pods } from "../../api/kinds/core/pod.ts";
import { secrets } from "../../api/kinds/core/secret.ts";
import type { AuthenticationV1TokenRequest, BoundObjectReference, ServiceAccount } from "../../api/generated/types.ts";
import {
  DEFAULT_TOKEN_SECONDS,
  TOKEN_REQUEST,
  validateTokenRequest,
} from "../../api/kinds/authentication/tokenrequest.ts";
import type { ApiObject } from "../../api/object.ts";
import { nameOf, namespaceOf, parseApiVersion, uidOf } from "../../api/object.ts";
import type { ResourceRef } from "../../api/resource.ts";
import { ApiError, badRequest, conflict, invalid, notFound } from "../../api/status.ts";
import { invalidValue } from "../../api/validation/field.ts";
import { type Random, rfc3339 } from "../../util/clock.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { ClusterView } from "../admission.ts";
import { refuseTokenOf } from "../admission/node-restriction.ts";
import type { CallHandler } from "../virtual.ts";
import { newUid } from "../write-policy.ts";
import { API_AUDIENCES } from "./access.ts";
import { nodeIdentity } from "./node-authorizer.ts";
import { type ClaimsOptions, type ServiceAccountTokens, newClaims } from "./service-account-tokens.ts";

/** What agents ask for when a Pod wants the default of an hour … */
const PROJECTED_SECONDS = 60 * 60 + 7;
/** … which such a token outlives by far, for programs that read its file only once. */
const EXTENDED_SECONDS = 365 * 24 * 60 * 60;

type Bound = ClaimsOptions["bound"];

export function tokenRequestHandler(tokens: ServiceAccountTokens, random: Random): CallHandler {
  return async (target, input, { view, context }) => {
    const account = target as DeepReadonly<ServiceAccount>;
    const request = input as AuthenticationV1TokenRequest;
    checkMetadata(request, account);
    const node = nodeIdentity(context.user);
    const refused =
      node === undefined ? undefined : refuseTokenOf(node, request, { view, namespace: namespaceOf(account) });
    if (refused !== undefined) throw refusedToken(account, refused);
    const { spec = {} } = request;
    const errors = validateTokenRequest(request);
    if (errors.length > 0) throw invalid(TOKEN_REQUEST, "", errors);
    const audiences = spec.audiences?.length ? spec.audiences : [...API_AUDIENCES];
    const seconds = spec.expirationSeconds ?? DEFAULT_TOKEN_SECONDS;
    const bound = spec.boundObjectRef ? await boundObjects(spec.boundObjectRef, account, view) : {};
    const extended =
      bound.pod && seconds === PROJECTED_SECONDS && audiences.every((audience) => API_AUDIENCES.includes(audience));
    const { now } = context;
    const claims = newClaims({
      account,
      audiences,
      bound,
      now,
      id: newUid(random),
      seconds: extended ? EXTENDED_SECONDS : seconds,
      ...(extended && { warnAfterSeconds: seconds }),
    });
    return {
      kind: TOKEN_REQUEST.kind,
      apiVersion: `${TOKEN_REQUEST.group}/${TOKEN_REQUEST.version}`,
      metadata: {
        name: nameOf(account),
        namespace: namespaceOf(account),
        uid: uidOf(account),
        creationTimestamp: rfc3339(now),
      },
      spec: { ...spec, audiences, expirationSeconds: seconds, boundObjectRef: spec.boundObjectRef ?? null },
      status: { token: await tokens.issue(claims), expirationTimestamp: rfc3339(now + seconds * 1000) },
    };
  };
}

function refusedToken(account: DeepReadonly<ServiceAccount>, why: string): ApiError {
  const name = nameOf(account);
  const text = `serviceaccounts ${JSON.stringify(name)} is forbidden: ${why}`;
  return new ApiError("Forbidden", text, { name, kind: "serviceaccounts" });
}

/** What the body says of itself must be said of the account. */
function checkMetadata({ metadata }: AuthenticationV1TokenRequest, account: DeepReadonly<ServiceAccount>): void {
  const refuse = (field: "name" | "namespace") => {
    const detail = `must match the service account ${field} if specified`;
    return invalid(TOKEN_REQUEST, nameOf(account), [invalidValue(`metadata.${field}`, metadata[field], detail)]);
  };
  if (metadata.name && metadata.name !== nameOf(account)) throw refuse("name");
  if (metadata.namespace && metadata.namespace !== namespaceOf(account)) throw refuse("namespace");
  if (metadata.uid && metadata.uid !== uidOf(account)) {
    const why = `the UID in the token request (${metadata.uid}) does not match the UID of the service account (${uidOf(account)})`;
    throw conflict({ group: TOKEN_REQUEST.group, resource: TOKEN_REQUEST.kind }, nameOf(account), why);
  }
}

/** What the token lives and dies with. */
async function boundObjects(
  ref: BoundObjectReference,
  account: DeepReadonly<ServiceAccount>,
  view: ClusterView,
): Promise<Bound> {
  const { group, version } = parseApiVersion(ref.apiVersion ?? "");
  const namespace = namespaceOf(account);
  switch (group === "" ? (ref.kind ?? "") : "") {
    case "Pod": {
      const pod = await find(view, pods, namespace, ref);
      if (pod.spec?.serviceAccountName !== nameOf(account)) {
        const who = JSON.stringify(nameOf(account));
        throw badRequest(
          `cannot bind token for serviceaccount ${who} to pod running with different serviceaccount name.`,
        );
      }
      const name = pod.spec.nodeName;
      return name ? { pod, node: view.get(nodes, "", name) ?? { metadata: { name } } } : { pod };
    }
    case "Secret":
      return { secret: await find(view, secrets, namespace, ref) };
    case "Node":
      return { node: await find(view, nodes, "", ref) };
    default:
      throw badRequest(`cannot bind token to object of type ${group}/${version}, Kind=${ref.kind ?? ""}`);
  }
}

async function find<T extends ApiObject>(
  view: ClusterView,
  kind: ResourceRef<T>,
  namespace: string,
  ref: BoundObjectReference,
): Promise<DeepReadonly<T>> {
  const name = ref.name ?? "";
  const object = (await view.fresh(kind, namespace, name))?.object;
  if (!object) throw notFound({ group: kind.group, resource: kind.plural }, name);
  if (ref.uid && ref.uid !== uidOf(object)) {
    const why = `the UID in the bound object reference (${ref.uid}) does not match the UID in record. The object might have been deleted and then recreated`;
    throw conflict({ group: kind.group, resource: kind.kind }, name, why);
  }
  return object;
}
