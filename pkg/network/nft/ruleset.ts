/**
 * What one nftables table holds, as data. Pure: fragments are merged into one {@link Ruleset}, two of them are compared,
 * and the difference is text for `nft -f`, which applies all of it or nothing.
 *
 * Rules, keys and values are in nft's own language: what stands here is what `nft list table` shows. What changes often
 * belongs into elements of sets and maps, what never changes into rules: an element costs microseconds and one line.
 */

/** Where packets enter a chain; a chain without is only jumped to. */
export interface Hook {
  readonly type: "filter" | "nat" | "route";
  readonly at: "prerouting" | "input" | "forward" | "output" | "postrouting";
  /** A number, or nft's name with an offset: `dstnat`, `filter - 5`. */
  readonly priority: string | number;
  /** For what no rule decides; `accept` if absent. */
  readonly policy?: "accept" | "drop";
}

export interface Chain {
  readonly hook?: Hook;
  /** In order, e.g. `ip daddr 10.0.0.1 tcp dport 80 accept`. */
  readonly rules: readonly string[];
}

/** For elements that were made from others: those, and all keys by which the two may differ. Spares a comparison. */
export interface Since {
  readonly elements: ReadonlySet<string> | ReadonlyMap<string, string>;
  readonly changed: ReadonlySet<string>;
}

export interface NftSet {
  /** Its declaration: `type ipv4_addr . inet_service`, or `typeof ip saddr . th dport`. */
  readonly of: string;
  /** More of the declaration: `flags interval; auto-merge`, `flags dynamic,timeout; timeout 3h`. */
  readonly options?: string;
  /** As nft writes them: `10.0.0.1 . 80`. Those of a dynamic set, which packets add, are not ours: leave it empty. */
  readonly elements: ReadonlySet<string>;
  readonly since?: Since;
}

export interface NftMap {
  /** Its declaration: `type ipv4_addr . inet_proto . inet_service : verdict`. */
  readonly of: string;
  readonly options?: string;
  /** Key → value: `10.96.0.1 . tcp . 443` → `goto balance-3`. */
  readonly elements: ReadonlyMap<string, string>;
  readonly since?: Since;
}

/** Names are unique within each of the three: whoever adds a fragment prefixes its own. */
export interface Ruleset {
  readonly chains: Readonly<Record<string, Chain>>;
  readonly sets: Readonly<Record<string, NftSet>>;
  readonly maps: Readonly<Record<string, NftMap>>;
}

export const EMPTY_RULESET: Ruleset = { chains: {}, sets: {}, maps: {} };

/** All of them in one table. A name that two of them use is a mistake in the program. */
export function mergeRulesets(fragments: readonly Partial<Ruleset>[]): Ruleset {
  return {
    chains: disjoint(fragments.map((f) => f.chains ?? {})),
    sets: disjoint(fragments.map((f) => f.sets ?? {})),
    maps: disjoint(fragments.map((f) => f.maps ?? {})),
  };
}

function disjoint<T>(parts: readonly Readonly<Record<string, T>>[]): Readonly<Record<string, T>> {
  const all: Record<string, T> = {};
  for (const [name, value] of parts.flatMap((p) => Object.entries(p))) {
    if (name in all) throw new Error(`two fragments of the ruleset use the name ${name}`);
    all[name] = value;
  }
  return all;
}

/** Makes the table from nothing, whatever is there under its name. */
export function renderRuleset(table: string, r: Ruleset): string {
  return `add table ip ${table}\ndelete table ip ${table}\nadd table ip ${table}\n${diffRulesets(table, EMPTY_RULESET, r)}`;
}

/** `before` + the commands = `after`; nothing to do is "". */
export function diffRulesets(table: string, before: Ruleset, after: Ruleset): string {
  if (redeclares(before, after)) return renderRuleset(table, after);
  const chains = compare(before.chains, after.chains, sameRules);
  const sets = compare(before.sets, after.sets, (a, b) => a === b || a.elements === b.elements);
  const maps = compare(before.maps, after.maps, (a, b) => a === b || a.elements === b.elements);
  // What is referred to comes before what refers to it, and goes after it.
  const lines = [
    ...chains.added.map(([name, c]) => `add chain ip ${table} ${name}${c.hook ? ` { ${hookText(c.hook)} }` : ""}`),
    ...sets.added.map(([name, s]) => `add set ip ${table} ${name} { ${declaration(s)} }`),
    ...maps.added.map(([name, m]) => `add map ip ${table} ${name} { ${declaration(m)} }`),
    ...[...chains.changed, ...chains.removed].map(([name]) => `flush chain ip ${table} ${name}`),
    ...[...sets.added, ...sets.changed].flatMap(([name, s]) =>
      elementsDiff(`ip ${table} ${name}`, s, before.sets[name]?.elements ?? NOTHING),
    ),
    ...[...maps.added, ...maps.changed].flatMap(([name, m]) =>
      elementsDiff(`ip ${table} ${name}`, m, before.maps[name]?.elements ?? NOTHING),
    ),
    ...[...chains.added, ...chains.changed].flatMap(([name, c]) =>
      c.rules.map((rule) => `add rule ip ${table} ${name} ${rule}`),
    ),
    ...sets.removed.map(([name]) => `delete set ip ${table} ${name}`),
    ...maps.removed.map(([name]) => `delete map ip ${table} ${name}`),
    ...chains.removed.map(([name]) => `delete chain ip ${table} ${name}`),
  ];
  return lines.length === 0 ? "" : `${lines.join("\n")}\n`;
}

