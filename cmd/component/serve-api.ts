/** The API over HTTPS with all that decides who may: tokens, the bootstrap policy, and the audit log. */
import { readFileSync } from "node:fs";
import { openAuditLog } from "../../pkg/apiserver/auth/audit-log.ts";
import { policyOfLevel, readPolicy } from "../../pkg/apiserver/auth/audit-policy.ts";
import { Audit } from "../../pkg/apiserver/auth/audit.ts";
import { ensurePolicy } from "../../pkg/apiserver/auth/ensure-policy.ts";
import { openAccess } from "../../pkg/apiserver/auth/open.ts";
import { tokenFileAuthenticator } from "../../pkg/apiserver/auth/token-file.ts";
import type { DrainOptions } from "../../pkg/apiserver/drain.ts";
import { ensureFlowObjects } from "../../pkg/apiserver/flow/ensure.ts";
import { type HttpListener, type ListenOptions, listen } from "../../pkg/apiserver/http.ts";
import type { ApiServer } from "../../pkg/apiserver/server.ts";
import { Client } from "../../pkg/client/client.ts";
import { systemClock, systemRandom } from "../../pkg/util/clock.ts";
import type { Logger } from "../../pkg/util/log.ts";
import { parseYamlDocuments } from "../../pkg/util/yaml.ts";

/** Files that a user may name. */
export interface IdentityOptions {
  /** Gets a line for every request. */
  readonly auditLog?: string | undefined;
  /** Which requests, and how much of them; default: all, without bodies. */
  readonly auditPolicy?: string | undefined;
  /** Who else is known: lines of `token,user,uid,"group1,group2"`. */
  readonly tokenFile?: string | undefined;
  /** Whether who shows no credentials is told of health, version and how to join. Default: yes. */
  readonly anonymousAuth?: boolean | undefined;
  /** For how much there is room at once. Default 100. */
  readonly seats?: number | undefined;
}

export interface ServeOptions extends IdentityOptions, Omit<ListenOptions, "access" | "audit" | "seats"> {
  /** PEM: signs the tokens of ServiceAccounts. */
  readonly key: string;
}

/** Rejects with what hinders it: a port in use, a file that cannot be read or understood. */
export async function serveApi(api: ApiServer, o: ServeOptions): Promise<HttpListener> {
  const tokens = o.tokenFile === undefined ? [] : [read(o.tokenFile, tokenFileAuthenticator)];
  const access = openAccess(api, { key: o.key, random: systemRandom, tokens, anonymous: o.anonymousAuth });
  const client = new Client(api.transport(), "apiserver");
  await Promise.all([ensurePolicy(client, api.view), ensureFlowObjects(client, api.view)]);
  const audited = await openAudit(o, o.log);
  try {
    const listener = await listen(api, { ...o, access, ...(audited && { audit: audited.audit }) });
    const close = async (drain?: DrainOptions) => {
      await listener.close(drain);
      await audited?.close();
    };
    return { ...listener, close };
  } catch (error) {
    await audited?.close();
    if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    throw new Error(`port ${o.port} is in use by another program; choose another one with --port`, { cause: error });
  }
}

async function openAudit(o: IdentityOptions, log: Logger) {
  if (o.auditLog === undefined) return undefined;
  const policy =
    o.auditPolicy === undefined
      ? policyOfLevel("Metadata")
      : read(o.auditPolicy, (text) => readPolicy(parseYamlDocuments(text, "the policy")[0]?.value));
  const file = await openAuditLog(o.auditLog, log);
  return {
    close: () => file.close(),
    audit: new Audit({ policy, sink: file.sink, clock: systemClock, random: systemRandom }),
  };
}

/** The file's name goes before whatever is wrong with it. */
function read<T>(file: string, parse: (text: string) => T): T {
  try {
    return parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw new Error(`${file}: ${(error as Error).message}`, { cause: error });
  }
}
