/** Text tables as kubectl prints them: three spaces between columns, the last one unpadded. */
import type { Colour, Paint } from "../io.ts";

export interface TextTable {
  readonly header?: readonly string[] | undefined;
  readonly rows: readonly (readonly string[])[];
}

/** Grows with what it has seen, so that the rows of a watch stay under their headings. */
export class TablePrinter {
  readonly #paint: Paint;
  readonly #gap: string;
  #widths: number[] = [];

  constructor(paint: Paint, gap = 3) {
    this.#paint = paint;
    this.#gap = " ".repeat(gap);
  }

  /** Lines, each ended by a newline. */
  format(table: TextTable): string {
    const rows = table.header ? [table.header, ...table.rows] : table.rows;
    for (const row of rows) row.forEach((cell, i) => (this.#widths[i] = Math.max(this.#widths[i] ?? 0, width(cell))));
    const lines = rows.map((row, r) => {
      const isHeader = r === 0 && table.header !== undefined;
      return row
        .map((cell, i) => this.#cell(cell, i, { isHeader, isLast: i === row.length - 1 }))
        .join(this.#gap)
        .trimEnd();
    });
    return lines.map((line) => `${line}\n`).join("");
  }

  #cell(cell: string, column: number, o: { isHeader: boolean; isLast: boolean }): string {
    const padding = o.isLast ? "" : " ".repeat(Math.max(0, (this.#widths[column] ?? 0) - width(cell)));
    const colour = o.isHeader ? "bold" : colourOf(cell);
    return (colour ? this.#paint(colour, cell) : cell) + padding;
  }
}

/** Code points; good for what Kubernetes allows in names and states. */
const width = (text: string) => (/^[\x20-\x7e]*$/.test(text) ? text.length : Array.from(text).length);

const GOOD = new Set(["Running", "Ready", "Active", "Bound", "Succeeded", "Completed", "Available"]);
const MIDDLING =
  /^(Pending|ContainerCreating|PodInitializing|Init:\d+\/\d+|Terminating|NotReady|Unknown|.*SchedulingDisabled)$/;
const BAD =
  /^(Init:)?(Error|Failed|Evicted|OOMKilled|CrashLoopBackOff|ErrImage\w*|ImagePullBackOff|\w*Error|InvalidImageName)$/;

/** The colour of a word of state; everything else stays plain. */
export function colourOf(cell: string): Colour | undefined {
  if (GOOD.has(cell)) return "green";
  if (BAD.test(cell)) return "red";
  if (MIDDLING.test(cell)) return "yellow";
  return undefined;
}
