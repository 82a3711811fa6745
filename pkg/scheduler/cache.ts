import type { Namespace, Node } from "../api/generated/types.ts";
import { nameOf, type ObjectKey } from "../api/object.ts";
import type { DeepReadonly } from "../util/types.ts";
import { NodeInfo } from "./node-info.ts";
import type { PodInfo } from "./pod-info.ts";
import type { Snapshot } from "./snapshot.ts";
import { VolumeCache } from "./volume-cache.ts";

interface Placement {
  readonly info: PodInfo;
  readonly nodeName: string;
  /** We bound it, but have not yet seen so in the API. */
  readonly assumed: boolean;
}

const NO_COUNTS: ReadonlyMap<NodeInfo, number> = new Map();

/**
 * Which Pods stand where: what the API says, and what this scheduler has decided and the API does not yet show.
 *
 *  S1  A Pod counts on at most one node.
 *  S2  An assumed Pod counts until it is confirmed (`put`), taken back (`forget`) or gone (`remove`).
 *  S3  A Pod on a node not (or no longer) known is remembered, and counts as soon as the node appears.
 *  S4  Each change costs the one Pod or node that changed: nothing is ever recounted.
 */
export class SchedulerCache implements Snapshot {
  readonly volumes = new VolumeCache();
  readonly #placements = new Map<ObjectKey, Placement>();
  readonly #byName = new Map<string, NodeInfo>();
  readonly #nodes: NodeInfo[] = [];
  readonly #positions = new Map<NodeInfo, number>();
  /** Pods by the name of a node we do not know. */
  readonly #homeless = new Map<string, Map<ObjectKey, PodInfo>>();
  readonly #withAffinity = new Set<NodeInfo>();
  readonly #groups = new Map<string, Map<NodeInfo, number>>();
  readonly #imageNodes = new Map<string, number>();
  readonly #namespaces = new Map<string, Readonly<Record<string, string>>>();

  get nodes(): readonly NodeInfo[] {
    return this.#nodes;
  }

  get nodesWithAffinity(): ReadonlySet<NodeInfo> {
    return this.#withAffinity;
  }

  node(name: string): NodeInfo | undefined {
    return this.#byName.get(name);
  }

  groupCounts(group: string): ReadonlyMap<NodeInfo, number> {
    return this.#groups.get(group) ?? NO_COUNTS;
  }

  imageNodes(image: string): number {
    return this.#imageNodes.get(image) ?? 0;
  }

  namespaceLabels(namespace: string): Readonly<Record<string, string>> | undefined {
    return this.#namespaces.get(namespace);
  }

  setNamespace(o: DeepReadonly<Namespace>): void {
    this.#namespaces.set(nameOf(o), o.metadata.labels ?? {});
  }

  removeNamespace(name: string): void {
    this.#namespaces.delete(name);
  }

  setNode(node: DeepReadonly<Node>): void {
    const name = nameOf(node);
    let info = this.#byName.get(name);
    if (info) {
      const before = info.images;
      info.setNode(node);
      if (before !== info.images) {
        this.#countImages(before, -1);
        this.#countImages(info.images, 1);
      }
      return;
    }
    info = new NodeInfo(node);
    this.#byName.set(name, info);
    this.#positions.set(info, this.#nodes.push(info) - 1);
    this.#countImages(info.images, 1);
    for (const p of this.#homeless.get(name)?.values() ?? []) this.#settle(info, p);
    this.#homeless.delete(name);
  }

  removeNode(name: string): void {
    const info = this.#byName.get(name);
    if (!info) return;
    const pods = [...info.pods.values()];
    for (const p of pods) this.#unsettle(info, p.key);
    if (pods.length > 0) this.#homeless.set(name, new Map(pods.map((p) => [p.key, p])));
    this.#countImages(info.images, -1);
    this.#byName.delete(name);
    const position = this.#positions.get(info) ?? 0;
    this.#positions.delete(info);
    const last = this.#nodes.pop();
    if (last && last !== info) {
      this.#nodes[position] = last;
      this.#positions.set(last, position);
    }
  }

  /** The API says: this Pod is on that node. */
  put(info: PodInfo, nodeName: string): void {
    this.#place({ info, nodeName, assumed: false });
  }

  /** We say so, and the API will soon. */
  assume(info: PodInfo, nodeName: string): void {
    this.#place({ info, nodeName, assumed: true });
  }

  /** The binding failed. Does nothing when the API has said otherwise since. */
  forget(info: PodInfo): void {
    const placement = this.#placements.get(info.key);
    if (placement?.assumed && placement.info === info) this.remove(info.key);
  }

  isAssumed(key: ObjectKey, uid: string): boolean {
    const placement = this.#placements.get(key);
    return placement !== undefined && placement.assumed && placement.info.uid === uid;
  }

  remove(key: ObjectKey): void {
    const placement = this.#placements.get(key);
    if (!placement) return;
    this.#placements.delete(key);
    const info = this.#byName.get(placement.nodeName);
    if (info) return this.#unsettle(info, key);
    const homeless = this.#homeless.get(placement.nodeName);
    homeless?.delete(key);
    if (homeless?.size === 0) this.#homeless.delete(placement.nodeName);
  }

  #place(placement: Placement): void {
    const { info: p, nodeName } = placement;
    this.remove(p.key);
    this.#placements.set(p.key, placement);
    const info = this.#byName.get(nodeName);
    if (info) return this.#settle(info, p);
    const homeless = this.#homeless.get(nodeName) ?? new Map<ObjectKey, PodInfo>();
    this.#homeless.set(nodeName, homeless.set(p.key, p));
  }

  #settle(info: NodeInfo, p: PodInfo): void {
    info.add(p);
    if (info.podsWithAffinity.size > 0) this.#withAffinity.add(info);
    this.#countGroup(info, p, 1);
  }

  #unsettle(info: NodeInfo, key: ObjectKey): void {
    const p = info.pods.get(key);
    if (!p) return;
    info.remove(key);
    if (info.podsWithAffinity.size === 0) this.#withAffinity.delete(info);
    this.#countGroup(info, p, -1);
  }

  #countGroup(info: NodeInfo, { group }: PodInfo, sign: 1 | -1): void {
    if (group === "") return;
    const counts = this.#groups.get(group) ?? new Map<NodeInfo, number>();
    const count = (counts.get(info) ?? 0) + sign;
    if (count > 0) counts.set(info, count);
    else counts.delete(info);
    if (counts.size > 0) this.#groups.set(group, counts);
    else this.#groups.delete(group);
  }

  #countImages(images: ReadonlyMap<string, number>, sign: 1 | -1): void {
    for (const name of images.keys()) {
      const count = (this.#imageNodes.get(name) ?? 0) + sign;
      if (count > 0) this.#imageNodes.set(name, count);
      else this.#imageNodes.delete(name);
    }
  }
}
