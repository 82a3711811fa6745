/** From a question to its answer: the cluster's own names, what is set, and what others say. */
import type { Clock, Random } from "../../util/clock.ts";
import type { Exchange } from "./exchange.ts";
import { Forwarder, type ForwarderOptions } from "./forwarder.ts";
import type { Answer, Question, ResourceRecord } from "./message.ts";
import { addressOfReverse, canonical, prefixIn } from "./names.ts";
import type { HostResolver } from "./resolv-conf.ts";
import { laterNames } from "./search.ts";
import { DEFAULT_SETTINGS, type DnsSettings, type UpstreamAddress } from "./settings.ts";
import { answerFrom, TTL, type Zone } from "./zone.ts";

export interface ResolverOptions {
  readonly zone: Zone;
  /** The namespace of the Pod that asks from this address. */
  readonly namespaceAt: (client: string) => string | undefined;
  readonly exchange: Exchange;
  readonly clock: Clock;
  readonly random: Random;
  /** Asking these would be asking ourselves. */
  readonly ownAddresses: readonly string[];
  readonly onForward?: ForwarderOptions["onResult"];
}

/** A chain of aliases longer than this has no end. */
const MAX_ALIASES = 8;
const DNS_PORT = 53;

export class Resolver implements Disposable {
  readonly #o: ResolverOptions;
  #settings = DEFAULT_SETTINGS;
  #host: HostResolver = { nameservers: [], searches: [] };
  /** By domain, the longest first; the last is for everything. */
  #forwarders: readonly { readonly domain: string; readonly forwarder: Forwarder }[] = [];

  constructor(o: ResolverOptions) {
    this.#o = o;
  }

  /** From now on. What is cached from other servers is forgotten. */
  configure(now: { readonly settings?: DnsSettings; readonly host?: HostResolver }): void {
    this.#settings = now.settings ?? this.#settings;
    this.#host = now.host ?? this.#host;
    this[Symbol.dispose]();
    const hosts = this.#host.nameservers.map((host) => ({ host, port: DNS_PORT }));
    const all = [...this.#settings.stubDomains, ["", this.#settings.upstreams ?? hosts] as const];
    this.#forwarders = all
      .toSorted(([a], [b]) => b.length - a.length)
      .map(([domain, upstreams]) => ({ domain, forwarder: this.#forwarder(upstreams) }));
  }

  [Symbol.dispose](): void {
    for (const { forwarder } of this.#forwarders) forwarder[Symbol.dispose]();
  }

  /** Never rejects. */
  async resolve(question: Question, client: string): Promise<Answer> {
    const direct = await this.#follow(question);
    if (direct.rcode !== "NXDOMAIN" || !this.#settings.autopath) return direct;
    const namespace = this.#o.namespaceAt(client);
    if (namespace === undefined) return direct;
    const { domain } = this.#o.zone;
    const chain = laterNames({ name: question.name, namespace, domain, hostSearches: this.#host.searches });
    for (const name of chain) {
      const answer = await this.#follow({ name, type: question.type });
      if (answer.rcode !== "NXDOMAIN") return aliased(question.name, name, answer);
    }
    return direct;
  }

  /** With the records of what the name is an alias of. */
  async #follow(question: Question): Promise<Answer> {
    const aliases: ResourceRecord[] = [];
    for (let asked = question; aliases.length <= MAX_ALIASES;) {
      const answer = await this.#ask(asked);
      const [alias] = answer.answers;
      const ours = answer.authoritative && alias?.type === "CNAME" && question.type !== "CNAME";
      if (!ours) {
        const answers = aliases.length === 0 ? answer.answers : [...aliases, ...answer.answers];
        return { ...answer, answers };
      }
      aliases.push(alias);
      asked = { name: alias.data, type: question.type };
    }
    return { rcode: "SERVFAIL", answers: [] };
  }

  async #ask(question: Question): Promise<Answer> {
    const name = canonical(question.name);
    const set = fromSettings(this.#settings, question, name);
    if (set) return set;
    const own = answerFrom(this.#o.zone, question);
    if (own) return { ...own, answers: shuffled(own.answers, this.#o.random) };
    const chosen = this.#forwarders.find((f) => prefixIn(name, f.domain) !== undefined);
    const answer = await chosen?.forwarder.ask({ name, type: question.type });
    return answer ? renamed(answer, name, question.name) : { rcode: "REFUSED", answers: [] };
  }

  #forwarder(upstreams: readonly UpstreamAddress[]): Forwarder {
    const others = upstreams.filter((u) => u.port !== DNS_PORT || !this.#o.ownAddresses.includes(u.host));
    const { exchange, clock, onForward } = this.#o;
    return new Forwarder({ upstreams: others, exchange, clock, ...(onForward && { onResult: onForward }) });
  }
}

function fromSettings(settings: DnsSettings, { name: asked, type }: Question, name: string): Answer | undefined {
  const record = { name: asked, ttl: TTL };
  const alias = settings.rewrites.get(name);
  if (alias !== undefined) return own([{ ...record, type: "CNAME", data: alias }]);
  const ips = settings.hosts.get(name);
  if (ips) {
    const family = (ip: string) => (ip.includes(":") ? "AAAA" : "A");
    return own(ips.filter((ip) => family(ip) === type).map((data) => ({ ...record, type: family(data), data })));
  }
  const ip = settings.hosts.size > 0 && type === "PTR" ? addressOfReverse(name) : undefined;
  const names = ip === undefined ? [] : [...settings.hosts].filter(([, all]) => all.includes(ip)).map(([host]) => host);
  return names.length > 0 ? own(names.map((data) => ({ ...record, type: "PTR", data }))) : undefined;
}

const own = (answers: readonly ResourceRecord[]): Answer => ({ rcode: "NOERROR", authoritative: true, answers });

/** Clients take the first: each gets another one. */
function shuffled(answers: readonly ResourceRecord[], random: Random): readonly ResourceRecord[] {
  if (answers.length < 2) return answers;
  const list = [...answers];
  for (let i = list.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    const [a, b] = [list[i], list[j]];
    if (a && b) [list[i], list[j]] = [b, a];
  }
  return list;
}

/** The answer to a name in another spelling: clients look for theirs. */
function renamed(answer: Answer, from: string, to: string): Answer {
  if (from === to) return answer;
  const rename = (r: ResourceRecord): ResourceRecord => (canonical(r.name) === from ? { ...r, name: to } : r);
  return { ...answer, answers: answer.answers.map(rename) };
}

function aliased(name: string, target: string, answer: Answer): Answer {
  const alias: ResourceRecord = {
    name,
    ttl: Math.min(TTL, ...answer.answers.map((a) => a.ttl ?? 0)),
    type: "CNAME",
    data: target,
  };
  return { ...answer, answers: [alias, ...answer.answers] };
}
