/** What was collected, and what is to be said of it, for people. Pure. */
import { humanDuration } from "../../api/duration.ts";
import { humanSize } from "../commands/images.ts";
import type { Paint } from "../io.ts";
import type { Certificate, ClusterFacts, NodeFacts, StoreFacts } from "./facts.ts";
import type { Verdict } from "./verdicts.ts";

const LABEL = 14;
/** More are counted. */
const MAX_NODES = 20;
const NO_PAINT: Paint = (_, text) => text;

/** `  label       text`, the label once. */
function section(label: string, lines: readonly string[]): string[] {
  return lines.map((line, i) => `  ${(i === 0 ? label : "").padEnd(LABEL)}${line}`.trimEnd());
}

/** Rows whose cells stand below each other. */
function columns(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, cell.length)));
  return rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}

/** The parts of it, without a heading. */
export function factLines(f: ClusterFacts): readonly string[] {
  const now = Date.parse(f.now);
  const ago = (time: string) => `${humanDuration(Math.max(0, now - Date.parse(time)))} ago`;
  const servers = f.apiServers.map((s) => [
    s.address,
    s.error === undefined
      ? s.failed.length === 0
        ? "ready"
        : `not ready: ${s.failed.join(", ")}`
      : "no answer from here",
    s.version ?? "",
    s.startedAt === undefined ? "" : `up ${humanDuration(now - Date.parse(s.startedAt))}`,
  ]);
  const leaders = f.leaders.map((l) => [
    l.name,
    l.holder ?? "nobody",
    l.renewedAt === undefined ? "" : `renewed ${ago(l.renewedAt)}`,
  ]);
  const shown = [...f.nodes].toSorted((a, b) => rank(a) - rank(b)).slice(0, MAX_NODES);
  const hidden = f.nodes.length - shown.length;
  return [
    ...section("API servers", columns(servers)),
    ...section("in process", f.inProcess.length > 0 ? [f.inProcess.join(", ")] : []),
    ...section("leaders", columns(leaders)),
    ...(f.store ? section("state", storeLines(f.store)) : []),
    ...section("nodes", [
      ...columns(shown.map((n) => nodeRow(n, ago))),
      ...(hidden > 0 ? [`and ${hidden} more that are ready`] : []),
    ]),
    ...section("Pods", [`${counted(f.pods)}; ${f.images} ${f.images === 1 ? "image" : "images"} on the nodes`]),
    ...section("certificates", certificateLines(f.certificates, now)),
  ];
}

/** Those one should look at first. */
const rank = (n: NodeFacts) => (n.ready === "True" ? (n.pressures.length > 0 ? 1 : 2) : 0);

function nodeRow(n: NodeFacts, ago: (time: string) => string): string[] {
  const state = { True: "ready", False: "not ready", Unknown: "silent" }[n.ready];
  return [
    n.name,
    [state, ...n.pressures, ...(n.unschedulable ? ["takes no Pods"] : [])].join(", "),
    n.heardAt === undefined ? "never heard of" : `heard of ${ago(n.heardAt)}`,
    n.version,
    `${n.pods} ${n.pods === 1 ? "Pod" : "Pods"}`,
  ];
}

function storeLines(s: StoreFacts): string[] {
  const size = `${s.kind}, ${humanSize(s.sizeBytes)} of which ${humanSize(s.inUseBytes)} are in use`;
  const rows = s.members.map((m) => [
    m.name === m.endpoint ? "" : m.name,
    m.endpoint,
    m.healthy ? (m.leader ? "leader" : "follows") : "not well",
    m.version,
    humanSize(m.dbSize),
    m.alarms.join(", "),
  ]);
  return [size, ...columns(rows)];
}

function counted(pods: ClusterFacts["pods"]): string {
  const all = Object.entries(pods).toSorted(([, a], [, b]) => b - a);
  return all.length === 0 ? "none" : all.map(([phase, n]) => `${n} ${phase}`).join(", ");
}

/** Those that are nearly over are told by verdicts; of the others the first to end is enough. */
function certificateLines(certificates: readonly Certificate[], now: number): string[] {
  const [first] = certificates.toSorted((a, b) => (a.until < b.until ? -1 : 1));
  if (!first) return [];
  const left = Date.parse(first.until) - now;
  const how = left > 0 ? `in ${humanDuration(left)}` : "over";
  return [`${certificates.length}, the first to end on ${first.until.slice(0, 10)} (${how}): ${first.of}`];
}

/** One line if all is well. */
export function verdictLines(verdicts: readonly Verdict[], paint: Paint = NO_PAINT): readonly string[] {
  const lines = verdicts.map(({ severity, text }) =>
    severity === "trouble" ? `${paint("red", "trouble:")} ${text}` : `${paint("yellow", "note:")} ${text}`,
  );
  const well = verdicts.every((v) => v.severity !== "trouble");
  return well ? [...lines, paint("green", "all is well")] : lines;
}
