/** What the words after a command name: `pods`, `po,cm`, `pod web db`, `pod/web cm/conf`, `all`. */
import type { Discovery, KnownResource } from "./discovery.ts";
import { UsageError } from "./io.ts";

/** One kind, and of it the named objects or (names undefined) all. */
export interface Target {
  readonly resource: KnownResource;
  readonly names: readonly string[] | undefined;
}

/** The words taken apart, kinds not yet looked up. Throws {@link UsageError}. */
export function parseTargets(words: readonly string[]): { kind: string; names: string[] | undefined }[] {
  const [first] = words;
  if (first === undefined)
    throw new UsageError(`which kind? for example: pods\nsee them all with: mini-kube api-resources`);
  if (words.some((w) => w.includes("/"))) {
    const named = new Map<string, string[]>();
    for (const word of words) {
      const [kind = "", name = "", ...more] = word.split("/");
      if (!kind || !name || more.length > 0 || kind.includes(",")) {
        throw new UsageError(`${JSON.stringify(word)} is not of the form TYPE/NAME, as the other arguments are`);
      }
      named.set(kind, [...(named.get(kind) ?? []), name]);
    }
    return [...named].map(([kind, names]) => ({ kind, names }));
  }
  const names = words.slice(1);
  const kinds = first.split(",").filter((k) => k !== "");
  return kinds.map((kind) => ({ kind, names: names.length > 0 ? names : undefined }));
}

export async function resolveTargets(discovery: Discovery, words: readonly string[]): Promise<Target[]> {
  const targets: Target[] = [];
  for (const { kind, names } of parseTargets(words)) {
    const category = await discovery.byCategory(kind);
    if (category.length > 0 && names === undefined) {
      for (const resource of category) targets.push({ resource, names });
    } else {
      targets.push({ resource: await discovery.byWord(kind), names });
    }
  }
  return targets;
}

/** For commands that need to know which objects: names, a selector or `--all`. */
export function requireChoice(
  targets: readonly Target[],
  o: { selector?: string; all?: boolean; fieldSelector?: string },
): void {
  if (o.selector !== undefined || o.all || o.fieldSelector !== undefined) {
    if (targets.some((t) => t.names))
      throw new UsageError("name(s) cannot be given together with -l, --field-selector or --all");
    return;
  }
  if (targets.some((t) => !t.names)) {
    throw new UsageError(
      "resource(s) were provided, but no name was specified\nname them, choose by label with -l, or take --all",
    );
  }
}
