/**
 * The way to a Pod's streams: `pods/log`, `exec`, `attach` and `portforward` are handed on to the agent of its node.
 *
 * The server only chooses the container and finds the agent; an upgraded connection is two sockets tied together. So the
 * stream protocols have one home, the agent, and a new one needs no change here.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { Agent, request as httpsRequest } from "node:https";
import type { Duplex } from "node:stream";
import { text } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { connect } from "node:tls";
import type { Container, Node, Pod } from "../api/generated/types.ts";
import { nameOf, namespaceOf } from "../api/object.ts";
import { ApiError, badRequest, type Status } from "../api/status.ts";
import type { DeepReadonly } from "../util/types.ts";
import { pairs, statusLine, tie } from "./proxy/relay.ts";

/** Until the agent has answered; what follows may take as long as it likes. */
const DIAL_TIMEOUT_MS = 10_000;
const DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container";

export type StreamVerb = "log" | "exec" | "attach" | "portforward";

const AGENT_PATH: Readonly<Record<StreamVerb, string>> = {
  log: "containerLogs",
  exec: "exec",
  attach: "attach",
  portforward: "portForward",
};

export interface AgentAddress {
  readonly nodeName: string;
  readonly host: string;
  readonly port: number;
}

/** An address on an agent. */
export interface AgentTarget extends AgentAddress {
  readonly path: string;
}

/** The container meant: the one named, else the annotated default, else the only one. Throws BadRequest as Kubernetes does. */
export function chooseContainer(pod: DeepReadonly<Pod>, named: string | null): string {
  const spec = pod.spec;
  const regular = (spec?.containers ?? []).map((c) => c.name);
  const init = (spec?.initContainers ?? []).map((c) => c.name);
  const ephemeral = (spec?.ephemeralContainers ?? []).map((c: DeepReadonly<Pick<Container, "name">>) => c.name);
  if (named) {
    if ([...regular, ...init, ...ephemeral].includes(named)) return named;
    throw badRequest(`container ${named} is not valid for pod ${nameOf(pod)}`);
  }
  const annotated = pod.metadata.annotations?.[DEFAULT_CONTAINER];
  if (annotated !== undefined && regular.includes(annotated)) return annotated;
  const [only] = regular;
  if (only !== undefined && regular.length === 1) return only;
  const also = init.length > 0 ? ` or one of the init containers: [${init.join(" ")}]` : "";
  throw badRequest(
    `a container name must be specified for pod ${nameOf(pod)}, choose one of: [${regular.join(" ")}]${also}`,
  );
}

/** Throws ServiceUnavailable when it has not said. */
export function agentOf(node: DeepReadonly<Node> | undefined, nodeName: string): AgentAddress {
  const address = node?.status?.addresses?.find((a) => a.type === "InternalIP")?.address;
  const port = node?.status?.daemonEndpoints?.kubeletEndpoint?.Port;
  if (address !== undefined && port !== undefined) return { nodeName, host: address, port };
  throw new ApiError("ServiceUnavailable", `node ${nodeName} has not said where its agent listens`);
}

/** Where the agent of the Pod's node serves this call. The query goes on as it came, less the container. */
export function agentTarget(
  pod: DeepReadonly<Pod>,
  node: DeepReadonly<Node> | undefined,
  verb: StreamVerb,
  query: URLSearchParams,
): AgentTarget {
  const container = verb === "portforward" ? [] : [chooseContainer(pod, query.get("container"))];
  const rest = new URLSearchParams([...query].filter(([name]) => name !== "container"));
  return podTarget(pod, node, { words: [AGENT_PATH[verb], namespaceOf(pod), nameOf(pod), ...container], query: rest });
}

/** Where the agent of the Pod's node connects to one of its ports. */
export function dialTarget(pod: DeepReadonly<Pod>, node: DeepReadonly<Node> | undefined, port: number): AgentTarget {
  const query = new URLSearchParams({ port: String(port) });
  return podTarget(pod, node, { words: ["dial", namespaceOf(pod), nameOf(pod)], query });
}

function podTarget(
  pod: DeepReadonly<Pod>,
  node: DeepReadonly<Node> | undefined,
  { words, query }: { words: readonly string[]; query: URLSearchParams },
): AgentTarget {
  const nodeName = pod.spec?.nodeName ?? "";
  if (nodeName === "") throw badRequest(`pod ${nameOf(pod)} does not have a host assigned`);
  const path = words.map(encodeURIComponent).join("/");
  return { ...agentOf(node, nodeName), path: `/${path}?${query.toString()}` };
}

export interface AgentTls {
  /** PEM: how the server shows itself to agents, and the CA that signs theirs. */
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

export class AgentProxy {
  #tls: AgentTls;
  readonly #agent: Agent;

  constructor(tls: AgentTls) {
    this.#tls = tls;
    this.#agent = new Agent({ keepAlive: true, maxFreeSockets: 4 });
  }

