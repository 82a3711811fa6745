/** The table of docs/faults.md. */
import { execFileSync } from "node:child_process";
import { cpus, loadavg, totalmem } from "node:os";
import { median } from "../bench/report.ts";
import { faults } from "./faults.ts";
import type { Trial } from "./trial.ts";

const BEGIN = "<!-- written by npm run test:faults -->";
const END = "<!-- end -->";

/** The page with the table of a run in place of the one before. */
export function withTable(page: string, trials: readonly Trial[], left: readonly string[]): string {
  const [from, to] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (from < 0 || to < from) throw new Error("docs/faults.md has lost the marks around its table");
  const text = [where(trials), table(trials), ending(trials, left)].join("\n\n");
  return `${page.slice(0, from + BEGIN.length)}\n\n${text}\n\n${page.slice(to)}`;
}

export function table(trials: readonly Trial[]): string {
  const head = ["fault", "what", "outcome", "writes paused", "replicas back", "whole again", "limit", "calls judged"];
  const rows = faults.flatMap(({ name, what, limit }) => {
    const all = trials.filter((t) => t.fault === name);
    if (all.length === 0) return [];
    const good = all.filter((t) => t.problems.length === 0).length;
    const seconds = (of: (t: Trial) => number | undefined) => {
      const known = all.flatMap((t) => of(t) ?? []);
      return known.length === 0 ? "never" : `${(median(known) / 1000).toFixed(1)} s`;
    };
    const calls = all.reduce((n, t) => n + t.calls.ok + t.calls.unknown, 0);
    return [
      [
        `\`${name}\``,
        what,
        good === all.length ? `held ${good}/${all.length}` : `**broke ${all.length - good}/${all.length}**`,
        seconds((t) => t.writePauseMs),
        seconds((t) => t.weakMs),
        seconds((t) => t.wholeMs),
        `${limit} s`,
        String(calls),
      ],
    ];
  });
  return [head, head.map(() => "---"), ...rows].map((row) => `| ${row.join(" | ")} |`).join("\n");
}

function where(trials: readonly Trial[]): string {
  const [cpu] = cpus();
  const etcd = /etcd Version: (\S+)/.exec(execFileSync("etcd", ["--version"], { encoding: "utf8" }))?.[1];
  const docker = /version ([^,\s]+)/.exec(execFileSync("dockerd", ["--version"], { encoding: "utf8" }))?.[1];
  const seeds = [...new Set(trials.map((t) => t.seed))].join(", ");
  const machine = `${cpus().length} × ${cpu?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GB`;
  const day = new Date().toISOString().slice(0, 10);
  const load = `load average at its end ${Math.round(loadavg()[2] ?? 0)}`;
  return `${day}, ${machine}, ${load}; Node ${process.version}, etcd ${etcd}, Docker ${docker}; seeds ${seeds}. Medians.`;
}

function ending(trials: readonly Trial[], left: readonly string[]): string {
  const problems = trials.flatMap((t) =>
    t.problems.map((p) => `- \`SEED=${t.seed}\` \`${t.fault}\` (${t.detail}): ${p}`),
  );
  const broken = problems.length === 0 ? [] : ["What broke:", "", ...problems, ""];
  const rest =
    left.length === 0
      ? [
          "After `mini-kube leave` on all machines nothing was left: no container, volume, network, table, route, link or mount.",
        ]
      : ["Left behind after `mini-kube leave`:", "", ...left.map((l) => `- ${l}`)];
  return [...broken, ...rest].join("\n");
}
