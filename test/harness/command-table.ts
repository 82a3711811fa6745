/** Tables of command lines with what each must say: read like a session at a terminal, run step by step. */
import type { Finished, RunOptions } from "./process.ts";

/**
 * The command line (words, quotes as in a shell), what stdout and stderr together must be or match, and the exit code
 * where it is not 0. A string must be all of stdout; `$NS` in either stands for the namespace.
 */
export type Step = readonly [command: string, says: string | RegExp, code?: number];

export interface Runner {
  readonly namespace: string;
  run(args: readonly string[], o?: RunOptions): Promise<Finished>;
}

/** Throws with everything the command said, where that is not what the step wants. */
export async function takeSteps(runner: Runner, steps: readonly Step[], o: RunOptions = {}): Promise<number> {
  for (const [command, says, code = 0] of steps) {
    const { namespace } = runner;
    const args = words(command.replaceAll("$NS", namespace));
    const done = await runner.run(args, o);
    const all = done.stdout + done.stderr;
    const fits =
      typeof says === "string"
        ? done.stdout === says.replaceAll("$NS", namespace)
        : new RegExp(says.source.replaceAll("\\$NS", namespace), says.flags).test(all);
    if (fits && done.code === code) continue;
    const wanted = typeof says === "string" ? JSON.stringify(says) : String(says);
    throw new Error(`kubectl ${args.join(" ")}\nexit code ${done.code} (not ${code}), wanted ${wanted}, said:\n${all}`);
  }
  return steps.length;
}

/** As a shell splits a line: blanks, '…' and "…"; nothing else is special. */
export function words(line: string): string[] {
  return [...line.matchAll(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g)].map(([word]) =>
    word.replace(/'([^']*)'|"([^"]*)"/g, (_, single?: string, double?: string) => single ?? double ?? ""),
  );
}