/**
 * What is to be in the kernel before `after` may be: `before`, and the chains that `after` brings, with what they look up.
 * Nothing leads to them yet. For a packet is judged by the rules as they were when it came, but finds elements as they are
 * when it looks: by a new element it would be sent to a chain that for it is still empty.
 */
export function prepared(before: Ruleset, after: Ruleset): Ruleset {
  const fresh = Object.entries(after.chains).filter(([name, c]) => !c.hook && !(name in before.chains));
  if (fresh.length === 0) return before;
  return {
    chains: { ...before.chains, ...Object.fromEntries(fresh) },
    sets: { ...after.sets, ...before.sets },
    maps: { ...after.maps, ...before.maps },
  };
}

/** A declaration cannot be changed in place. */
function redeclares(before: Ruleset, after: Ruleset): boolean {
  const differs = <T>(a: Readonly<Record<string, T>>, b: Readonly<Record<string, T>>, text: (t: T) => string) =>
    Object.entries(b).some(([name, now]) => {
      const was = a[name];
      return was !== undefined && was !== now && text(was) !== text(now);
    });
  return (
    differs(before.chains, after.chains, (c) => (c.hook ? hookText(c.hook) : "")) ||
    differs(before.sets, after.sets, declaration) ||
    differs(before.maps, after.maps, declaration)
  );
}

interface Comparison<T> {
  readonly added: readonly (readonly [string, T])[];
  readonly changed: readonly (readonly [string, T])[];
  readonly removed: readonly (readonly [string, T])[];
}

function compare<T>(
  before: Readonly<Record<string, T>>,
  after: Readonly<Record<string, T>>,
  same: (a: T, b: T) => boolean,
): Comparison<T> {
  const entries = Object.entries(after);
  return {
    added: entries.filter(([name]) => !(name in before)),
    changed: entries.filter(([name, now]) => {
      const was = before[name];
      return was !== undefined && !same(was, now);
    }),
    removed: Object.entries(before).filter(([name]) => !(name in after)),
  };
}

const sameRules = (a: Chain, b: Chain) =>
  a === b || (a.rules.length === b.rules.length && a.rules.every((rule, i) => rule === b.rules[i]));

const hookText = (h: Hook) => `type ${h.type} hook ${h.at} priority ${h.priority}; policy ${h.policy ?? "accept"};`;

const declaration = (s: NftSet | NftMap) => `${s.of};${s.options ? ` ${s.options};` : ""}`;

type Elements = NftSet["elements"] | NftMap["elements"];
const NOTHING: ReadonlySet<string> = new Set();

/** Of a set, whose elements are keys alone: "". */
const valueOf = (all: Elements, key: string): string | undefined =>
  "get" in all ? all.get(key) : all.has(key) ? "" : undefined;

/** More in one command would make lines of megabytes. */
const CHUNK = 1000;

function elementsDiff(target: string, now: NftSet | NftMap, before: Elements): readonly string[] {
  const { elements: after, options, since } = now;
  // Plain loops: there are tens of thousands, and nearly all are as they were.
  const gone: string[] = [];
  const fresh: string[] = [];
  const known = since?.elements === before ? since.changed : undefined;
  for (const key of known ?? before.keys()) {
    if (valueOf(before, key) !== undefined && valueOf(after, key) !== valueOf(before, key)) gone.push(key);
  }
  for (const key of known ?? after.keys()) {
    if (valueOf(after, key) !== undefined && valueOf(after, key) !== valueOf(before, key)) fresh.push(key);
  }
  // Intervals are merged and split by nft: what was added is not what can be deleted.
  if (options?.includes("interval") && gone.length > 0) {
    return [`flush ${"get" in after ? "map" : "set"} ${target}`, ...addElements(target, after, [...after.keys()])];
  }
  return [
    ...chunks(gone).map((keys) => `delete element ${target} { ${keys.join(", ")} }`),
    ...addElements(target, after, fresh),
  ];
}

const addElements = (target: string, all: Elements, keys: readonly string[]): readonly string[] =>
  chunks(keys.map((key) => (valueOf(all, key) ? `${key} : ${valueOf(all, key)}` : key))).map(
    (texts) => `add element ${target} { ${texts.join(", ")} }`,
  );

function chunks<T>(items: readonly T[]): readonly (readonly T[])[] {
  return Array.from({ length: Math.ceil(items.length / CHUNK) }, (_, i) => items.slice(i * CHUNK, (i + 1) * CHUNK));
}
