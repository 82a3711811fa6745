/**
 * Where a packet to a Service ends, by the rules as they stand: an evaluation of the few kinds of rules that the proxy's
 * chains are made of, as nft's manual describes them. What it does not know it refuses, so that it cannot agree by
 * overlooking something.
 */
import type { Ruleset } from "../../nft/ruleset.ts";

export interface Packet {
  readonly from: "pod" | "node" | "outside";
  readonly source: string;
  readonly to: string;
  readonly port: number;
  readonly protocol: string;
  /** `to` is an address of the node. */
  readonly local?: boolean;
}

export type Fate =
  | { readonly type: "sent"; readonly to: readonly string[]; readonly masqueraded: boolean }
  | { readonly type: "refused" | "dropped" | "untouched" };

/** A change that comes while a packet is on its way: from its so-many-th look-up on it finds the elements of `now`. */
export interface Change {
  readonly lookUp: number;
  readonly now: Ruleset;
}

export function walk(ruleset: Ruleset, packet: Packet, change?: Change): Fate {
  const walker = new Walker(ruleset, packet, change);
  if (walker.run("services-sources") === "drop") return { type: "dropped" };
  walker.run(packet.from === "node" ? "services-output" : "services-prerouting");
  if (walker.sent.size > 0 && !walker.lost)
    return { type: "sent", to: [...walker.sent].toSorted(), masqueraded: walker.marked };
  const verdict = walker.run("unserved");
  return { type: verdict === "drop" ? "dropped" : verdict === "reject" ? "refused" : "untouched" };
}

type End = "drop" | "reject" | "done" | undefined;

class Walker {
  readonly sent = new Set<string>();
  marked = false;
  /** Some number of a die had no endpoint. */
  lost = false;
  readonly #r: Ruleset;
  readonly #p: Packet;
  readonly #change: Change | undefined;
  #lookUps = 0;

  constructor(r: Ruleset, p: Packet, change?: Change) {
    this.#r = r;
    this.#p = p;
    this.#change = change;
  }

  /** Where this look-up finds its elements. */
  #elements(): Ruleset {
    return this.#change && ++this.#lookUps >= this.#change.lookUp ? this.#change.now : this.#r;
  }

  run(chain: string): End {
    const found = this.#r.chains[chain];
    if (!found) throw new Error(`no chain ${chain}`);
    for (const rule of found.rules) {
      const end = this.#rule(rule);
      if (end !== undefined) return end;
    }
    return undefined;
  }

  #key(kind: string): string {
    const { to, protocol, port } = this.#p;
    return kind === "ip daddr . meta l4proto . th dport" ? `${to} . ${protocol} . ${port}` : `${protocol} . ${port}`;
  }

  #rule(text: string): End {
    let rest = text;
    const take = (pattern: RegExp) => {
      const match = pattern.exec(rest);
      if (match) rest = rest.slice(match[0].length);
      return match;
    };
    for (;;) {
      let match;
      if (rest === "") return undefined;
      // Every packet here is the first of its connection.
      if (take(/^ct state new /)) continue;
      if (take(/^ip daddr != 127.0.0.0\/8 /)) {
        if (this.#p.to.startsWith("127.")) return undefined;
      } else if (take(/^ip daddr 127.0.0.0\/8 /)) {
        if (!this.#p.to.startsWith("127.")) return undefined;
      } else if (take(/^fib daddr type local /)) {
        if (!this.#p.local) return undefined;
      } else if (take(/^fib saddr type local /)) {
        if (this.#p.from !== "node") return undefined;
      } else if (take(/^ip saddr \{ [^}]+ \} /)) {
        if (this.#p.from !== "pod") return undefined;
      } else if (take(/^iifname != "lo" ip daddr 127.0.0.0\/8 /)) {
        if (this.#p.from === "node" || !this.#p.to.startsWith("127.")) return undefined;
      } else if ((match = take(/^(ip daddr \. meta l4proto \. th dport) @(\S+) /))) {
        if (!this.#has(match[2] ?? "", this.#key(match[1] ?? ""))) return undefined;
      } else if ((match = take(/^(ip daddr \. meta l4proto \. th dport) \. ip saddr != @(\S+) /))) {
        if (this.#has(match[2] ?? "", `${this.#key(match[1] ?? "")} . ${this.#p.source}`)) return undefined;
      } else if ((match = take(/^ip saddr @(\S+) /))) {
        if (!this.#has(match[1] ?? "", this.#p.source)) return undefined;
      } else if ((match = take(/^ip daddr @(\S+) /))) {
        if (!this.#has(match[1] ?? "", this.#p.to)) return undefined;
      } else return this.#action(rest);
    }
  }

  #action(text: string): End {
    let match;
    if (text === "reject" || text === "drop") return text;
    if (text === "meta l4proto tcp reject with tcp reset") return this.#p.protocol === "tcp" ? "reject" : undefined;
    if (text === "meta mark set meta mark or 0x4000") {
      this.marked = true;
      return undefined;
    }
    if ((match = /^jump (\S+)$/.exec(text))) return this.run(match[1] ?? "");
    if ((match = /^goto (\S+)$/.exec(text))) return this.run(match[1] ?? "") ?? "done";
    if ((match = /^(.*th dport) vmap @(\S+)$/.exec(text))) {
      const verdict = this.#elements().maps[match[2] ?? ""]?.elements.get(this.#key(match[1] ?? ""));
      return verdict === undefined ? undefined : this.#action(verdict);
    }
    if (/^update @\S+ \{ ip saddr \}$/.test(text)) return undefined;
    if ((match = /^meta l4proto (\w+) dnat ip to (\S+)$/.exec(text))) {
      if (match[1] === this.#p.protocol) this.sent.add(match[2] ?? "");
      return "done";
    }
    if ((match = /^numgen random mod (\d+) vmap \{ (.*) \}$/.exec(text))) {
      const verdicts = (match[2] ?? "").split(", ").map((v) => v.split(" : ")[1] ?? "");
      if (verdicts.length !== Number(match[1])) throw new Error(`sides without a verdict: ${text}`);
      // They belong to the rule, and are gone with it.
      if (this.#elements() !== this.#r) return undefined;
      for (const verdict of verdicts) this.#action(verdict);
      return "done";
    }
    if ((match = /^dnat ip to (ip daddr \. )?(\w+) dport \. numgen random mod (\d+) map @(\S+)$/.exec(text))) {
      const [, withAddress, protocol, size, map = ""] = match;
      if (protocol !== this.#p.protocol) return undefined;
      const { elements } = this.#elements().maps[map] ?? {};
      const sides = Array.from({ length: Number(size) }, (_, i) =>
        elements?.get(`${withAddress ? `${this.#p.to} . ` : ""}${this.#p.port} . ${i}`),
      );
      for (const endpoint of sides) if (endpoint !== undefined) this.sent.add(endpoint.replace(" . ", ":"));
      this.lost = sides.includes(undefined);
      return this.lost ? undefined : "done";
    }
    throw new Error(`no such rule is known: ${text}`);
  }

  #has(set: string, key: string): boolean {
    const found = this.#elements().sets[set];
    if (!found && !(set in this.#r.sets)) throw new Error(`no set ${set}`);
    return found?.elements.has(key) ?? false;
  }
}
