/** What one PolicyRule allows, and whether some rules give as much as others. Pure. */
import type { DeepReadonly } from "../../util/types.ts";
import type { PolicyRule } from "../generated/types.ts";
import type { Attributes } from "./attributes.ts";

export type Rule = DeepReadonly<PolicyRule>;

const ALL = "*";

export function ruleAllows(rule: Rule, a: Attributes): boolean {
  if (!includes(rule.verbs, a.verb)) return false;
  if (a.path !== undefined) return coversPath(rule.nonResourceURLs, a.path);
  return (
    includes(rule.apiGroups, a.apiGroup) &&
    coversResource(rule.resources, a.resource, a.subresource) &&
    (!rule.resourceNames?.length || rule.resourceNames.includes(a.name))
  );
}

const includes = (words: readonly string[] | undefined, word: string) =>
  words !== undefined && (words.includes(word) || words.includes(ALL));

/** `*` is every resource and every subresource; `*` + `/scale` that subresource of every resource. */
function coversResource(resources: readonly string[] | undefined, resource: string, subresource: string): boolean {
  if (resources === undefined) return false;
  if (subresource === "") return includes(resources, resource);
  return includes(resources, `${resource}/${subresource}`) || resources.includes(`*/${subresource}`);
}

/** `/healthz/*` is everything that starts so. */
function coversPath(urls: readonly string[] | undefined, path: string): boolean {
  return urls?.some((url) => url === path || (url.endsWith(ALL) && path.startsWith(url.replace(/\*+$/, "")))) ?? false;
}

/** What of `wanted` no single rule of `owned` gives: rules of one verb on one thing. Empty: all is covered. */
export function missingRules(owned: readonly Rule[], wanted: readonly Rule[]): readonly Rule[] {
  return wanted.flatMap(breakDown).filter((part) => !owned.some((rule) => covers(rule, part)));
}

/** Into rules of one verb on one resource (of one name) or one path: a rule with all of them gives each of them. */
function breakDown(rule: Rule): Rule[] {
  const { verbs, apiGroups = [], resources = [], nonResourceURLs = [], resourceNames = [] } = rule;
  const names = resourceNames.length ? resourceNames.map((name) => ({ resourceNames: [name] })) : [{}];
  return [
    ...apiGroups.flatMap((group) =>
      resources.flatMap((resource) =>
        verbs.flatMap((verb) =>
          names.map((name) => ({ apiGroups: [group], resources: [resource], verbs: [verb], ...name })),
        ),
      ),
    ),
    ...nonResourceURLs.flatMap((url) => verbs.map((verb) => ({ nonResourceURLs: [url], verbs: [verb] }))),
  ];
}

function covers(rule: Rule, part: Rule): boolean {
  const every = (parts: readonly string[] | undefined, covered: (p: string) => boolean) =>
    parts?.every(covered) ?? true;
  return (
    every(part.verbs, (v) => includes(rule.verbs, v)) &&
    every(part.apiGroups, (g) => includes(rule.apiGroups, g)) &&
    every(part.resources, (r) => coversResource(rule.resources, ...splitResource(r))) &&
    every(part.nonResourceURLs, (u) => coversPath(rule.nonResourceURLs, u)) &&
    (!rule.resourceNames?.length || (part.resourceNames?.every((n) => rule.resourceNames?.includes(n)) ?? false))
  );
}

function splitResource(combined: string): [string, string] {
  const slash = combined.indexOf("/");
  return slash < 0 ? [combined, ""] : [combined.slice(0, slash), combined.slice(slash + 1)];
}

/** Rules on the same thing as one with all their verbs, where each is on one thing only. */
export function compactRules(rules: readonly Rule[]): readonly Rule[] {
  const others: Rule[] = [];
  const simple = new Map<string, { rule: Rule; verbs: Set<string> }>();
  for (const rule of rules) {
    const { apiGroups = [], resources = [], nonResourceURLs = [], resourceNames = [] } = rule;
    if (apiGroups.length !== 1 || resources.length !== 1 || resourceNames.length > 1 || nonResourceURLs.length > 0) {
      others.push(rule);
      continue;
    }
    const key = JSON.stringify([apiGroups, resources, resourceNames]);
    const known = simple.get(key);
    if (!known) simple.set(key, { rule, verbs: new Set(rule.verbs) });
    else for (const verb of rule.verbs) known.verbs.add(verb);
  }
  return [...others, ...[...simple.values()].map(({ rule, verbs }) => ({ ...rule, verbs: [...verbs] }))];
}

/** `{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}`, as refusals print it. */
export function describeRule(rule: Rule): string {
  const parts: readonly [string, readonly string[] | undefined][] = [
    ["APIGroups", rule.apiGroups],
    ["Resources", rule.resources],
    ["NonResourceURLs", rule.nonResourceURLs],
    ["ResourceNames", rule.resourceNames],
    ["Verbs", rule.verbs],
  ];
  const shown = parts.filter(([, words]) => words?.length).map(([name, words = []]) => `${name}:${quoted(words)}`);
  return `{${shown.join(", ")}}`;
}

/** `["a" "b"]`: Go's %q of a list. */
export function quoted(words: readonly string[]): string {
  return `[${words.map((w) => JSON.stringify(w)).join(" ")}]`;
}
