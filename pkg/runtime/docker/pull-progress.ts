/** What a pull has brought so far, from the daemon's messages; and the end of one that brings nothing more. */
import type { Clock } from "../../util/clock.ts";
import type { PullProgress } from "../images.ts";
import { RuntimeError } from "../runtime.ts";

/** One message of a pull, as Docker sends them. */
export interface PullMessage {
  readonly error?: string;
  readonly status?: string;
  /** Of the layer. */
  readonly id?: string;
  readonly progressDetail?: { readonly current?: number; readonly total?: number };
}

interface Layer {
  readonly bytes: number;
  readonly total: number;
  readonly done: boolean;
}

const NEW: Layer = { bytes: 0, total: 0, done: false };

/** Layers that are there already are not fetched, and not counted. */
export class PullTally {
  readonly #layers = new Map<string, Layer>();

  add({ status = "", id, progressDetail: { current = 0, total = 0 } = {} }: PullMessage): void {
    if (id === undefined) return;
    const layer = this.#layers.get(id);
    if (status === "Pulling fs layer") this.#layers.set(id, layer ?? NEW);
    if (!layer) return;
    if (status === "Downloading") this.#layers.set(id, { ...layer, bytes: current, total });
    if (status === "Download complete") this.#layers.set(id, { ...layer, bytes: layer.total });
    if (status === "Pull complete") this.#layers.set(id, { ...layer, bytes: layer.total, done: true });
  }

  get progress(): PullProgress {
    const layers = [...this.#layers.values()];
    const sum = (of: (l: Layer) => number) => layers.reduce((n, l) => n + of(l), 0);
    return {
      layers: layers.length,
      layersDone: layers.filter((l) => l.done).length,
      bytes: sum((l) => l.bytes),
      bytesTotal: sum((l) => l.total),
    };
  }
}

/** Gives up a pull that has made no progress for so long. */
export class ProgressDeadline implements Disposable {
  readonly #clock: Clock;
  readonly #what: string;
  readonly #ms: number;
  readonly #stop = new AbortController();
  #timer: Disposable | undefined;

  constructor(clock: Clock, what: string, ms: number) {
    this.#clock = clock;
    this.#what = what;
    this.#ms = ms;
    this.made();
  }

  /** Aborts when there was none for too long. */
  get stalled(): AbortSignal {
    return this.#stop.signal;
  }

  made(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = this.#clock.after(this.#ms, () => {
      this.#stop.abort(new RuntimeError("ErrImagePull", `${this.#what}: no progress for ${this.#ms / 1000} s`));
    });
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
  }
}
