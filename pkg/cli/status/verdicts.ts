/** What is wrong with a cluster and what to do, in words, from what was collected of it. Pure. */
import { humanDuration } from "../../api/duration.ts";
import { own } from "../../util/keys.ts";
import type { Certificate, ClusterFacts, LeaderFacts, NodeFacts, StoreFacts, StoreMemberFacts } from "./facts.ts";

/** `trouble` wants somebody to act; a `note` is worth knowing. */
export interface Verdict {
  readonly severity: "trouble" | "note";
  readonly text: string;
}

const trouble = (text: string): Verdict => ({ severity: "trouble", text });
const note = (text: string): Verdict => ({ severity: "note", text });

const PROGRAMS: Readonly<Record<string, { readonly does: string; readonly program: string }>> = {
  "kube-scheduler": { does: "new Pods get no node", program: "mini-kube-scheduler" },
  "kube-controller-manager": {
    does: "nothing is replaced, scaled or cleaned up",
    program: "mini-kube-controller-manager",
  },
};
/** A lease may be renewed late; beyond this many times its length nobody has it. */
const LEASES_LATE = 3;
/** Of its life: what renews itself has done so long before. */
const NEARLY_OVER = 0.1;
/** So long the node of `mini-kube up` may take, on a busy machine. */
const STARTING_MS = 15_000;
/** A Pod that waits this long waits for something. */
const WAITING_MS = 5 * 60_000;
/** Beyond this, certificates and tokens are misjudged. */
const SKEW_MS = 30_000;
/** etcd's own limit, unless it is told another. */
const ETCD_QUOTA = 2 * 1024 ** 3;
const NEARLY_FULL = 0.8;

/** Trouble first. */
export function verdictsOf(f: ClusterFacts): readonly Verdict[] {
  const now = Date.parse(f.now);
  const all = [
    ...f.apiServers.flatMap((s) => apiServer(s)),
    ...f.leaders.flatMap((l) => leader(l, now)),
    ...missingLeaders(f),
    ...(f.store ? store(f.store) : []),
    ...nodes(f, now),
    ...f.certificates.flatMap((c) => certificate(c, now)),
    ...waiting(f, now),
    ...skew(f.aheadMs),
    ...notKnown(f.unknown),
  ];
  return [...all.filter((v) => v.severity === "trouble"), ...all.filter((v) => v.severity === "note")];
}

function apiServer({ address, failed, error }: ClusterFacts["apiServers"][number]): Verdict[] {
  // The others hear of it, or it would not be listed: from here there may be no way to it.
  if (error !== undefined) {
    return [note(`the API server at ${address} does not answer from here: ${error}; if it is down, others serve`)];
  }
  return failed.map((check) =>
    trouble(
      check === "store"
        ? `the API server at ${address} does not reach its store: no write is possible through it; see that etcd runs and has its majority`
        : `the API server at ${address} is not ready: its check ${check} fails; its log says why`,
    ),
  );
}

function leader(l: LeaderFacts, now: number): Verdict[] {
  const { does = "its work is not done", program = l.name } = own(PROGRAMS, l.name) ?? {};
  const start = `see that a ${program} runs (journalctl -u ${program})`;
  if (l.holder === undefined) return [trouble(`nobody leads ${l.name}: ${does}; ${start}`)];
  const silentMs = now - Date.parse(l.renewedAt ?? "");
  if (silentMs <= l.leaseSeconds * 1000 * LEASES_LATE) return [];
  return [trouble(`${l.holder}, who led ${l.name}, has been silent for ${humanDuration(silentMs)}: ${does}; ${start}`)];
}

/** A Lease is there from the first start on; without any, the part never ran, or runs beside the server without one. */
function missingLeaders({ leaders, inProcess, unknown }: ClusterFacts): Verdict[] {
  if (unknown.some((u) => u.what === "leaders")) return [];
  return Object.entries(PROGRAMS)
    .filter(([name]) => !inProcess.includes(name) && !leaders.some((l) => l.name === name))
    .map(([name, { does, program }]) => trouble(`no ${name} has ever run: ${does}; start one: ${program} --help`));
}

function store(s: StoreFacts): Verdict[] {
  const { members } = s;
  const lost = members.filter((m) => !m.healthy);
  const quorum = Math.floor(members.length / 2) + 1;
  const well = members.length - lost.length;
  const rest =
    well < quorum
      ? `${well} of ${members.length} are left and ${quorum} are needed: nothing can be written until one is back`
      : well === quorum && lost.length > 0
        ? `the other ${well} go on, but none of them may be lost: bring it back, or replace it (etcdctl member remove, member add)`
        : "the others go on: bring it back, or replace it (etcdctl member remove, member add)";
  const versions = [...new Set(members.filter((m) => m.healthy).map((m) => m.version))];
  return [
    ...(lost.length === 0 ? [] : [trouble(`etcd's ${lost.map(ailing).join(", ")}; ${rest}`)]),
    ...members.flatMap((m) => m.alarms.map((alarm) => trouble(alarmText(alarm, m.name)))),
    ...(members.length > 0 && lost.length === 0 && !members.some((m) => m.leader)
      ? [trouble("etcd has no leader: nothing can be written; see that its members reach each other")]
      : []),
    ...(versions.length > 1 ? [note(`etcd's members are of different versions: ${versions.join(", ")}`)] : []),
    ...(members.length > 0 && members.length % 2 === 0
      ? [note(`etcd has ${members.length} members: one more, or one less, would bear the loss of as many`)]
      : []),
    ...(s.kind === "etcd" && s.inUseBytes > ETCD_QUOTA * NEARLY_FULL
      ? [
          note(
            "the store is nearly full: etcd takes no writes beyond its --quota-backend-bytes (2 GiB unless it is set)",
          ),
        ]
      : []),
  ];
}

