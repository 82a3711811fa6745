/** Which kinds the server has, and what a user's word (`po`, `Pod`, `pods.v1.`, `deployments.apps`) means among them. */
import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseApiVersion } from "../api/object.ts";
import type { ResourceRef } from "../api/resource.ts";
import type { HttpTransport } from "../client/http.ts";
import type { Clock } from "../util/clock.ts";
import { CliError } from "./io.ts";

export interface KnownResource extends ResourceRef {
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly verbs: readonly string[];
  readonly subresources: readonly string[];
}

/** kinds seldom change; an unknown one is looked for anew anyway. */
const CACHE_MS = 10 * 60_000;
const ACCEPT = ["v2", "v2beta1"]
  .map((v) => `application/json;g=apidiscovery.k8s.io;v=${v};as=APIGroupDiscoveryList`)
  .concat("application/json")
  .join(",");

interface GroupDiscoveryList {
  items?: {
    metadata?: { name?: string };
    versions: {
      version: string;
      resources?: {
        resource: string;
        responseKind?: { kind: string };
        scope: string;
        singularResource?: string;
        shortNames?: string[];
        categories?: string[];
        verbs: string[];
        subresources?: { subresource: string }[];
      }[];
    }[];
  }[];
}

export class Discovery {
  readonly #transport: HttpTransport;
  readonly #file: string;
  readonly #clock: Clock;
  #known: readonly KnownResource[] | undefined;
  #fresh = false;

  constructor(o: { transport: HttpTransport; cacheDir: string; clock: Clock }) {
    this.#transport = o.transport;
    this.#clock = o.clock;
    this.#file = join(o.cacheDir, "discovery", `${o.transport.server.host.replace(/[^\w.-]/g, "_")}.json`);
  }

  async all(): Promise<readonly KnownResource[]> {
    this.#known ??= this.#fromCache() ?? (await this.refresh());
    return this.#known;
  }

  async refresh(): Promise<readonly KnownResource[]> {
    const parts = await Promise.all(["/api", "/apis"].map((path) => this.#fetch(path)));
    const known = parts.flat();
    this.#known = known;
    this.#fresh = true;
    this.#toCache(known);
    return known;
  }

  /** Throws {@link CliError} as kubectl words it when the server has no such kind. */
  async byWord(word: string): Promise<KnownResource> {
    const found = await this.#find((all) => findByWord(all, word));
    if (found) return found;
    throw new CliError(
      `the server doesn't have a resource type ${JSON.stringify(word)}${await this.#suggestion(word)}`,
    );
  }

  async byKind(apiVersion: string, kind: string): Promise<KnownResource | undefined> {
    const { group, version } = parseApiVersion(apiVersion);
    return this.#find((all) => all.find((r) => r.group === group && r.version === version && r.kind === kind));
  }

  /** The kinds of a category such as `all`; empty if there is none of that name. */
  async byCategory(category: string): Promise<readonly KnownResource[]> {
    return (await this.all()).filter((r) => r.categories.includes(category) && r.verbs.includes("list"));
  }

  async #find(
    search: (all: readonly KnownResource[]) => KnownResource | undefined,
  ): Promise<KnownResource | undefined> {
    const found = search(await this.all());
    return found ?? (this.#fresh ? undefined : search(await this.refresh()));
  }

  async #suggestion(word: string): Promise<string> {
    const names = (await this.all()).flatMap((r) => [r.plural, r.singular, ...r.shortNames]);
    const near = closest(word.toLowerCase(), names);
    return near ? `\ndid you mean ${JSON.stringify(near)}? see them all with: mini-kube api-resources` : "";
  }

  async #fetch(path: string): Promise<KnownResource[]> {
    const list = JSON.parse(await this.#transport.text(path, { headers: { accept: ACCEPT } })) as GroupDiscoveryList;
    return (list.items ?? []).flatMap((group) =>
      group.versions.flatMap(({ version, resources = [] }) =>
        resources.map((r) => ({
          group: group.metadata?.name ?? "",
          version,
          kind: r.responseKind?.kind ?? "",
          plural: r.resource,
          namespaced: r.scope === "Namespaced",
          singular: r.singularResource || (r.responseKind?.kind ?? "").toLowerCase(),
          shortNames: r.shortNames ?? [],
          categories: r.categories ?? [],
          verbs: r.verbs,
          subresources: (r.subresources ?? []).map((s) => s.subresource),
        })),
      ),
    );
  }

  /** The cache only saves time: whatever is wrong with it, the server is asked instead. */
  #fromCache(): readonly KnownResource[] | undefined {
    try {
      if (this.#clock.now() - statSync(this.#file).mtimeMs > CACHE_MS) return undefined;
      const known = JSON.parse(readFileSync(this.#file, "utf8")) as KnownResource[];
      return known.length > 0 ? known : undefined;
    } catch {
      return undefined;
    }
  }

  #toCache(known: readonly KnownResource[]): void {
    try {
      mkdirSync(join(this.#file, ".."), { recursive: true });
      const temporary = `${this.#file}.${process.pid}`;
      writeFileSync(temporary, JSON.stringify(known));
      renameSync(temporary, this.#file);
    } catch {
      // A read-only home directory must not keep anybody from working.
    }
  }
}

/** `plural`, `singular`, `short`, `Kind`, each also with `.group` or `.version.group`. The core group goes first. */
export function findByWord(all: readonly KnownResource[], text: string): KnownResource | undefined {
  const word = text.toLowerCase();
  const [name = "", ...qualifier] = word.split(".");
  const names = (r: KnownResource) => [r.plural, r.singular, r.kind.toLowerCase(), ...r.shortNames];
  const whole = all.find((r) => names(r).includes(word));
  if (whole || qualifier.length === 0) return whole;
  const rest = qualifier.join(".");
  return all.find(
    (r) => names(r).includes(name) && (rest === r.group || rest === `${r.version}.${r.group}` || rest === r.version),
  );
}

/** The candidate with the fewest edits, if they are few enough to be a slip of the fingers. */
export function closest(word: string, candidates: readonly string[]): string | undefined {
  let best: { name: string; distance: number } | undefined;
  for (const name of candidates) {
    const distance = editDistance(word, name);
    if (distance <= Math.max(1, Math.floor(name.length / 3)) && distance < (best?.distance ?? Infinity)) {
      best = { name, distance };
    }
  }
  return best?.name;
}

/** Insertions, deletions, replacements, and two neighbours swapped, each counts one. */
function editDistance(a: string, b: string): number {
  let [before, previous] = [[] as number[], Array.from({ length: b.length + 1 }, (_, i) => i)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swapped = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? (before[j - 2] ?? 0) + 1 : Infinity;
      row.push(Math.min(replaced, swapped, (previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1));
    }
    [before, previous] = [previous, row];
  }
  return previous[b.length] ?? 0;
}

/** `pods`, `deployments.apps`: how messages name a kind. */
export function qualifiedPlural(r: ResourceRef): string {
  return r.group ? `${r.plural}.${r.group}` : r.plural;
}

/** `pod/web`, `deployment.apps/web`: how results name an object. */
export function objectTitle(r: KnownResource, name: string): string {
  return `${r.group ? `${r.singular}.${r.group}` : r.singular}/${name}`;
}
