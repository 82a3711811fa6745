import { deepEqual } from "../api/equal.ts";
import type { Namespace, Node } from "../api/generated/types.ts";
import { nameOf, type ObjectKey } from "../api/object.ts";
import type { DeepReadonly } from "../util/types.ts";
import { NodeInfo } from "./node-info.ts";
import type { PodInfo } from "./pod-info.ts";
import type { Snapshot } from "./snapshot.ts";
import { type Selection, StandingTerms, type StandingTerm, Tallies, type Tally } from "./tallies.ts";
import { VolumeCache } from "./volume-cache.ts";

interface Placement {
  readonly info: PodInfo;
  readonly nodeName: string;
  /** We bound it, but have not yet seen so in the API. */
  readonly assumed: boolean;
}

const NO_TERMS: readonly StandingTerm[] = [];

export interface WhatIf extends Disposable {
  readonly add: (p: PodInfo, node: NodeInfo) => void;
  readonly remove: (p: PodInfo, node: NodeInfo) => void;
}

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
  readonly #tainted = new Set<NodeInfo>();
  readonly #tallies = new Tallies();
  readonly #terms = new StandingTerms();
  /** By topology key. Forgotten when a node comes, goes, or gets other labels. */
  readonly #domains = new Map<string, Map<string, number>>();
  readonly #imageNodes = new Map<string, number>();
  readonly #namespaces = new Map<string, Readonly<Record<string, string>>>();

  get nodes(): readonly NodeInfo[] {
    return this.#nodes;
  }

  node(name: string): NodeInfo | undefined {
    return this.#byName.get(name);
  }

  get tainted(): number {
    return this.#tainted.size;
  }

  domains(topologyKey: string): ReadonlyMap<string, number> {
    let domains = this.#domains.get(topologyKey);
    if (domains) return domains;
    domains = new Map();
    for (const node of this.#nodes) {
      const value = node.domain(topologyKey);
      if (value !== undefined) domains.set(value, (domains.get(value) ?? 0) + 1);
    }
    this.#domains.set(topologyKey, domains);
    return domains;
  }

  count(selection: Selection): Tally {
    return this.#tallies.of(selection);
  }

  termsAbout(pod: PodInfo): readonly StandingTerm[] {
    return this.#terms.empty ? NO_TERMS : [...this.#terms.about(pod, (ns) => this.namespaceLabels(ns))];
  }

  imageNodes(image: string): number {
    return this.#imageNodes.get(image) ?? 0;
  }

  namespaceLabels(namespace: string): Readonly<Record<string, string>> | undefined {
    return this.#namespaces.get(namespace);
  }

  /** Whether its labels are new. */
  setNamespace(o: DeepReadonly<Namespace>): boolean {
    const labels = o.metadata.labels ?? {};
    if (deepEqual(this.#namespaces.get(nameOf(o)), labels)) return false;
    this.#namespaces.set(nameOf(o), labels);
    this.#tallies.reset();
    return true;
  }

  removeNamespace(name: string): void {
    if (this.#namespaces.delete(name)) this.#tallies.reset();
  }

  setNode(node: DeepReadonly<Node>): void {
    const name = nameOf(node);
    let info = this.#byName.get(name);
    if (info) return this.#changeNode(info, node);
    info = new NodeInfo(node);
    this.#noteTaints(info);
    this.#byName.set(name, info);
    this.#positions.set(info, this.#nodes.push(info) - 1);
    this.#domains.clear();
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
    this.#tainted.delete(info);
    this.#domains.clear();
    this.#byName.delete(name);
    const position = this.#positions.get(info) ?? 0;
    this.#positions.delete(info);
    const last = this.#nodes.pop();
    if (last && last !== info) {
      this.#nodes[position] = last;
      this.#positions.set(last, position);
    }
  }

  /** The Pods of a node stand in other domains when its labels change. */
  #changeNode(info: NodeInfo, node: DeepReadonly<Node>): void {
    const { images } = info;
    const moves = !deepEqual(info.labels, node.metadata.labels ?? {});
    const pods = moves ? [...info.pods.values()] : [];
    for (const p of pods) this.#unsettle(info, p.key);
    info.setNode(node);
    this.#noteTaints(info);
    for (const p of pods) this.#settle(info, p);
    if (moves) this.#domains.clear();
    if (images === info.images) return;
    this.#countImages(images, -1);
    this.#countImages(info.images, 1);
  }

  #noteTaints(info: NodeInfo): void {
    if (info.tainted) this.#tainted.add(info);
    else this.#tainted.delete(info);
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

  /**
   * The same cluster with Pods taken away and others put in, until it is disposed: then all is as it was. Nothing may
   * await, nor change the cache otherwise, in between.
   */
  whatIf(): WhatIf {
    const undo: (() => void)[] = [];
    const add = (p: PodInfo, info: NodeInfo) => this.#settle(info, p);
    const remove = (p: PodInfo, info: NodeInfo) => this.#unsettle(info, p.key);
    const change = (back: typeof add, forth: typeof add) => (p: PodInfo, info: NodeInfo) => {
      forth(p, info);
      undo.push(() => back(p, info));
    };
    return {
      add: change(remove, add),
      remove: change(add, remove),
      [Symbol.dispose]: () => {
        for (const back of undo.splice(0).toReversed()) back();
      },
    };
  }

  #settle(info: NodeInfo, p: PodInfo): void {
    info.add(p);
    this.#tallies.add(p, info, 1);
    this.#terms.add(p, info, 1);
  }

  #unsettle(info: NodeInfo, key: ObjectKey): void {
    const p = info.pods.get(key);
    if (!p) return;
    info.remove(key);
    this.#tallies.add(p, info, -1);
    this.#terms.add(p, info, -1);
  }

  #countImages(images: ReadonlyMap<string, number>, sign: 1 | -1): void {
    for (const name of images.keys()) {
      const count = (this.#imageNodes.get(name) ?? 0) + sign;
      if (count > 0) this.#imageNodes.set(name, count);
      else this.#imageNodes.delete(name);
    }
  }
}
