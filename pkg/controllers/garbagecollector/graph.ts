/** Who belongs to whom, over the objects of all kinds. */
import type { ApiObject } from "../../api/object.ts";
import { uidOf } from "../../api/object.ts";
import type { ResourceRef } from "../../api/resource.ts";
import type { DeepReadonly } from "../../util/types.ts";

export interface GraphNode {
  readonly ref: ResourceRef;
  readonly object: DeepReadonly<ApiObject>;
}

/**
 * Every object by its uid, and by the uids of its owners; an owner need not be there itself.
 * A change costs the owner references of its object, however many objects there are.
 */
export class Graph {
  readonly #nodes = new Map<string, GraphNode>();
  readonly #dependents = new Map<string, Set<string>>();

  get(uid: string): GraphNode | undefined {
    return this.#nodes.get(uid);
  }

  dependents(uid: string): readonly GraphNode[] {
    return [...(this.#dependents.get(uid) ?? [])].flatMap((d) => this.#nodes.get(d) ?? []);
  }

  put(node: GraphNode): void {
    const uid = uidOf(node.object);
    this.#unlink(uid);
    this.#nodes.set(uid, node);
    for (const owner of ownersOf(node.object)) {
      const dependents = this.#dependents.get(owner);
      if (dependents) dependents.add(uid);
      else this.#dependents.set(owner, new Set([uid]));
    }
  }

  remove(uid: string): void {
    this.#unlink(uid);
    this.#nodes.delete(uid);
  }

  #unlink(uid: string): void {
    const node = this.#nodes.get(uid);
    if (!node) return;
    for (const owner of ownersOf(node.object)) {
      const dependents = this.#dependents.get(owner);
      dependents?.delete(uid);
      if (dependents?.size === 0) this.#dependents.delete(owner);
    }
  }
}

export function ownersOf(o: DeepReadonly<ApiObject>): readonly string[] {
  return (o.metadata.ownerReferences ?? []).map((r) => r.uid);
}
