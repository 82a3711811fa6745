/** The environment variables by which a container finds the Services of its namespace, as Docker's links once were. Pure. */
import { isIP } from "node:net";
import type { Service } from "../api/generated/types.ts";
import { nameOf } from "../api/object.ts";
import type { DeepReadonly } from "../util/types.ts";

type AnyService = DeepReadonly<Service>;

/** Of Services that have an address; a later one before an earlier one of the same variable. */
export function serviceVariables(services: Iterable<AnyService>): Map<string, string> {
  const env = new Map<string, string>();
  for (const s of services) if (hasAddress(s)) for (const [name, value] of variablesOf(s)) env.set(name, value);
  return env;
}

function hasAddress({ spec }: AnyService): boolean {
  return isIP(spec?.clusterIP ?? "") !== 0;
}

function* variablesOf(service: AnyService): Generator<[string, string]> {
  const { clusterIP = "", ports = [] } = service.spec ?? {};
  const [first] = ports;
  if (!first) return;
  const name = variable(nameOf(service));
  const port = `${name}_SERVICE_PORT`;
  yield [`${name}_SERVICE_HOST`, clusterIP];
  yield [port, String(first.port)];
  for (const p of ports) if (p.name) yield [`${port}_${variable(p.name)}`, String(p.port)];
  const host = isIP(clusterIP) === 6 ? `[${clusterIP}]` : clusterIP;
  for (const p of ports) {
    const protocol = p.protocol ?? "TCP";
    const url = `${protocol.toLowerCase()}://${host}:${p.port}`;
    const link = `${name}_PORT_${p.port}_${protocol}`;
    if (p === first) yield [`${name}_PORT`, url];
    yield [link, url];
    yield [`${link}_PROTO`, protocol.toLowerCase()];
    yield [`${link}_PORT`, String(p.port)];
    yield [`${link}_ADDR`, clusterIP];
  }
}

const variable = (name: string) => name.replaceAll("-", "_").toUpperCase();
