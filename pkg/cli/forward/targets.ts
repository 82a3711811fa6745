/** What is forwarded where: the words of `port-forward`. Pure. */
import type { LabelSelector, Pod, Service } from "../../api/generated/types.ts";
import { selectorText } from "../../api/kinds/pod-template.ts";
import type { ApiObject } from "../../api/object.ts";
import { isReady } from "../../api/pod.ts";
import type { DeepReadonly } from "../../util/types.ts";
import { CliError, UsageError } from "../io.ts";

export interface PortPair {
  /** 0: any that is free. */
  readonly local: number;
  /** A number, or the name of a port. */
  readonly remote: string;
}

/** `8080:80`, `80` (the same on both sides), `:80` (any free local port), `8080:http`. */
export function parsePorts(words: readonly string[]): PortPair[] {
  return words.map((word) => {
    const parts = word.split(":");
    const [first = "", second] = parts;
    const remote = second ?? first;
    const local = second === undefined ? (portNumber(first) ?? 0) : first === "" ? 0 : portNumber(first);
    if (
      parts.length > 2 ||
      remote === "" ||
      local === undefined ||
      (portNumber(remote) === undefined && /^\d/.test(remote))
    )
      throw new UsageError(`${JSON.stringify(word)} is not of the form [LOCAL:]REMOTE, like 8080:80, :80 or 8080:http`);
    return { local, remote };
  });
}

export function portNumber(text: string): number | undefined {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return port > 0 && port < 65536 ? port : undefined;
}

interface Selecting extends ApiObject {
  spec?: { selector?: LabelSelector | Record<string, string> };
}

const PLAIN_SELECTORS = new Set(["Service", "ReplicationController"]);

/** The label selector of the Pods that the object stands for. */
export function podSelector(o: DeepReadonly<Selecting>, kind: string): string {
  const { selector } = o.spec ?? {};
  const labels = PLAIN_SELECTORS.has(kind) ? { matchLabels: selector as Record<string, string> } : selector;
  const text = selectorText(labels as LabelSelector | undefined);
  if (text === "") throw new CliError(`${kind.toLowerCase()} ${o.metadata.name ?? ""} selects no pods`);
  return text;
}

/** A ready one if there is one, else one that runs; the oldest of them, that is likely to stay. */
export function choosePod(pods: readonly DeepReadonly<Pod>[]): DeepReadonly<Pod> | undefined {
  const alive = pods.filter((p) => p.metadata.deletionTimestamp === undefined && p.status?.phase === "Running");
  const born = (p: DeepReadonly<Pod>) => p.metadata.creationTimestamp ?? "";
  return alive.toSorted((a, b) => Number(isReady(b)) - Number(isReady(a)) || (born(a) < born(b) ? -1 : 1))[0];
}

/** The Pod's port behind a Service's, or of its own by name. Throws {@link CliError}. */
export function podPort(pod: DeepReadonly<Pod>, remote: string, service?: DeepReadonly<Service>): number {
  if (!service) return ownPort(pod, remote);
  const name = service.metadata.name ?? "";
  const number = portNumber(remote);
  const port = service.spec?.ports?.find((p) => (number === undefined ? p.name === remote : p.port === number));
  if (!port) throw new CliError(`Service ${name} does not have a service port ${remote}`);
  if (service.spec?.clusterIP === "None") return port.port;
  return ownPort(pod, String(port.targetPort ?? port.port));
}

function ownPort(pod: DeepReadonly<Pod>, remote: string): number {
  const number = portNumber(remote);
  if (number !== undefined) return number;
  const named = (pod.spec?.containers ?? []).flatMap((c) => c.ports ?? []).find((p) => p.name === remote);
  if (named) return named.containerPort;
  throw new CliError(`Pod '${pod.metadata.name ?? ""}' does not have a named port '${remote}'`);
}
