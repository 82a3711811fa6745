/** How many questions and answers there were, under the names that CoreDNS has for them. */

const HELP = {
  coredns_dns_requests_total: "Questions, by protocol and type.",
  coredns_dns_responses_total: "Answers, by their code.",
  coredns_forward_requests_total: "Questions that were not the cluster's to answer, by what became of them.",
  coredns_dns_dropped_total: "Messages without an answer, by why.",
} as const;

type CounterName = keyof typeof HELP;

/** Beyond these a type of record is "other": a client must not be able to fill the memory with new ones. */
const TYPES = ["A", "AAAA", "CNAME", "HINFO", "MX", "NAPTR", "NS", "PTR", "SOA", "SRV", "TXT", "UNKNOWN_65"];

export const typeLabel = (type: string): string => (TYPES.includes(type) ? type : "other");

export class DnsMetrics {
  readonly #counts = new Map<CounterName, Map<string, number>>();

  /** `labels` as they are printed: `proto="udp",type="A"`. */
  count(name: CounterName, labels: string): void {
    const counts = this.#counts.get(name) ?? new Map<string, number>();
    this.#counts.set(name, counts.set(labels, (counts.get(labels) ?? 0) + 1));
  }

  get(name: CounterName, labels: string): number {
    return this.#counts.get(name)?.get(labels) ?? 0;
  }

  /** In Prometheus' text format. */
  text(): string {
    const lines = [...this.#counts].flatMap(([name, counts]) => [
      `# HELP ${name} ${HELP[name]}`,
      `# TYPE ${name} counter`,
      ...[...counts].map(([labels, count]) => `${name}{${labels}} ${count}`),
    ]);
    return lines.map((line) => `${line}\n`).join("");
  }
}
