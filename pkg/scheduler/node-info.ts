import type { Node } from "../api/generated/types.ts";
import { canonicalImage, parseImage } from "../api/image.ts";
import { nameOf, type ObjectKey } from "../api/object.ts";
import { resourceTotals } from "../api/pod.ts";
import { own } from "../util/keys.ts";
import type { DeepReadonly } from "../util/types.ts";
import type { HostPort, PodInfo, Resources } from "./pod-info.ts";

const ANY_IP = "0.0.0.0";
export const HOSTNAME = "kubernetes.io/hostname";
export const ZONE = "topology.kubernetes.io/zone";

/**
 * A Node with running totals of the Pods on it.
 *
 *  T1  Every total equals what a recount over `pods` would give, at any time.
 *  T2  Adding or removing a Pod costs that Pod only, however many there are.
 *
 * Only the cache changes it; plugins read.
 */
export class NodeInfo {
  readonly name: string;
  readonly pods = new Map<ObjectKey, PodInfo>();
  readonly #requested: Record<string, number> = {};
  readonly #nonZero = { cpu: 0, memory: 0 };
  readonly #ports = new Map<string, Map<string, number>>();
  #node: DeepReadonly<Node>;
  #labels: Readonly<Record<string, string>> = {};
  #hostname: string | undefined;
  #zone: string | undefined;
  #allocatable: Resources = {};
  #images: ReadonlyMap<string, number> = new Map();

  constructor(node: DeepReadonly<Node>) {
    this.name = nameOf(node);
    this.#node = node;
    this.setNode(node);
  }

  get node(): DeepReadonly<Node> {
    return this.#node;
  }

  get labels(): Readonly<Record<string, string>> {
    return this.#labels;
  }

  /** The value of the label. The two keys that nearly all topologies have are asked for each node and Pod: so they are at hand. */
  domain(topologyKey: string): string | undefined {
    if (topologyKey === HOSTNAME) return this.#hostname;
    return topologyKey === ZONE ? this.#zone : own(this.#labels, topologyKey);
  }

  /** Has a taint, or is cordoned. */
  get tainted(): boolean {
    const { spec } = this.#node;
    return Boolean(spec?.unschedulable) || (spec?.taints?.length ?? 0) > 0;
  }

  get allocatable(): Resources {
    return this.#allocatable;
  }

  get requested(): Resources {
    return this.#requested;
  }

  /** See PodInfo.nonZero. */
  get nonZero(): { readonly cpu: number; readonly memory: number } {
    return this.#nonZero;
  }

  /** Canonical image names with their size in bytes. */
  get images(): ReadonlyMap<string, number> {
    return this.#images;
  }

  /** Whether one of these host ports is taken; one bound to all addresses collides with each. */
  portsTaken(wanted: readonly HostPort[]): boolean {
    return wanted.some(({ ip, protocol, port }) => {
      const taken = this.#ports.get(`${protocol}/${port}`);
      return taken !== undefined && (ip === ANY_IP || taken.has(ANY_IP) || taken.has(ip));
    });
  }

  setNode(node: DeepReadonly<Node>): void {
    const before = this.#node;
    this.#node = node;
    this.#labels = node.metadata.labels ?? {};
    this.#hostname = this.#labels[HOSTNAME];
    this.#zone = this.#labels[ZONE];
    const totals = Object.entries(resourceTotals(node.status?.allocatable ?? node.status?.capacity));
    this.#allocatable = Object.fromEntries(totals.map(([name, n]) => [name, Number(n)]));
    if (before === node || before.status?.images !== node.status?.images) this.#images = imagesOf(node);
  }

  add(p: PodInfo): void {
    this.pods.set(p.key, p);
    this.#count(p, 1);
  }

  remove(key: ObjectKey): void {
    const p = this.pods.get(key);
    if (!p) return;
    this.pods.delete(key);
    this.#count(p, -1);
  }

  #count(p: PodInfo, sign: 1 | -1): void {
    for (const [name, n] of Object.entries(p.requests)) this.#requested[name] = (this.#requested[name] ?? 0) + sign * n;
    this.#nonZero.cpu += sign * p.nonZero.cpu;
    this.#nonZero.memory += sign * p.nonZero.memory;
    for (const { ip, protocol, port } of p.ports) {
      const id = `${protocol}/${port}`;
      const byIp = this.#ports.get(id) ?? new Map<string, number>();
      const users = (byIp.get(ip) ?? 0) + sign;
      if (users > 0) byIp.set(ip, users);
      else byIp.delete(ip);
      if (byIp.size > 0) this.#ports.set(id, byIp);
      else this.#ports.delete(id);
    }
  }
}

function imagesOf(node: DeepReadonly<Node>): ReadonlyMap<string, number> {
  const images = new Map<string, number>();
  for (const image of node.status?.images ?? []) {
    for (const name of image.names ?? []) images.set(imageName(name), image.sizeBytes ?? 0);
  }
  return images;
}

/** One name for all ways to write the same image. */
export function imageName(text: string): string {
  const parsed = parseImage(text);
  return parsed.ok ? canonicalImage(parsed.image) : text;
}
