/** One request on its way in: who it is from, whether it may, and what the audit log is told of it. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Attributes, User } from "../../api/rbac/attributes.ts";
import type { ApiError } from "../../api/status.ts";
import type { Following } from "../request-metrics.ts";
import type { Access } from "./access.ts";
import type { Audit, Trail } from "./audit.ts";
import { ANONYMOUS } from "./authentication.ts";
import { forbidden } from "./authorization.ts";

export class Visit {
  /** Whose rights count. Nobody's before {@link identify}. */
  user: User = ANONYMOUS;
  /** What is asked for, once that was read. */
  attributes: Attributes | undefined;
  version = "";
  /** Whose credentials they are. */
  #caller: User = ANONYMOUS;
  following: Following | undefined;
  readonly #req: IncomingMessage;
  readonly #access: Access;
  readonly #trail: Trail | undefined;

  constructor(req: IncomingMessage, access: Access, audit?: Audit) {
    this.#req = req;
    this.#access = access;
    this.#trail = audit?.begin(req);
  }

  /** Rejects with Unauthorized, or Forbidden when the caller may not be whom it says it is. */
  async identify(): Promise<void> {
    const { caller, user } = await this.#access.identify(this.#req);
    this.#caller = caller;
    this.user = user;
    if (this.#trail && caller !== user) this.#trail.impersonator = caller;
    // Whom the request is handed on to has nothing to do with who it came from.
    for (const name of Object.keys(this.#req.headers)) {
      if (name.startsWith("impersonate-")) delete this.#req.headers[name];
    }
  }

  /** Throws Unauthorized when the caller is not let in any more. */
  check(): void {
    this.#access.check(this.#req, this.#caller);
  }

  /** Rejects with Forbidden. */
  async authorize(a: Attributes, apiVersion = ""): Promise<void> {
    this.attributes = a;
    this.version = apiVersion;
    this.following?.known();
    const verdict = await this.#access.decide(a);
    if (this.#trail) {
      this.#trail.attributes = a;
      this.#trail.apiVersion = apiVersion;
      this.#trail.decision = verdict;
    }
    if (!verdict.allowed) throw forbidden(a, verdict.reason);
  }

  /** A right that the request needs besides; the audit log tells of the request itself. Rejects with Forbidden. */
  async needs(a: Attributes): Promise<void> {
    const verdict = await this.#access.decide(a);
    if (!verdict.allowed) throw forbidden(a, verdict.reason);
  }

  asks(body: unknown): void {
    if (this.#trail) this.#trail.requestObject = body;
  }

  answers(body: Buffer | object): void {
    if (this.#trail) this.#trail.response = body;
  }

  fails(error: ApiError): void {
    if (this.#trail) this.#trail.error = error;
  }

  /** Once the answer is sent, or cannot be any more. */
  endsWith(res: ServerResponse): void {
    this.#trail?.endWith(res);
  }

  end(code: number): void {
    this.#trail?.end(code);
  }
}
