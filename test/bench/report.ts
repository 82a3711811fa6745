/** What the benchmarks print: a line as soon as a figure is known, a table at the end, JSON for machines. */

export interface Row {
  readonly what: string;
  readonly ours: string;
  /** The same work done by the peer, in the same run. */
  readonly peer?: string;
  readonly ratio?: string;
  readonly aim?: string;
}

export class Report {
  readonly #title: string;
  readonly #peer: string;
  readonly #rows: Row[] = [];

  constructor(title: string, peer: string) {
    this.#title = title;
    this.#peer = peer;
  }

  row(r: Row): void {
    this.#rows.push(r);
    process.stdout.write(`${r.what}: ${[r.ours, r.peer, r.ratio].filter(Boolean).join(" · ")}\n`);
  }

  print(): void {
    const head = [this.#title, "mini-kube", this.#peer, "ratio", "aim"];
    const cells = this.#rows.map((r) => [r.what, r.ours, r.peer ?? "", r.ratio ?? "", r.aim ?? ""]);
    const lines = [head, head.map(() => "---"), ...cells].map((row) => `| ${row.join(" | ")} |`);
    process.stdout.write(`\n${lines.join("\n")}\n`);
  }

  toJSON(): object {
    return { title: this.#title, peer: this.#peer, rows: this.#rows };
  }
}

export const median = (xs: readonly number[]): number => quantile(xs, 0.5);

export function quantile(xs: readonly number[], q: number): number {
  const sorted = xs.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;
}

export const round = (x: number, digits = 0): string => x.toFixed(digits);
