/**
 * What the ingress proxy does with requests, as one value computed from the objects. A proxy swaps its table for the
 * next one between two requests; requests under way keep the one they began with. Pure.
 */
import type { Ingress, IngressBackend, IngressClass } from "../../api/generated/types.ts";
import { keyOf, namespaceOf } from "../../api/object.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { type Backend, type BackendView, backendOf } from "./backends.ts";
import { type RouteSettings, settingsOf } from "./settings.ts";

export const CONTROLLER = "mini-kube.io/ingress";
const CLASS_ANNOTATION = "kubernetes.io/ingress.class";

export interface Route {
  /** `namespace/name` */
  readonly ingress: string;
  readonly path: string;
  readonly backend: Backend;
  readonly settings: RouteSettings;
}

/** The routes of one host. */
export interface HostRoutes {
  readonly exact: ReadonlyMap<string, Route>;
  /** By path without its final slash: `""` is `/`. */
  readonly prefixes: ReadonlyMap<string, Route>;
  /** Where no path fits. */
  readonly fallback?: Route;
}

export interface Table {
  readonly exactHosts: ReadonlyMap<string, HostRoutes>;
  /** Of `*.example.com`, by `example.com`. */
  readonly wildcardHosts: ReadonlyMap<string, HostRoutes>;
  /** Of rules without a host. */
  readonly anyHost: HostRoutes;
  /** Host, or `*.domain` → key of the Secret with its certificate. `""`: of TLS entries that name no host. */
  readonly certificates: ReadonlyMap<string, string>;
  readonly problems: readonly Problem[];
}

/** Something in an Ingress that cannot be done as it says; the rest of it is. */
export interface Problem {
  readonly ingress: string;
  readonly reason: "InvalidAnnotation" | "ServiceUnavailable" | "SecretUnavailable" | "Conflict" | "UnsupportedBackend";
  readonly message: string;
}

export interface TableInput extends BackendView {
  readonly ingresses: readonly DeepReadonly<Ingress>[];
  /** Whether the Secret is there with a certificate that can be used; else what is wrong with it. */
  readonly secretProblem: (key: string) => string | undefined;
}

/** Ingresses that are ours to serve. */
export function isOurs(o: DeepReadonly<Ingress>, classOf: (name: string) => DeepReadonly<IngressClass> | undefined) {
  const name = o.spec?.ingressClassName ?? o.metadata.annotations?.[CLASS_ANNOTATION];
  return name !== undefined && classOf(name)?.spec?.controller === CONTROLLER;
}

/** Who was first keeps what two claim. */
function byAge(a: DeepReadonly<Ingress>, b: DeepReadonly<Ingress>): number {
  const born = (o: DeepReadonly<Ingress>) => Date.parse(o.metadata.creationTimestamp ?? "") || 0;
  return born(a) - born(b) || (keyOf(a) < keyOf(b) ? -1 : 1);
}

export function buildTable(input: TableInput): Table {
  const builder = new TableBuilder(input);
  for (const ingress of input.ingresses.toSorted(byAge)) builder.add(ingress);
  return builder.table();
}

interface Building {
  exact: Map<string, Route>;
  prefixes: Map<string, Route>;
  fallback?: Route;
}

const WILDCARD = "*.";
const newHost = (): Building => ({ exact: new Map(), prefixes: new Map() });

class TableBuilder {
  readonly #input: TableInput;
  readonly #exactHosts = new Map<string, Building>();
  readonly #wildcardHosts = new Map<string, Building>();
  readonly #anyHost = newHost();
  readonly #certificates = new Map<string, string>();
  readonly #problems: Problem[] = [];
  /** A Service that many paths lead to is looked at once, and its trouble told once. */
  readonly #backends = new Map<string, Backend>();

  constructor(input: TableInput) {
    this.#input = input;
  }

  table(): Table {
    return {
      exactHosts: this.#exactHosts,
      wildcardHosts: this.#wildcardHosts,
      anyHost: this.#anyHost,
      certificates: this.#certificates,
      problems: this.#problems,
    };
  }

