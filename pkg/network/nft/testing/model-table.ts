/** What nft's commands do to a table, as far as we use them; refuses what the kernel would refuse. */
import type { Chain, NftMap, NftSet, Ruleset } from "../ruleset.ts";

interface Content {
  readonly chains: Record<string, { hook: string; rules: readonly string[] }>;
  /** Of sets and maps: the declaration, and the elements (of a set with an empty value). */
  readonly sets: Record<string, { of: string; elements: Record<string, string> }>;
}

export class ModelTable {
  readonly #name: string;
  #content: Content | undefined;

  constructor(name: string) {
    this.#name = name;
  }

  content(): Content | undefined {
    return this.#content;
  }

  static contentOf(r: Ruleset): Content {
    const hook = (c: Chain) =>
      c.hook
        ? `type ${c.hook.type} hook ${c.hook.at} priority ${c.hook.priority}; policy ${c.hook.policy ?? "accept"};`
        : "";
    const of = (s: NftSet | NftMap) => `${s.of};${s.options ? ` ${s.options};` : ""}`;
    const elements = (s: NftSet | NftMap): Record<string, string> =>
      Object.fromEntries(s.elements instanceof Map ? s.elements : [...s.elements.keys()].map((k) => [k, ""] as const));
    return {
      chains: Object.fromEntries(Object.entries(r.chains).map(([n, c]) => [n, { hook: hook(c), rules: [...c.rules] }])),
      sets: Object.fromEntries(
        Object.entries({ ...r.sets, ...r.maps }).map(([n, s]) => [n, { of: of(s), elements: elements(s) }]),
      ),
    };
  }

  /** One transaction. */
  apply(commands: string): void {
    const draft = structuredClone(this.#content);
    const next = commands
      .split("\n")
      .filter(Boolean)
      .reduce((content, line) => this.#command(content, line), draft);
    this.#content = next;
  }

  #command(content: Content | undefined, line: string): Content | undefined {
    const [, verb = "", what = "", table = "", rest = ""] = /^(\w+) (\w+) ip (\S+) ?(.*)$/.exec(line) ?? [];
    if (table !== this.#name) throw new Error(`another table: ${line}`);
    if (what === "table") return verb === "add" ? (content ?? { chains: {}, sets: {} }) : undefined;
    if (!content) throw new Error(`no table: ${line}`);
    const [, name = "", argument = ""] = /^(\S+) ?(.*)$/.exec(rest) ?? [];
    const inner = argument.replace(/^\{ /, "").replace(/ \}$/, "");
    const { chains, sets } = content;
    const there = <T>(all: Record<string, T>): T => {
      const found = all[name];
      if (found === undefined) throw new Error(`No such file or directory: ${line}`);
      return found;
    };
    const fresh = (all: object) => {
      if (name in all) throw new Error(`File exists: ${line}`);
    };
    switch (`${verb} ${what}`) {
      case "add chain":
        fresh(chains);
        chains[name] = { hook: inner, rules: [] };
        break;
      case "flush chain":
        chains[name] = { ...there(chains), rules: [] };
        break;
      case "delete chain":
        if (there(chains).rules.length > 0) throw new Error(`Device or resource busy: ${line}`);
        delete chains[name];
        break;
      case "add rule":
        chains[name] = { ...there(chains), rules: [...there(chains).rules, argument] };
        break;
      case "add set":
      case "add map":
        fresh(sets);
        sets[name] = { of: inner, elements: {} };
        break;
      case "flush set":
      case "flush map":
        there(sets).elements = {};
        break;
      case "delete set":
      case "delete map":
        there(sets);
        delete sets[name];
        break;
      case "add element":
        for (const element of inner.split(", ")) {
          const [key = "", value = ""] = element.split(" : ");
          if (key in there(sets).elements) throw new Error(`File exists: ${line}`);
          there(sets).elements[key] = value;
        }
        break;
      case "delete element":
        for (const key of inner.split(", ")) {
          if (!(key in there(sets).elements)) throw new Error(`No such file or directory: ${line}`);
          delete there(sets).elements[key];
        }
        break;
      default:
        throw new Error(`not known: ${line}`);
    }
    return content;
  }
}
