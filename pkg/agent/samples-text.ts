/** Prometheus' text format for samples with the time they were taken at, which prom-client does not write. Pure. */

export type LabelValues = Readonly<Record<string, string>>;

export interface SampleFamily {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge";
}

export interface Sample {
  readonly labels: LabelValues;
  readonly value: number;
  /** In milliseconds since the epoch. */
  readonly at?: number;
}

/** Families without samples are left out. */
export function samplesText(families: readonly { family: SampleFamily; samples: readonly Sample[] }[]): string {
  const lines = families
    .filter(({ samples }) => samples.length > 0)
    .flatMap(({ family: f, samples }) => [
      `# HELP ${f.name} ${f.help}`,
      `# TYPE ${f.name} ${f.type}`,
      ...samples.map((s) => line(f.name, s)),
    ]);
  return `${lines.join("\n")}\n`;
}

function line(name: string, { labels, value, at }: Sample): string {
  const pairs = Object.entries(labels).map(([key, text]) => `${key}="${escaped(text)}"`);
  const set = pairs.length > 0 ? `{${pairs.join(",")}}` : "";
  return `${name}${set} ${value}${at === undefined ? "" : ` ${at}`}`;
}

const escaped = (text: string) => text.replace(/[\\"\n]/g, (c) => (c === "\n" ? "\\n" : `\\${c}`));