  /** For connections from now on. */
  renew(pair: Pick<AgentTls, "cert" | "key">): void {
    this.#tls = { ...this.#tls, ...pair };
  }

  close(): void {
    this.#agent.destroy();
  }

  /** Relays a GET, chunk by chunk as they come; rejects with ApiError as long as nothing was answered. */
  async stream(target: AgentTarget, res: ServerResponse): Promise<void> {
    const answer = await this.#send(target, { method: "GET" });
    if (answer.statusCode !== 200) throw await statusOf(answer);
    res.writeHead(200, { "Content-Type": answer.headers["content-type"] ?? "text/plain" });
    // A follower waits for the headers, not for the first line.
    res.flushHeaders();
    await pipeline(answer, res).catch(() => res.destroy());
  }

  /** What an agent itself tells; the signal ends it. Rejects with ApiError. */
  async json<T>(agent: AgentAddress, path: string, signal: AbortSignal): Promise<T> {
    const answer = await this.#send({ ...agent, path }, { method: "GET", signal });
    if (answer.statusCode !== 200) throw await statusOf(answer);
    return JSON.parse(await text(answer)) as T;
  }

  /** Ties the client's socket to the agent's. Rejects with ApiError as long as nothing was answered. */
  async upgrade(target: AgentTarget, req: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const headers = { ...req.headers, host: `${target.host}:${target.port}` };
    delete headers.authorization;
    const { answer, upstream, upstreamHead } = await this.#upgrade(target, { method: req.method ?? "GET", headers });
    await tie(socket, upstream, { answer: statusLine(answer, pairs(answer.rawHeaders)), head, upstreamHead });
  }

  /** A connection to a Pod's port ({@link dialTarget}), as plain bytes. Rejects with ApiError. */
  async dial(target: AgentTarget): Promise<Duplex> {
    const headers = { Connection: "Upgrade", Upgrade: "tcp" };
    const { upstream, upstreamHead } = await this.#upgrade(target, { method: "GET", headers });
    if (upstreamHead.length > 0) upstream.unshift(upstreamHead);
    return upstream;
  }

  /** A connection to an agent itself. Rejects with ApiError. */
  connect(agent: AgentAddress): Promise<Duplex> {
    const { host, port } = agent;
    return new Promise((resolve, reject) => {
      const socket = connect({ host, port, ...this.#tls });
      const failed = (error: Error) => reject(unreachable(agent, error));
      socket.setTimeout(DIAL_TIMEOUT_MS, () => socket.destroy(silence()));
      socket.once("error", failed).once("secureConnect", () => {
        socket.setTimeout(0);
        resolve(socket.off("error", failed));
      });
    });
  }

  async #upgrade(target: AgentTarget, o: { method: string; headers: object }) {
    const request = this.#request(target, { ...o, agent: false });
    const [answer, upstream, upstreamHead] = await new Promise<[IncomingMessage, Duplex?, Buffer?]>(
      (resolve, reject) => {
        request.once("upgrade", (...args) => resolve(args));
        request.once("response", (response) => resolve([response]));
        request.once("error", (error) => reject(unreachable(target, error)));
        request.end();
      },
    );
    if (!upstream) throw await statusOf(answer);
    return { answer, upstream, upstreamHead: upstreamHead ?? Buffer.alloc(0) };
  }

  #send(target: AgentTarget, o: { method: string; signal?: AbortSignal }): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const request = this.#request(target, { ...o, agent: this.#agent });
      request.once("response", resolve);
      request.once("error", (error) => reject(unreachable(target, error)));
      request.end();
    });
  }

  #request(target: AgentTarget, o: object) {
    const { host, port, path } = target;
    const request = httpsRequest({ host, port, path, ...this.#tls, timeout: DIAL_TIMEOUT_MS, ...o });
    const silent = () => request.destroy(silence());
    request.once("timeout", silent);
    const answered = () => {
      request.off("timeout", silent);
      request.setTimeout(0);
    };
    request.setNoDelay(true); // streams are made of small frames
    return request.once("response", answered).once("upgrade", answered);
  }
}

const silence = () => new Error(`no answer within ${DIAL_TIMEOUT_MS / 1000} s`);

function unreachable(target: AgentAddress, error: Error): ApiError {
  const where = `https://${target.host}:${target.port}`;
  return new ApiError(
    "ServiceUnavailable",
    `the agent of node ${target.nodeName} at ${where} cannot be reached: ${error.message}`,
  );
}

/** The agent's own refusal, as a Status. */
async function statusOf(answer: IncomingMessage): Promise<ApiError> {
  const body = await text(answer);
  try {
    return ApiError.fromStatus(JSON.parse(body) as Partial<Status>, answer.statusCode);
  } catch {
    return ApiError.fromStatus({ message: body }, answer.statusCode);
  }
}
