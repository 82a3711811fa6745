/** Which kinds there are to look after: the built-in ones and, as they come and go, those of CustomResourceDefinitions. */
import type { CustomResourceDefinition } from "../api/generated/types.ts";
import { customResourceDefinitions } from "../api/kinds/apiextensions/customresourcedefinition.ts";
import type { ResourceRef } from "../api/resource.ts";
import { resources } from "../api/table.ts";
import type { DeepReadonly } from "../util/types.ts";
import type { Informer } from "./informer.ts";
import type { Informers } from "./informers.ts";

type Crd = DeepReadonly<CustomResourceDefinition>;

/** For controllers that look at every object, whatever its kind. Each kind once, in the version that is stored. */
export class ServedKinds {
  readonly #crds: Informer<CustomResourceDefinition>;
  readonly #handlers = new Set<() => void>();

  constructor(informers: Informers) {
    this.#crds = informers.of(customResourceDefinitions);
    this.#crds.onChange(() => {
      for (const handler of this.#handlers) handler();
    });
  }

  all(): readonly ResourceRef[] {
    return [...builtIn, ...this.#crds.list().flatMap((crd) => (isServed(crd) ? customRef(crd) : []))];
  }

  /** Called whenever {@link all} may have changed. */
  onChange(handler: () => void): void {
    this.#handlers.add(handler);
  }

  whenSynced(signal: AbortSignal): Promise<void> {
    return this.#crds.whenSynced(signal);
  }
}

const builtIn: readonly ResourceRef[] = resources.filter((def) => !def.virtual && !def.view);

function isServed(crd: Crd): boolean {
  return crd.status?.conditions?.some((c) => c.type === "Established" && c.status === "True") ?? false;
}

/** Any served version shows all objects; the stored one costs no conversion. */
function customRef({ spec }: Crd): ResourceRef[] {
  const version = spec.versions.find((v) => v.served && v.storage) ?? spec.versions.find((v) => v.served);
  if (!version) return [];
  const { group, names, scope } = spec;
  return [{ group, version: version.name, kind: names.kind, plural: names.plural, namespaced: scope === "Namespaced" }];
}
