/** Which kinds there are to look after: the built-in ones and, as they come and go, those of CustomResourceDefinitions. */
import type { CustomResourceDefinition } from "../api/generated/types.ts";
import type { ResourceRef } from "../api/resource.ts";
import { resources } from "../api/table.ts";
import type { Client } from "../client/client.ts";
import type { Clock, Random } from "../util/clock.ts";
import type { Logger } from "../util/log.ts";
import type { DeepReadonly } from "../util/types.ts";
import { Informer } from "./informer.ts";

const customResourceDefinitions: ResourceRef<CustomResourceDefinition> = {
  group: "apiextensions.k8s.io",
  version: "v1",
  kind: "CustomResourceDefinition",
  plural: "customresourcedefinitions",
  namespaced: false,
};

type Crd = DeepReadonly<CustomResourceDefinition>;

/** For controllers that look at every object, whatever its kind. Each kind once, in the version that is stored. */
export class ServedKinds {
  readonly #crds: Informer<CustomResourceDefinition>;
  readonly #handlers = new Set<() => void>();

  constructor(o: { client: Client; clock: Clock; log: Logger; random: Random }) {
    this.#crds = new Informer<CustomResourceDefinition>({
      ...o,
      resource: o.client.resource(customResourceDefinitions),
    });
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

  run(signal: AbortSignal): Promise<void> {
    return this.#crds.run(signal);
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
