/** What a connection asks for, as the object that admission is shown: `PodExecOptions` and its kin. */
import type { ApiObject } from "../../api/object.ts";
import type { ResourceDef } from "../../api/resource.ts";
import { own } from "../../util/keys.ts";

type Read = (query: URLSearchParams, name: string) => unknown;

const flag: Read = (query, name) => /^(true|1)$/i.test(query.get(name) ?? "") || undefined;
const text: Read = (query, name) => query.get(name) || undefined;
const list: Read = (query, name) => (query.has(name) ? [...query.getAll(name)] : undefined);
const numbers: Read = (query, name) => (query.has(name) ? Array.from(query.getAll(name), Number) : undefined);

const STREAMS = { stdin: flag, stdout: flag, stderr: flag, tty: flag, container: text } as const;
const FIELDS: Readonly<Record<string, Readonly<Record<string, Read>>>> = {
  exec: { ...STREAMS, command: list },
  attach: STREAMS,
  portforward: { ports: numbers },
  proxy: {},
};
const WORDS: Readonly<Record<string, string>> = {
  exec: "Exec",
  attach: "Attach",
  portforward: "PortForward",
  proxy: "Proxy",
};

/** Undefined for what only reads: logs. `path`: what a proxy is asked for. */
export function connectOptions(
  def: ResourceDef,
  subresource: string,
  asked: { readonly query: URLSearchParams; readonly path?: string },
): ApiObject | undefined {
  const fields = own(FIELDS, subresource);
  if (!fields) return undefined;
  const given = Object.entries(fields).map(([name, read]) => [name, read(asked.query, name)] as const);
  return {
    kind: `${def.kind}${own(WORDS, subresource) ?? ""}Options`,
    apiVersion: "v1",
    metadata: {},
    ...Object.fromEntries(given.filter(([, value]) => value !== undefined)),
    ...(subresource === "proxy" && asked.path ? { path: asked.path } : {}),
  };
}
