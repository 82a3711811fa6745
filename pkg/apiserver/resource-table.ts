/** The kinds a server has: the built-in ones, and those that CustomResourceDefinitions add and take away as it runs. */
import { apiVersionOf } from "../api/object.ts";
import type { ResourceDef } from "../api/resource.ts";

export class ResourceTable {
  /** Those that are always there. */
  readonly builtIn: readonly ResourceDef[];
  readonly #added = new Map<string, readonly ResourceDef[]>();
  #all: readonly ResourceDef[];
  #byPlural: ReadonlyMap<string, ResourceDef>;

  constructor(builtIn: readonly ResourceDef[]) {
    this.builtIn = builtIn;
    this.#all = builtIn;
    this.#byPlural = index(builtIn);
  }

  /** Another array after every change: what was derived from one can be kept as long as it is the same. */
  get all(): readonly ResourceDef[] {
    return this.#all;
  }

  find(group: string, version: string, plural: string): ResourceDef | undefined {
    return this.#byPlural.get(`${apiVersionOf({ group, version })}/${plural}`);
  }

  /** What `owner` (a CRD's name) has served until now is replaced by `defs`; none takes it away. */
  set(owner: string, defs: readonly ResourceDef[]): void {
    if (defs.length > 0) this.#added.set(owner, defs);
    else if (!this.#added.delete(owner)) return;
    this.#all = [...this.builtIn, ...[...this.#added.values()].flat()];
    this.#byPlural = index(this.#all);
  }
}

function index(defs: readonly ResourceDef[]): Map<string, ResourceDef> {
  return new Map(defs.map((d) => [`${apiVersionOf(d)}/${d.plural}`, d]));
}
