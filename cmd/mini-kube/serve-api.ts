/** The API over HTTPS with all that decides who may: tokens, the bootstrap policy, and the audit log. */
import { readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { openAuditLog } from "../../pkg/apiserver/auth/audit-log.ts";
import { policyOfLevel, readPolicy } from "../../pkg/apiserver/auth/audit-policy.ts";
import { Audit } from "../../pkg/apiserver/auth/audit.ts";
import { ensurePolicy } from "../../pkg/apiserver/auth/ensure-policy.ts";
import { openAccess } from "../../pkg/apiserver/auth/open.ts";
import { tokenFileAuthenticator } from "../../pkg/apiserver/auth/token-file.ts";
import { type HttpListener, type ListenOptions, listen } from "../../pkg/apiserver/http.ts";
import { publishEndpoint } from "../../pkg/apiserver/kubernetes-service.ts";
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
}

export interface ServeOptions extends IdentityOptions, Omit<ListenOptions, "access" | "audit"> {
  /** PEM: signs the tokens of ServiceAccounts. */
  readonly key: string;
}

/** Rejects with what hinders it: a port in use, a file that cannot be read or understood. */
export async function serveApi(api: ApiServer, o: ServeOptions): Promise<HttpListener> {
  const tokens = o.tokenFile === undefined ? [] : [read(o.tokenFile, tokenFileAuthenticator)];
  const access = openAccess(api, { key: o.key, random: systemRandom, tokens });
  await ensurePolicy(new Client(api.transport(), "apiserver"), api.view);
  const audited = await openAudit(o, o.log);
  try {
    const listener = await listen(api, { ...o, access, ...(audited && { audit: audited.audit }) });
    const published = publish(api, o, listener.port);
    const close = async () => {
      await published;
      await listener.close();
      await audited?.close();
    };
    return { ...listener, close };
  } catch (error) {
    await audited?.close();
    if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    throw new Error(`port ${o.port} is in use by another program; choose another one with --port`, { cause: error });
  }
}

/** Nobody waits for it at the start; it never rejects. Nothing beyond this machine can use a loopback address. */
async function publish(api: ApiServer, o: ServeOptions, port: number): Promise<void> {
  const loopback = o.host === undefined || o.host === "localhost" || o.host.startsWith("127.") || o.host === "::1";
  const address = loopback || o.host === "0.0.0.0" ? machineAddress() : o.host;
  if (address === undefined) return;
  try {
    await publishEndpoint({ client: new Client(api.transport(), "apiserver"), address, port });
  } catch (error) {
    o.log.warn({ err: error, address }, "the endpoints of the Service kubernetes are not written");
  }
}

/** The first that leads out of the machine, other than those that container engines make. */
function machineAddress(): string | undefined {
  const own = Object.entries(networkInterfaces()).filter(([name]) => !/^(docker|br-|veth|cni|virbr)/.test(name));
  const all = own.flatMap(([, addresses]) => addresses ?? []);
  return all.find((a) => a.family === "IPv4" && !a.internal && !a.address.startsWith("169.254."))?.address;
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
