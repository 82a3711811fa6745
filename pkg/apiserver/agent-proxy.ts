/**
 * The way to a container's streams: `pods/log`, `exec` and `attach` are handed on to the agent of the Pod's node.
 *
 * The server only chooses the container and finds the agent; an upgraded connection is two sockets tied together. So the
 * stream protocols have one home, the agent, and a new one needs no change here.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { Agent, request as httpsRequest } from "node:https";
import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Container, Node, Pod } from "../api/generated/types.ts";
import { nameOf, namespaceOf } from "../api/object.ts";
import { ApiError, badRequest, type Status } from "../api/status.ts";
import type { DeepReadonly } from "../util/types.ts";

/** Until the agent has answered; what follows may take as long as it likes. */
const DIAL_TIMEOUT_MS = 10_000;
const DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container";

export type StreamVerb = "log" | "exec" | "attach";

const AGENT_PATH: Readonly<Record<StreamVerb, string>> = { log: "containerLogs", exec: "exec", attach: "attach" };

/** An address on an agent. */
export interface AgentTarget {
  readonly nodeName: string;
  readonly host: string;
  readonly port: number;
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

/** Where the agent of the Pod's node serves this call. The query goes on as it came, less the container. */
export function agentTarget(
  pod: DeepReadonly<Pod>,
  node: DeepReadonly<Node> | undefined,
  verb: StreamVerb,
  query: URLSearchParams,
): AgentTarget {
  const container = chooseContainer(pod, query.get("container"));
  const nodeName = pod.spec?.nodeName ?? "";
  if (nodeName === "") throw badRequest(`pod ${nameOf(pod)} does not have a host assigned`);
  const address = node?.status?.addresses?.find((a) => a.type === "InternalIP")?.address;
  const port = node?.status?.daemonEndpoints?.kubeletEndpoint?.Port;
  if (address === undefined || port === undefined) {
    throw new ApiError("ServiceUnavailable", `node ${nodeName} has not said where its agent listens`);
  }
  const rest = new URLSearchParams([...query].filter(([name]) => name !== "container"));
  const path = [AGENT_PATH[verb], namespaceOf(pod), nameOf(pod), container].map(encodeURIComponent).join("/");
  return { nodeName, host: address, port, path: `/${path}?${rest.toString()}` };
}

export interface AgentTls {
  /** PEM: how the server shows itself to agents, and the CA that signs theirs. */
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

export class AgentProxy {
  readonly #tls: AgentTls;
  readonly #agent: Agent;

  constructor(tls: AgentTls) {
    this.#tls = tls;
    this.#agent = new Agent({ keepAlive: true, maxFreeSockets: 4 });
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

  /** Ties the client's socket to the agent's. Rejects with ApiError as long as nothing was answered. */
  async upgrade(target: AgentTarget, req: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const headers = { ...req.headers, host: `${target.host}:${target.port}` };
    delete headers.authorization;
    const request = this.#request(target, { method: req.method ?? "GET", headers, agent: false });
    const [answer, upstream, upstreamHead] = await new Promise<[IncomingMessage, Duplex?, Buffer?]>(
      (resolve, reject) => {
        request.once("upgrade", (...args) => resolve(args));
        request.once("response", (response) => resolve([response]));
        request.once("error", (error) => reject(unreachable(target, error)));
        request.end();
      },
    );
    if (!upstream) throw await statusOf(answer);
    socket.write(`HTTP/1.1 101 Switching Protocols\r\n${rawHeaders(answer)}\r\n`);
    if (upstreamHead && upstreamHead.length > 0) socket.write(upstreamHead);
    if (head.length > 0) upstream.write(head);
    await Promise.allSettled([pipeline(socket, upstream), pipeline(upstream, socket)]);
    socket.destroy();
    upstream.destroy();
  }

  #send(target: AgentTarget, o: { method: string }): Promise<IncomingMessage> {
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
    const silent = () => request.destroy(new Error(`no answer within ${DIAL_TIMEOUT_MS / 1000} s`));
    request.once("timeout", silent);
    const answered = () => {
      request.off("timeout", silent);
      request.setTimeout(0);
    };
    request.setNoDelay(true); // streams are made of small frames
    return request.once("response", answered).once("upgrade", answered);
  }
}

function unreachable(target: AgentTarget, error: Error): ApiError {
  const where = `https://${target.host}:${target.port}`;
  return new ApiError(
    "ServiceUnavailable",
    `the agent of node ${target.nodeName} at ${where} cannot be reached: ${error.message}`,
  );
}

/** The agent's own refusal, as a Status. */
async function statusOf(answer: IncomingMessage): Promise<ApiError> {
  let text = "";
  for await (const chunk of answer) text += String(chunk);
  try {
    return ApiError.fromStatus(JSON.parse(text) as Partial<Status>, answer.statusCode);
  } catch {
    return ApiError.fromStatus({ message: text }, answer.statusCode);
  }
}

function rawHeaders(answer: IncomingMessage): string {
  let text = "";
  for (let i = 0; i + 1 < answer.rawHeaders.length; i += 2)
    text += `${answer.rawHeaders[i]}: ${answer.rawHeaders[i + 1]}\r\n`;
  return text;
}
