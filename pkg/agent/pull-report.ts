/** What of a pull's progress is worth an event: each new quarter, and a sign of life a minute; never two in 10 s. Pure. */
import type { PullProgress } from "../runtime/images.ts";

const LEAST_MS = 10_000;
const SIGN_OF_LIFE_MS = 60_000;

export class PullReport {
  readonly #image: string;
  #saidAt: number;
  #quarter = 0;

  constructor(image: string, beganAt: number) {
    this.#image = image;
    this.#saidAt = beganAt;
  }

  /** The message that is due now. */
  due(p: PullProgress, now: number): string | undefined {
    const percent = p.bytesTotal > 0 ? Math.floor((p.bytes * 100) / p.bytesTotal) : 0;
    const quarter = Math.floor(percent / 25);
    const since = now - this.#saidAt;
    if (since < LEAST_MS || (quarter <= this.#quarter && since < SIGN_OF_LIFE_MS)) return undefined;
    this.#saidAt = now;
    this.#quarter = Math.max(quarter, this.#quarter);
    const bytes = `${megabytes(p.bytes)} of ${megabytes(p.bytesTotal)} MB`;
    return `Pulling image "${this.#image}": ${percent}%, ${bytes}, ${p.layersDone} of ${p.layers} layers done`;
  }
}

const megabytes = (bytes: number) => (bytes / 1e6).toFixed(1);
