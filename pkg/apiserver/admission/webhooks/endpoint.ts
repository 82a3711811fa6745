/** Where a webhook listens: at a URL, or behind a Service, which is asked for one of its Pods. */
import type {
  AdmissionregistrationV1WebhookClientConfig,
  Endpoints,
  EndpointSlice,
  Service,
} from "../../../api/generated/types.ts";
import { endpoints } from "../../../api/kinds/core/endpoints.ts";
import { services } from "../../../api/kinds/core/service.ts";
import { endpointSlices } from "../../../api/kinds/discovery/endpointslice.ts";
import type { Random } from "../../../util/clock.ts";
import type { DeepReadonly } from "../../../util/types.ts";
import type { ClusterView } from "../../admission.ts";

export interface Endpoint {
  /** As messages show it. */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  /** Path and query. */
  readonly path: string;
  /** The name its certificate must have. */
  readonly servername: string;
  /** PEM; undefined: whom the system trusts. */
  readonly ca: string | undefined;
}

export type Resolved = Endpoint | { readonly url: string; readonly unreachable: string };

type ClientConfig = DeepReadonly<AdmissionregistrationV1WebhookClientConfig>;
type ServiceReference = NonNullable<ClientConfig["service"]>;

export function endpointOf(config: ClientConfig, seconds: number, view: ClusterView, random: Random): Resolved {
  const ca = config.caBundle ? Buffer.from(config.caBundle, "base64").toString() : undefined;
  return config.service ? ofService(config.service, seconds, ca, view, random) : ofUrl(config.url ?? "", seconds, ca);
}

function ofUrl(text: string, seconds: number, ca: string | undefined): Resolved {
  if (!URL.canParse(text)) return { url: text, unreachable: "invalid URL" };
  const url = new URL(text);
  url.searchParams.set("timeout", `${seconds}s`);
  return {
    url: url.href,
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port: Number(url.port || 443),
    path: `${url.pathname}${url.search}`,
    servername: url.hostname,
    ca,
  };
}

function ofService(
  s: ServiceReference,
  seconds: number,
  ca: string | undefined,
  view: ClusterView,
  random: Random,
): Resolved {
  const servername = `${s.name}.${s.namespace}.svc`;
  const port = s.port ?? 443;
  const path = `/${(s.path ?? "").replace(/^\//, "")}?timeout=${seconds}s`;
  const url = `https://${servername}:${port}${path}`;
  const target = targetOf(s, port, view, random);
  return typeof target === "string" ? { url, unreachable: target } : { url, ...target, path, servername, ca };
}

interface Target {
  readonly host: string;
  readonly port: number;
}

/** A ready Pod behind the Service; its cluster IP where nobody keeps endpoints. The text of an error otherwise. */
function targetOf(s: ServiceReference, port: number, view: ClusterView, random: Random): Target | string {
  const service = view.get(services, s.namespace, s.name);
  if (!service) return `service "${s.name}" not found`;
  const { type, externalName, clusterIP } = service.spec ?? {};
  if (type === "ExternalName") return { host: externalName ?? "", port };
  const named = service.spec?.ports?.find((p) => p.port === port);
  if (!named) return `no service port ${port} found for service "${s.name}"`;
  const found = backends(service, named.name ?? "", view);
  const one = found?.[Math.floor(random() * found.length)];
  if (one) return one;
  if (!found && clusterIP && clusterIP !== "None") return { host: clusterIP, port };
  return `no endpoints available for service "${s.name}"`;
}

/** Undefined: nobody says. */
function backends(service: DeepReadonly<Service>, portName: string, view: ClusterView): readonly Target[] | undefined {
  const { namespace = "", name = "" } = service.metadata;
  const slices = [...view.list(endpointSlices, namespace)].filter(
    (s) => s.metadata.labels?.["kubernetes.io/service-name"] === name,
  );
  if (slices.length > 0) return slices.flatMap((s) => inSlice(s, portName));
  const old = view.get(endpoints, namespace, name);
  return old && inEndpoints(old, portName);
}

function inSlice(slice: DeepReadonly<EndpointSlice>, portName: string): Target[] {
  const port = slice.ports?.find((p) => (p.name ?? "") === portName)?.port;
  if (port === undefined) return [];
  const ready = (slice.endpoints ?? []).filter((e) => e.conditions?.ready !== false);
  return ready.flatMap((e) => e.addresses.slice(0, 1).map((host) => ({ host, port })));
}

function inEndpoints(o: DeepReadonly<Endpoints>, portName: string): Target[] {
  return (o.subsets ?? []).flatMap((subset) => {
    const port = subset.ports?.find((p) => (p.name ?? "") === portName)?.port;
    return port === undefined ? [] : (subset.addresses ?? []).map((a) => ({ host: a.ip, port }));
  });
}
