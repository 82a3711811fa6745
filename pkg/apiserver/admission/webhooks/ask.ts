/** One webhook asked about one request. */
import type { MutatingWebhook, ValidatingWebhook } from "../../../api/generated/types.ts";
import type { ResourceDef } from "../../../api/resource.ts";
import type { Clock, Random } from "../../../util/clock.ts";
import type { Logger } from "../../../util/log.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import type { AdmissionRequest, ClusterView } from "../../admission.ts";
import { newUid } from "../../write-policy.ts";
import { bindingsOf, conditionsHold } from "../expressions.ts";
import { type Equivalents, matched } from "../matching.ts";
import { forbidden } from "../refuse.ts";
import { shownAs } from "../shown.ts";
import { post } from "./call.ts";
import { endpointOf } from "./endpoint.ts";
import { callFailure, denial, InvalidAnswer, noDryRun, readAnswer, type ReviewAnswer, reviewOf } from "./review.ts";

export type Webhook = DeepReadonly<MutatingWebhook | ValidatingWebhook>;

export interface WebhookOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly equivalents: Equivalents;
}

/** The kind under which the webhook wants to see this request, if it does. Throws Forbidden when its conditions fail. */
export function interest(
  hook: Webhook,
  r: AdmissionRequest,
  view: ClusterView,
  o: WebhookOptions,
): ResourceDef | undefined {
  const def = matched({ ...hook, rules: hook.rules ?? [] }, r, view, o.equivalents);
  if (!def || !hook.matchConditions?.length) return def;
  try {
    return conditionsHold(hook.matchConditions, bindingsOf(r, def, shownAs(def, r), view)) ? def : undefined;
  } catch (error) {
    if (hook.failurePolicy === "Ignore") return undefined;
    throw forbidden(r, error instanceof Error ? error.message : String(error));
  }
}

/** The answer, or undefined when it could not be had and the webhook may be passed over. Throws ApiError to refuse. */
export async function ask(
  hook: Webhook,
  r: AdmissionRequest,
  def: ResourceDef,
  how: { readonly view: ClusterView; readonly mutating: boolean } & WebhookOptions,
): Promise<ReviewAnswer | undefined> {
  if (r.dryRun && hook.sideEffects !== "None" && hook.sideEffects !== "NoneOnDryRun") throw noDryRun(hook.name);
  let answer: ReviewAnswer;
  try {
    answer = await exchange(hook, r, def, how);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    if (hook.failurePolicy !== "Ignore") throw callFailure(hook.name, why);
    how.log.warn({ webhook: hook.name, err: error }, "failed calling webhook, failing open");
    return undefined;
  }
  answer.warnings.forEach(r.warn);
  if (!answer.allowed) throw denial(hook.name, answer.status);
  return answer;
}

async function exchange(
  hook: Webhook,
  r: AdmissionRequest,
  def: ResourceDef,
  how: { readonly view: ClusterView; readonly mutating: boolean } & WebhookOptions,
): Promise<ReviewAnswer> {
  if (!hook.admissionReviewVersions.includes("v1")) {
    throw new Error("could not create admission objects: webhook does not accept known AdmissionReview versions (v1)");
  }
  const seconds = hook.timeoutSeconds ?? 10;
  const uid = newUid(how.random);
  const to = endpointOf(hook.clientConfig, seconds, how.view, how.random);
  if ("unreachable" in to) throw new Error(`failed to call webhook: Post "${to.url}": ${to.unreachable}`);
  const body = JSON.stringify(reviewOf(uid, r, def, shownAs(def, r)));
  const { code, text } = await post(to, body, { timeoutMs: seconds * 1000, clock: how.clock }).catch(
    (error: unknown) => {
      throw new Error(`failed to call webhook: ${(error as Error).message}`, { cause: error });
    },
  );
  if (code !== 200) throw new Error(`failed to call webhook: ${refusalOf(code, text)}`);
  try {
    return readAnswer(JSON.parse(text), uid, how.mutating);
  } catch (error) {
    if (error instanceof InvalidAnswer)
      throw new Error(`received invalid webhook response: ${error.message}`, { cause: error });
    throw new Error(`failed to call webhook: ${(error as Error).message}`, { cause: error });
  }
}

/** As client-go puts an answer that is no success. */
function refusalOf(code: number, text: string): string {
  const said = text.trim().slice(0, 2048);
  switch (code) {
    case 401:
      return said === "" ? "Unauthorized" : said;
    case 403:
      return said === "" ? "forbidden" : said;
    case 404:
      return "the server could not find the requested resource";
    case 405:
      return "the server does not allow this method on the requested resource";
    default:
      return code >= 500
        ? `an error on the server (${JSON.stringify(said || "unknown")}) has prevented the request from succeeding`
        : `the server rejected our request for an unknown reason`;
  }
}
