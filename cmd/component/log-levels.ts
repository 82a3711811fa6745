/** How much is logged of what, while the program runs: one level for all, and others for parts of it by name. */
import { type DestinationStream, type Logger as Pino, pino, stdTimeFunctions } from "pino";
import { own } from "../../pkg/util/keys.ts";
import type { Logger } from "../../pkg/util/log.ts";

/** From most to least. */
const LEVELS = ["debug", "info", "warn", "error", "silent"] as const;
export type Level = (typeof LEVELS)[number];

/** What people call a part, where it logs under another name. */
const ALIASES: Readonly<Record<string, string>> = {
  agent: "kubelet",
  "controller-manager": "kube-controller-manager",
  network: "node-network",
  scheduler: "default-scheduler",
};

/** As GET /debug/log-level answers. */
export interface LevelsReport {
  readonly default: Level;
  readonly components: Readonly<Record<string, Level>>;
  /** What can be named, so far. */
  readonly known: readonly string[];
}

/**
 * Set by what users write: `debug`, `scheduler=debug`, `warn,scheduler=debug,deployment=info`. A name is a component's, a
 * controller's or a watch cache's; the innermost that has a level of its own decides.
 */
export class LogLevels {
  #default: Level = "info";
  readonly #named = new Map<string, Level>();
  readonly #known = new Set<string>();

  /** Throws what is wrong with it. */
  constructor(spec = "info") {
    this.#apply(parseSpec(spec));
  }

  /** All of it or nothing; throws what is wrong with it. `NAME=` takes back what was said of one. */
  set(spec: string): void {
    const changes = parseSpec(spec);
    const stranger = changes.find(([name]) => name !== "" && !this.#known.has(name) && !this.#named.has(name));
    if (stranger) {
      const known = [...this.#known].toSorted().join(", ") || "none yet";
      throw new Error(`nothing here is called ${JSON.stringify(stranger[0])}; there are: ${known}`);
    }
    this.#apply(changes);
  }

  /** Logs more (-1) or less (+1) of everything that has no level of its own. */
  shift(by: 1 | -1): Level {
    const at = LEVELS.indexOf(this.#default) + by;
    this.#default = LEVELS[Math.max(0, Math.min(at, LEVELS.length - 1))] ?? this.#default;
    return this.#default;
  }

  report(): LevelsReport {
    return {
      default: this.#default,
      components: Object.fromEntries(this.#named),
      known: [...this.#known].toSorted(),
    };
  }

  /** Of names from the outermost to the innermost. */
  of(names: readonly string[]): Level {
    return this.#named.get(names.findLast((n) => this.#named.has(n)) ?? "") ?? this.#default;
  }

  logs(names: readonly string[], level: Level): boolean {
    return LEVELS.indexOf(level) >= LEVELS.indexOf(this.of(names));
  }

  /** From here on it can be named. */
  know(name: string): void {
    this.#known.add(name);
  }

  #apply(changes: readonly Change[]): void {
    for (const [name, level] of changes) {
      if (name === "") this.#default = level ?? "info";
      else if (level) this.#named.set(name, level);
      else this.#named.delete(name);
    }
  }
}

type Change = readonly [name: string, level: Level | undefined];

function parseSpec(spec: string): readonly Change[] {
  return spec
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "")
    .map((part): Change => {
      const [, name = "", text = ""] = /^(?:([^=]*)=)?(.*)$/.exec(part) ?? [];
      const level = LEVELS.find((l) => l === text.toLowerCase());
      if (!level && (name === "" || text !== "")) {
        throw new Error(`${JSON.stringify(part)} is no log level; write one of ${LEVELS.join(", ")}, or NAME=LEVEL`);
      }
      return [own(ALIASES, name) ?? name, level];
    });
}

/** JSON, one object a line, to `to`. */
export function openLogger(levels: LogLevels, to: DestinationStream): Logger {
  return new LeveledLogger(
    levels,
    () => pino({ level: "debug", base: null, timestamp: stdTimeFunctions.isoTime }, to),
    [],
  );
}

const NAMING = ["component", "controller"] as const;

/** Asks for its level at every line, so that a change counts at once. What is never written is never prepared. */
class LeveledLogger implements Logger {
  readonly #levels: LogLevels;
  readonly #open: () => Pino;
  readonly #names: readonly string[];
  #pino: Pino | undefined;

  constructor(levels: LogLevels, open: () => Pino, names: readonly string[]) {
    this.#levels = levels;
    this.#open = open;
    this.#names = names;
  }

  debug(fields: object, message: string): void {
    this.#write("debug", fields, message);
  }

  info(fields: object, message: string): void {
    this.#write("info", fields, message);
  }

  warn(fields: object, message: string): void {
    this.#write("warn", fields, message);
  }

  error(fields: object, message: string): void {
    this.#write("error", fields, message);
  }

  child(fields: object): Logger {
    const own = NAMING.flatMap((key) => ((fields as Record<string, unknown>)[key] as string | undefined) ?? []);
    for (const name of own) this.#levels.know(name);
    return new LeveledLogger(this.#levels, () => this.#out().child(fields), [...this.#names, ...own]);
  }

  #write(level: Exclude<Level, "silent">, fields: object, message: string): void {
    if (this.#levels.logs(this.#names, level)) this.#out()[level](fields, message);
  }

  #out(): Pino {
    this.#pino ??= this.#open();
    return this.#pino;
  }
}

/** SIGUSR1: more is logged; SIGUSR2: less. Returns how to stop listening. */
export function levelBySignals(level: LogLevels, log: Logger): Disposable {
  const change = (by: 1 | -1) => () => log.warn({ level: level.shift(by) }, "log level changed");
  const [more, less] = [change(-1), change(1)];
  process.on("SIGUSR1", more).on("SIGUSR2", less);
  return { [Symbol.dispose]: () => void process.off("SIGUSR1", more).off("SIGUSR2", less) };
}
