/** Choosing a Pod and a container for `logs`, `exec` and `run`. */
import type { Container, Pod } from "../api/generated/types.ts";
import type { KnownResource } from "./discovery.ts";
import { CliError } from "./io.ts";
import type { Session } from "./session.ts";

export async function getPod(session: Session, name: string): Promise<Pod> {
  const resource = await session.discovery.byWord("pods");
  return (await session.resource(resource, session.namespace).get(name, session.io.signal)) as unknown as Pod;
}

/** `web` and `pod/web` are the same Pod. Other kinds have no containers of their own. */
export async function podName(session: Session, word: string): Promise<string> {
  const [kind, name] = word.split("/");
  if (name === undefined) return word;
  const resource: KnownResource = await session.discovery.byWord(kind ?? "");
  if (resource.kind !== "Pod") throw new CliError(`${resource.plural} have no containers; name a pod`);
  return name;
}

export function allContainers(pod: Pod): Container[] {
  const spec = pod.spec;
  return [
    ...(spec?.initContainers ?? []),
    ...(spec?.containers ?? []),
    ...((spec?.ephemeralContainers ?? []) as Container[]),
  ];
}

const DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container";

/** The named one, else the Pod's default, else its first; says so where there was a choice. */
export function chooseContainer(
  session: Session,
  pod: Pod,
  wanted: string | undefined,
  o: { quiet?: boolean } = {},
): string {
  const names = allContainers(pod).map((c) => c.name);
  const podTitle = pod.metadata?.name ?? "";
  if (wanted !== undefined) {
    if (names.includes(wanted)) return wanted;
    throw new CliError(`container ${wanted} is not valid for pod ${podTitle}; its containers are: ${names.join(", ")}`);
  }
  const preset = pod.metadata?.annotations?.[DEFAULT_CONTAINER];
  if (preset && names.includes(preset)) return preset;
  const first = pod.spec?.containers[0]?.name ?? "";
  if (names.length > 1 && !o.quiet) {
    session.note(`Defaulted container ${JSON.stringify(first)} out of: ${choices(pod).join(", ")}`);
  }
  return first;
}

/** In kubectl's order, with its words for what is no regular container. */
function choices(pod: Pod): string[] {
  const { containers = [], ephemeralContainers = [], initContainers = [] } = pod.spec ?? {};
  return [
    ...containers.map((c) => c.name),
    ...ephemeralContainers.map((c) => `${c.name} (ephem)`),
    ...initContainers.map((c) => `${c.name} (init)`),
  ];
}