/** Who never answered has told no name. Of gRPC's words those that say something. */
function ailing(m: StoreMemberFacts): string {
  const called = m.name === m.endpoint ? m.name : `${m.name} (${m.endpoint})`;
  const why = (m.error ?? "no answer").replaceAll(
    /\b(Error: |\d+ [A-Z_]+: |No connection established\. Last error: )/g,
    "",
  );
  return `member ${called} is not well: ${why.replace(/\.? *Resolution note:.*$/, "")}`;
}

function alarmText(alarm: string, member: string): string {
  if (alarm === "NOSPACE") {
    return `etcd member ${member} is full (alarm NOSPACE) and takes no writes: delete what is not needed, or raise its --quota-backend-bytes; freed space is given back by itself`;
  }
  return `etcd member ${member} raised the alarm ${alarm}: stop it, and restore it from the others or from a backup (mini-kube restore --help)`;
}

const isNew = ({ apiServers }: ClusterFacts, now: number) =>
  apiServers.length > 0 && apiServers.every(({ startedAt }) => now - Date.parse(startedAt ?? "") < STARTING_MS);

function nodes(f: ClusterFacts, now: number): Verdict[] {
  if (f.nodes.length === 0 && !f.unknown.some((u) => u.what === "nodes")) {
    if (isNew(f, now)) return [note("no node has joined yet: the cluster has just started")];
    return [trouble("no node has joined: no Pod can run; see: mini-kube token create --print-join-command")];
  }
  return f.nodes.flatMap((n) => [...readiness(n, now), ...pressures(n), ...oddities(n, f.version)]);
}

function readiness(n: NodeFacts, now: number): Verdict[] {
  if (n.ready === "True") return [];
  if (n.ready === "False") {
    return [
      trouble(`node ${n.name} is not ready: ${n.why ?? "it does not say why"}; see: mini-kube describe node ${n.name}`),
    ];
  }
  const since = n.heardAt === undefined ? "ever" : `for ${humanDuration(now - Date.parse(n.heardAt))}`;
  return [
    trouble(
      `node ${n.name} has not been heard of ${since}: its Pods are replaced elsewhere; look at that machine: is it on, is there a way to it, does mini-kube-agent run (journalctl -u mini-kube-agent)? If it is gone for good: mini-kube node remove ${n.name} --force`,
    ),
  ];
}

const SHORT_OF: Readonly<Record<string, string>> = {
  MemoryPressure: "memory: Pods are evicted, those that use more than they asked for first; see: mini-kube top pods -A",
  DiskPressure: "disk space: unused images go, then Pods; make room there",
  PIDPressure: "process ids: a Pod makes too many processes",
};

function pressures(n: NodeFacts): Verdict[] {
  return n.pressures.map((p) => {
    const what = own(SHORT_OF, p);
    return trouble(
      what === undefined
        ? `node ${n.name} has ${p}; see: mini-kube describe node ${n.name}`
        : `node ${n.name} is short of ${what}`,
    );
  });
}

function oddities(n: NodeFacts, version: string): Verdict[] {
  return [
    ...(n.unschedulable ? [note(`node ${n.name} takes no new Pods: mini-kube uncordon ${n.name} lets it`)] : []),
    ...(n.version === version ? [] : [note(`node ${n.name} runs ${n.version}, the API server ${version}`)]),
  ];
}

function certificate({ of, from, until }: Certificate, now: number): Verdict[] {
  const [begins, ends] = [Date.parse(from), Date.parse(until)];
  const day = until.slice(0, 10);
  if (now >= ends)
    return [trouble(`the certificate of ${of} expired on ${day}: nobody believes it any more; ${renewal(of)}`)];
  if (now < begins) return [trouble(`the certificate of ${of} is valid from ${from} on only: is a clock wrong?`)];
  if (ends - now > (ends - begins) * NEARLY_OVER) return [];
  return [trouble(`the certificate of ${of} expires in ${humanDuration(ends - now)}, on ${day}; ${renewal(of)}`)];
}

function renewal(of: string): string {
  if (/\bCA\b/.test(of)) return "a new one has to be made, and all certificates with it (mini-kube pki --help)";
  if (of.startsWith("you"))
    return "get a new kubeconfig (mini-kube pki init makes one; mini-kube up does at its start)";
  return "it renews itself while its program runs: restart that, and read its log";
}

function waiting({ waiting: w }: ClusterFacts, now: number): Verdict[] {
  const ms = w ? now - Date.parse(w.since) : 0;
  if (!w || ms < WAITING_MS) return [];
  const pods = w.count === 1 ? "a Pod waits" : `${w.count} Pods wait`;
  return [
    note(
      `${pods} for a node, for up to ${humanDuration(ms)}; why is told by: mini-kube get events -A --field-selector reason=FailedScheduling`,
    ),
  ];
}

/** One reason is said once. */
function notKnown(unknown: ClusterFacts["unknown"]): Verdict[] {
  const reasons = [...new Set(unknown.map((u) => u.why))];
  return reasons.map((why) => {
    const what = unknown.filter((u) => u.why === why).map((u) => u.what);
    return note(`${what.join(", ")} could not be asked for: ${why}`);
  });
}

function skew(aheadMs: number): Verdict[] {
  if (Math.abs(aheadMs) < SKEW_MS) return [];
  const side = aheadMs > 0 ? "ahead of" : "behind";
  return [
    note(
      `the clock of this machine is ${humanDuration(Math.abs(aheadMs))} ${side} the server's: let both ask a time server`,
    ),
  ];
}