  add(ingress: DeepReadonly<Ingress>): void {
    const key = keyOf(ingress);
    const { settings, problems } = settingsOf(ingress);
    for (const message of problems) this.#problems.push({ ingress: key, reason: "InvalidAnnotation", message });
    const route = (path: string, b: DeepReadonly<IngressBackend>): Route => ({
      ingress: key,
      path,
      backend: this.#backend(ingress, b),
      settings,
    });
    const { rules = [], defaultBackend } = ingress.spec ?? {};
    const fallback = defaultBackend && route("/", defaultBackend);
    for (const rule of rules) {
      const host = this.#host(rule.host?.toLowerCase() ?? "");
      for (const p of rule.http?.paths ?? []) {
        const path = p.path || "/";
        const exact = p.pathType === "Exact";
        const taken = put(exact ? host.exact : host.prefixes, exact ? path : path.replace(/\/+$/, ""), () =>
          route(path, p.backend),
        );
        if (taken) this.#conflict(ingress, `${rule.host ?? "*"}${path}`, taken);
      }
      if (fallback) host.fallback ??= fallback;
    }
    if (fallback) this.#anyHost.fallback ??= fallback;
    this.#addTls(ingress);
  }

  #host(host: string): Building {
    if (host === "") return this.#anyHost;
    const [map, name] = host.startsWith(WILDCARD)
      ? [this.#wildcardHosts, host.slice(WILDCARD.length)]
      : [this.#exactHosts, host];
    let found = map.get(name);
    if (!found) map.set(name, (found = newHost()));
    return found;
  }

  #backend(ingress: DeepReadonly<Ingress>, { service }: DeepReadonly<IngressBackend>): Backend {
    const report = (reason: Problem["reason"], message: string) =>
      void this.#problems.push({ ingress: keyOf(ingress), reason, message });
    if (!service) {
      const missing = "resource backends are not served, only Services";
      report("UnsupportedBackend", missing);
      return { name: "", endpoints: [], missing };
    }
    const id = JSON.stringify([keyOf(ingress), service.name, service.port]);
    const known = this.#backends.get(id);
    if (known) return known;
    const backend = backendOf(namespaceOf(ingress), service, this.#input);
    this.#backends.set(id, backend);
    // No endpoints is an everyday state of a Service; a Service or port that is not there is a mistake.
    if (backend.missing !== undefined && !backend.missing.endsWith("no ready endpoints")) {
      report("ServiceUnavailable", backend.missing);
    }
    return backend;
  }

  #conflict(ingress: DeepReadonly<Ingress>, what: string, taken: Route): void {
    const message = `${what} already leads to ${taken.backend.name} by ingress ${taken.ingress}`;
    this.#problems.push({ ingress: keyOf(ingress), reason: "Conflict", message });
  }

  #addTls(ingress: DeepReadonly<Ingress>): void {
    for (const { hosts = [], secretName } of ingress.spec?.tls ?? []) {
      if (secretName !== undefined) {
        const problem = this.#input.secretProblem(`${namespaceOf(ingress)}/${secretName}`);
        if (problem !== undefined) {
          const message = `${problem}; its hosts get the default certificate`;
          this.#problems.push({ ingress: keyOf(ingress), reason: "SecretUnavailable", message });
        }
      }
      const key = secretName === undefined ? "" : `${namespaceOf(ingress)}/${secretName}`;
      const own = (ingress.spec?.rules ?? []).map((r) => r.host ?? "");
      for (const host of hosts.length > 0 ? hosts : own.length > 0 ? own : [""]) {
        const name = host.toLowerCase();
        if (!this.#certificates.has(name)) this.#certificates.set(name, key);
      }
    }
  }
}

/** Returns who has the place already. */
function put(map: Map<string, Route>, path: string, make: () => Route): Route | undefined {
  const taken = map.get(path);
  if (!taken) map.set(path, make());
  return taken;
}
