/**
 * Subresources of type `connect`: a stream or a request is handed on. Logs, exec, attach and port forwarding go to the
 * agent of the Pod's node; `proxy` is plain HTTP to a Pod, to one of a Service's Pods or to a node's agent. Pods are
 * reached through their agents, never by their addresses: those mean something on their own node only.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { connect as tlsConnect } from "node:tls";
import type { Endpoints, EndpointSlice, Node, Pod, Service } from "../../api/generated/types.ts";
import { nameOf } from "../../api/object.ts";
import { type ApiError, badRequest, isReason } from "../../api/status.ts";
import type { Call, Transport } from "../../client/transport.ts";
import type { Random } from "../../util/clock.ts";
import { agentOf, type AgentProxy, agentTarget, dialTarget, type StreamVerb } from "../agent-proxy.ts";
import { type ParsedRequest, urlOf } from "../request.ts";
import { parseProxyName, type PodPort, podPort, portNumber, type ProxyName, servicePort } from "./locate.ts";
import { type Destination, relay, relayUpgrade, unreachable } from "./relay.ts";

export type ConnectVerb = StreamVerb | "proxy";

export interface ConnectsOptions {
  /** To look things up, whoever asks: that he may is known before. */
  readonly transport: Transport;
  readonly agents: AgentProxy;
  readonly random: Random;
}

interface Upgrade {
  readonly req: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
}

export class Connects {
  readonly #o: ConnectsOptions;

  constructor(o: ConnectsOptions) {
    this.#o = o;
  }

  /** Rejects with ApiError as long as nothing was answered. */
  async request(verb: ConnectVerb, asked: ParsedRequest, req: IncomingMessage, res: ServerResponse): Promise<void> {
    if (verb === "log") return this.#o.agents.stream(await this.#target(asked, verb), res);
    if (verb !== "proxy") throw badRequest("Upgrade request required");
    if (asked.rest === "" && (req.method === "GET" || req.method === "HEAD")) return redirect(req, res);
    await relay(await this.#destination(asked, req), req, res);
  }

  /** Rejects with ApiError as long as nothing was answered. */
  async upgrade(verb: ConnectVerb, asked: ParsedRequest, { req, socket, head }: Upgrade): Promise<void> {
    if (verb === "log") throw badRequest("this address takes no upgrade");
    if (verb === "proxy") return relayUpgrade(await this.#destination(asked, req), { req, socket, head });
    await this.#o.agents.upgrade(await this.#target(asked, verb), req, socket, head);
  }

  async #target({ call, query }: ParsedRequest, verb: StreamVerb) {
    const pod = await this.#pod(call.namespace ?? "", call.name ?? "");
    return agentTarget(pod, await this.#nodeOf(pod), verb, query);
  }

  async #destination({ call, rest = "" }: ParsedRequest, req: IncomingMessage): Promise<Destination> {
    const { pathname, search } = urlOf(req);
    const base = pathname.slice(0, pathname.length - rest.length);
    return { path: `${rest === "" ? "/" : rest}${search}`, base, dial: await this.#dialer(call) };
  }

  /** Finds who is meant; connects when called. */
  async #dialer({ resource, namespace = "", name = "" }: Call): Promise<() => Promise<Duplex>> {
    switch (resource) {
      case "nodes": {
        const asked = parseProxyName(name, "node");
        const agent = agentOf(await this.#get<Node>("nodes", "", asked.name), asked.name);
        if (asked.port !== "" && portNumber(asked.port) !== agent.port) {
          throw badRequest(`only the agent of node ${asked.name} can be reached, on port ${agent.port}`);
        }
        return () => this.#o.agents.connect(agent);
      }
      case "pods": {
        const asked = parseProxyName(name, "pod");
        return this.#toPod(podPort(await this.#pod(namespace, asked.name), asked), asked);
      }
      default: {
        const asked = parseProxyName(name, "service");
        const service = await this.#get<Service>("services", namespace, asked.name);
        const ends = await this.#endpoints(namespace, nameOf(service));
        return this.#toPod(servicePort(service, asked, ends, this.#o.random), asked);
      }
    }
  }

  async #toPod(at: PodPort, { scheme }: ProxyName): Promise<() => Promise<Duplex>> {
    const pod = await this.#pod(at.namespace, at.pod);
    const target = dialTarget(pod, await this.#nodeOf(pod), at.port);
    const dial = () => this.#o.agents.dial(target).catch(unreached);
    return scheme === "https" ? async () => secured(await dial()) : dial;
  }

  async #endpoints(namespace: string, name: string) {
    const slices = this.#o.transport
      .call({
        verb: "list",
        group: "discovery.k8s.io",
        version: "v1",
        resource: "endpointslices",
        namespace,
        params: { labelSelector: `kubernetes.io/service-name=${name}` },
      })
      .then((list) => (list as { items: EndpointSlice[] }).items, absent);
    const endpoints = this.#get<Endpoints>("endpoints", namespace, name).catch(absent);
    return { slices: (await slices) ?? [], endpoints: await endpoints };
  }

  #pod(namespace: string, name: string): Promise<Pod> {
    return this.#get<Pod>("pods", namespace, name);
  }

  /** Undefined: it runs nowhere, or its node is gone. */
  async #nodeOf(pod: Pod): Promise<Node | undefined> {
    const name = pod.spec?.nodeName;
    return name ? this.#get<Node>("nodes", "", name).catch(absent) : undefined;
  }

  async #get<T>(resource: string, namespace: string, name: string): Promise<T> {
    const call = { verb: "get", group: "", version: "v1", resource, name } as const;
    return (await this.#o.transport.call(namespace === "" ? call : { ...call, namespace })) as T;
  }
}

function absent(error: unknown): undefined {
  if (!isReason(error, "NotFound")) throw error;
}

/** The agent does not count it as its own failure that nobody listens. */
function unreached(error: unknown): never {
  if (!isReason(error, "InternalError")) throw error;
  throw unreachable(error as ApiError);
}

/** So that the relative links of what is there work. */
function redirect(req: IncomingMessage, res: ServerResponse): void {
  const { pathname, search } = urlOf(req);
  res.writeHead(301, { Location: `${pathname}/${search}` }).end();
}

/** Nobody has signed a Pod's certificate for us: it is taken as it is, as Kubernetes does. */
function secured(socket: Duplex): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const tls = tlsConnect({ socket, rejectUnauthorized: false });
    const failed = (error: Error) => reject(unreachable(error));
    tls.once("error", failed).once("secureConnect", () => resolve(tls.off("error", failed)));
  });
}
