/** PolicyRules as rows of words: the tables of the bootstrap policy are written in them. */
import type { PolicyRule } from "../../api/generated/types.ts";

/** Verbs, API groups (`core` is ""), resources and, for some, names: each a list of words. */
export type Row = readonly [verbs: string, groups: string, resources: string, names?: string];

export const READ = "get list watch";
export const WRITE = "create delete deletecollection patch update";
export const READ_UPDATE = "get list patch update watch";
export const ALL = "create delete deletecollection get list patch update watch";
export const EMIT = "create patch update";

export function ruleOf([verbs, groups, resources, names]: Row): PolicyRule {
  return {
    verbs: verbs.split(" "),
    apiGroups: groups.split(" ").map((g) => (g === "core" ? "" : g)),
    resources: resources.split(" "),
    ...(names !== undefined && { resourceNames: names.split(" ") }),
  };
}

export function pathsRule(verbs: string, paths: string): PolicyRule {
  return { verbs: verbs.split(" "), nonResourceURLs: paths.split(" ") };
}
