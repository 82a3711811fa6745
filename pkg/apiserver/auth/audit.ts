/**
 * Who did what, when, and with what success: one audit.k8s.io Event per request, written when it is over.
 *
 *  A1  No request waits for the log: lines that its writer cannot take in time are dropped, and their number is said.
 *  A2  One line per request, whatever became of it; those refused before anybody knew who asks are no exception.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { ApiObject } from "../../api/object.ts";
import { type Attributes, type User, onPath } from "../../api/rbac/attributes.ts";
import type { ApiError } from "../../api/status.ts";
import { type Clock, type Random, rfc3339Micro } from "../../util/clock.ts";
import { newUid } from "../write-policy.ts";
import { type AuditPolicy, LEVELS, type Level, levelFor } from "./audit-policy.ts";

/** Takes a line, newline included; false when it cannot and the line is lost. */
export type AuditSink = (line: string) => boolean;

export interface AuditOptions {
  readonly policy: AuditPolicy;
  readonly sink: AuditSink;
  readonly clock: Pick<Clock, "now">;
  readonly random: Random;
}

const MAX_USER_AGENT = 1024;
const MAX_ID = 64;
const NOBODY: User = { name: "", groups: [] };

export class Audit {
  readonly #o: AuditOptions;
  #dropped = 0;

  constructor(o: AuditOptions) {
    this.#o = o;
  }

  /** Lines lost so far (A1). */
  get dropped(): number {
    return this.#dropped;
  }

  /** To be told what becomes of the request; {@link Trail.end} writes. */
  begin(req: IncomingMessage): Trail {
    const { clock, random } = this.#o;
    const asked = String(req.headers["audit-id"] ?? "");
    const id = asked && asked.length <= MAX_ID ? asked : newUid(random);
    return new Trail({ req, id, receivedAt: clock.now(), end: (trail, code) => this.#write(trail, code) });
  }

  #write(trail: Trail, code: number): void {
    const { policy, clock, sink } = this.#o;
    const level = levelFor(policy, trail.attributes);
    if (level === "None") return;
    const event = eventOf(trail, { level, code, now: clock.now() });
    if (!sink(`${JSON.stringify(event)}\n`)) this.#dropped += 1;
  }
}

interface TrailOptions {
  readonly req: IncomingMessage;
  readonly id: string;
  /** Milliseconds. */
  readonly receivedAt: number;
  readonly end: (trail: Trail, code: number) => void;
}

/** What is known of one request, as it becomes known. */
export class Trail {
  readonly req: IncomingMessage;
  readonly id: string;
  readonly receivedAt: number;
  /** Whose credentials it came with, where that is not who acts. */
  impersonator: User | undefined;
  attributes: Attributes;
  apiVersion = "";
  /** Why it was allowed or refused; undefined before that was decided. */
  decision: { readonly allowed: boolean; readonly reason: string } | undefined;
  requestObject: unknown;
  /** An encoding, or what is to be encoded. */
  response: Buffer | object | undefined;
  error: ApiError | undefined;
  #ended = false;
  readonly #end: (trail: Trail, code: number) => void;

  constructor(o: TrailOptions) {
    this.req = o.req;
    this.id = o.id;
    this.receivedAt = o.receivedAt;
    this.attributes = onPath(NOBODY, (o.req.method ?? "GET").toLowerCase(), (o.req.url ?? "/").split("?")[0] ?? "/");
    this.#end = o.end;
  }

  /** Once the answer is sent, or cannot be any more. */
  endWith(res: ServerResponse): void {
    res.setHeader("Audit-Id", this.id);
    res.once("close", () => this.end(res.statusCode));
  }

  /** The first one counts. */
  end(code: number): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#end(this, code);
  }
}

function eventOf(trail: Trail, o: { level: Level; code: number; now: number }): object {
  const { req, attributes, impersonator, decision } = trail;
  const tells = (level: Level) => LEVELS.indexOf(o.level) >= LEVELS.indexOf(level);
  return {
    kind: "Event",
    apiVersion: "audit.k8s.io/v1",
    level: o.level,
    auditID: trail.id,
    stage: "ResponseComplete",
    requestURI: req.url,
    verb: attributes.verb,
    user: userInfo(impersonator ?? attributes.user),
    ...(impersonator && { impersonatedUser: userInfo(attributes.user) }),
    sourceIPs: [req.socket.remoteAddress ?? ""],
    userAgent: (req.headers["user-agent"] ?? "").slice(0, MAX_USER_AGENT),
    ...(attributes.path === undefined && { objectRef: objectRef(trail) }),
    responseStatus: responseStatus(trail.error, o.code),
    ...(tells("Request") && trail.requestObject !== undefined && { requestObject: trail.requestObject }),
    ...(tells("RequestResponse") && trail.response !== undefined && { responseObject: decoded(trail.response) }),
    requestReceivedTimestamp: rfc3339Micro(trail.receivedAt),
    stageTimestamp: rfc3339Micro(o.now),
    ...(decision && {
      annotations: {
        "authorization.k8s.io/decision": decision.allowed ? "allow" : "forbid",
        "authorization.k8s.io/reason": decision.reason,
      },
    }),
  };
}

function userInfo({ name, uid, groups, extra }: User): object {
  return { username: name, ...(uid && { uid }), groups, ...(extra && { extra }) };
}

/** A new object's name stands only in its body. */
function objectRef({ attributes: a, apiVersion, requestObject }: Trail): object {
  const meta = (requestObject as Partial<ApiObject> | undefined)?.metadata;
  const name = a.name || (typeof meta?.name === "string" ? meta.name : "");
  return {
    resource: a.resource,
    ...(a.namespace && { namespace: a.namespace }),
    ...(name && { name }),
    ...(a.apiGroup && { apiGroup: a.apiGroup }),
    ...(apiVersion && { apiVersion }),
    ...(a.subresource && { subresource: a.subresource }),
  };
}

function responseStatus(error: ApiError | undefined, code: number): object {
  if (!error) return { metadata: {}, code };
  const { status, reason, message, details } = error.toStatus();
  return { metadata: {}, status, message, reason, ...(details && { details }), code };
}

function decoded(response: Buffer | object): unknown {
  return Buffer.isBuffer(response) ? JSON.parse(response.toString()) : response;
}
