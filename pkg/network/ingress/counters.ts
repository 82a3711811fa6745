/** What the ingress has done, as Prometheus counters, and as lines of a log. */
export interface Served {
  readonly method: string;
  readonly host: string;
  readonly target: string;
  readonly status: number;
  readonly ms: number;
  readonly client: string;
  /** `namespace/name`; empty where no rule fitted. */
  readonly ingress: string;
  readonly backend: string;
  /** The last endpoint that was asked. */
  readonly endpoint: string;
  /** Endpoints that were asked in vain before. */
  readonly retries: number;
}

const BOUNDS_MS = [1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000];

interface PerIngress {
  readonly codes: Map<number, number>;
  readonly buckets: number[];
  sumMs: number;
  retries: number;
}

export class Counters {
  readonly #ingresses = new Map<string, PerIngress>();
  /** Upgraded connections, and requests, under way. */
  active = { requests: 0, upgrades: 0 };
  reloads = 0;

  count(s: Pick<Served, "ingress" | "status" | "ms" | "retries">): void {
    let c = this.#ingresses.get(s.ingress);
    if (!c) {
      c = { codes: new Map(), buckets: Array.from({ length: BOUNDS_MS.length + 1 }, () => 0), sumMs: 0, retries: 0 };
      this.#ingresses.set(s.ingress, c);
    }
    c.codes.set(s.status, (c.codes.get(s.status) ?? 0) + 1);
    const at = BOUNDS_MS.findIndex((bound) => s.ms <= bound);
    const bucket = at < 0 ? BOUNDS_MS.length : at;
    c.buckets[bucket] = (c.buckets[bucket] ?? 0) + 1;
    c.sumMs += s.ms;
    c.retries += s.retries;
  }

  /** Ingresses that are gone are counted no more. */
  keep(isKnown: (ingress: string) => boolean): void {
    for (const name of this.#ingresses.keys()) if (name !== "" && !isKnown(name)) this.#ingresses.delete(name);
  }

  /** The Prometheus text format. */
  text(): string {
    const lines: string[] = [];
    const family = (name: string, type: string, help: string) =>
      lines.push(`# HELP mini_kube_ingress_${name} ${help}`, `# TYPE mini_kube_ingress_${name} ${type}`);
    const line = (name: string, labels: string, value: number) =>
      lines.push(`mini_kube_ingress_${name}${labels && `{${labels}}`} ${value}`);
    const all = [...this.#ingresses];
    family("requests_total", "counter", "Requests answered, by Ingress and status code.");
    for (const [name, c] of all) {
      for (const [code, n] of c.codes) line("requests_total", `${labelsOf(name)},code="${code}"`, n);
    }
    family("request_duration_seconds", "histogram", "From the request's head to the answer's end.");
    for (const [name, c] of all) {
      let sum = 0;
      for (const [i, n] of c.buckets.entries()) {
        sum += n;
        const bound = BOUNDS_MS[i];
        const le = bound === undefined ? "+Inf" : String(bound / 1000);
        line("request_duration_seconds_bucket", `${labelsOf(name)},le="${le}"`, sum);
      }
      line("request_duration_seconds_sum", labelsOf(name), c.sumMs / 1000);
      line("request_duration_seconds_count", labelsOf(name), sum);
    }
    family("retries_total", "counter", "Endpoints asked in vain before another one answered.");
    for (const [name, c] of all) line("retries_total", labelsOf(name), c.retries);
    family("active_requests", "gauge", "Requests under way.");
    line("active_requests", "", this.active.requests);
    family("active_upgrades", "gauge", "Upgraded connections (WebSockets) that are open.");
    line("active_upgrades", "", this.active.upgrades);
    family("reloads_total", "counter", "How often the routes have changed.");
    line("reloads_total", "", this.reloads);
    return `${lines.join("\n")}\n`;
  }
}

/** Names of objects have no characters that need an escape. */
function labelsOf(ingress: string): string {
  const slash = ingress.indexOf("/");
  return `namespace="${ingress.slice(0, Math.max(0, slash))}",ingress="${ingress.slice(slash + 1)}"`;
}
