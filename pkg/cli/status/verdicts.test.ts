import { describe, expect, test } from "@jest/globals";
import type { ClusterFacts, NodeFacts, StoreMemberFacts } from "./facts.ts";
import { factLines, verdictLines } from "./print.ts";
import { verdictsOf } from "./verdicts.ts";

const NOW = Date.parse("2026-06-01T12:00:00Z");
const DAY = 86_400_000;
const time = (ms: number) => new Date(NOW + ms).toISOString();

const node = (o: Partial<NodeFacts> = {}): NodeFacts => ({
  name: "w1",
  ready: "True",
  heardAt: time(-2_000),
  version: "v1.36.0",
  pressures: [],
  unschedulable: false,
  pods: 3,
  ...o,
});

const member = (name: string, o: Partial<StoreMemberFacts> = {}): StoreMemberFacts => ({
  name,
  endpoint: `${name}:2379`,
  leader: name === "e1",
  version: "3.5.16",
  dbSize: 25_000_000,
  alarms: [],
  healthy: true,
  ...o,
});
const store = (...members: StoreMemberFacts[]) => ({ kind: "etcd", sizeBytes: 25e6, inUseBytes: 12e6, members });
const lease = (name: string, o: object = {}) => ({
  name,
  holder: "m1_4711",
  renewedAt: time(-1_000),
  leaseSeconds: 3,
  ...o,
});

const facts = (o: Partial<ClusterFacts> = {}): ClusterFacts => ({
  now: time(0),
  aheadMs: 0,
  server: "https://10.0.0.1:6443",
  version: "v1.36.0",
  inProcess: [],
  apiServers: [{ address: "10.0.0.1:6443", version: "v1.36.0", startedAt: time(-DAY), failed: [] }],
  leaders: [lease("kube-scheduler"), lease("kube-controller-manager")],
  store: store(member("e1"), member("e2"), member("e3")),
  nodes: [node()],
  pods: { Running: 3 },
  images: 2,
  certificates: [{ of: "node w1's agent", from: time(-DAY), until: time(300 * DAY) }],
  unknown: [],
  ...o,
});

const told = (o: Partial<ClusterFacts>) => verdictsOf(facts(o)).map((v) => `${v.severity}: ${v.text}`);

test("of a cluster that is well nothing is said", () => {
  expect(told({})).toEqual([]);
  expect(verdictLines([])).toEqual(["all is well"]);
});

describe("what is wrong is said, with what to do", () => {
  const lost = {
    healthy: false,
    error:
      "Error: 14 UNAVAILABLE: No connection established. Last error: Error: connect ECONNREFUSED. Resolution note: ",
  };
  test.each<[string, Partial<ClusterFacts>, string[]]>([
    [
      "a node that is silent",
      { nodes: [node({ name: "w2", ready: "Unknown", heardAt: time(-40_000) })] },
      [
        "trouble: node w2 has not been heard of for 40s: its Pods are replaced elsewhere; look at that machine: is it on, is there a way to it, does mini-kube-agent run (journalctl -u mini-kube-agent)? If it is gone for good: mini-kube node remove w2 --force",
      ],
    ],
    [
      "a node that says why",
      { nodes: [node({ ready: "False", why: "the container runtime does not answer" })] },
      ["trouble: node w1 is not ready: the container runtime does not answer; see: mini-kube describe node w1"],
    ],
    [
      "a node without room",
      { nodes: [node({ pressures: ["DiskPressure"] })] },
      ["trouble: node w1 is short of disk space: unused images go, then Pods; make room there"],
    ],
    [
      "no node",
      { nodes: [] },
      ["trouble: no node has joined: no Pod can run; see: mini-kube token create --print-join-command"],
    ],
    [
      "no node, of a cluster that has just started",
      {
        nodes: [],
        apiServers: [{ address: "10.0.0.1:6443", version: "v1.36.0", startedAt: time(-2_000), failed: [] }],
      },
      ["note: no node has joined yet: the cluster has just started"],
    ],
    [
      "a node that takes nothing, of another version",
      { nodes: [node({ unschedulable: true, version: "v1.35.0" })] },
      [
        "note: node w1 takes no new Pods: mini-kube uncordon w1 lets it",
        "note: node w1 runs v1.35.0, the API server v1.36.0",
      ],
    ],
    [
      "one of three members",
      { store: store(member("e1"), member("e2"), member("e3", lost)) },
      [
        "trouble: etcd's member e3 (e3:2379) is not well: connect ECONNREFUSED; the other 2 go on, but none of them may be lost: bring it back, or replace it (etcdctl member remove, member add)",
      ],
    ],
    [
      "two of three members",
      { store: store(member("e1", { leader: false }), member("e2", lost), member("e3", lost)) },
      [
        "trouble: etcd's member e2 (e2:2379) is not well: connect ECONNREFUSED, member e3 (e3:2379) is not well: connect ECONNREFUSED; 1 of 3 are left and 2 are needed: nothing can be written until one is back",
      ],
    ],
    [
      "a full member",
      { store: store(member("e1", { alarms: ["NOSPACE"] })) },
      [
        "trouble: etcd member e1 is full (alarm NOSPACE) and takes no writes: delete what is not needed, or raise its --quota-backend-bytes; freed space is given back by itself",
      ],
    ],
    [
      "no leader among members",
      { store: store(member("e1", { leader: false })) },
      ["trouble: etcd has no leader: nothing can be written; see that its members reach each other"],
    ],
    [
      "an even number of members, of two versions",
      { store: store(member("e1"), member("e2", { version: "3.4.23" })) },
      [
        "note: etcd's members are of different versions: 3.5.16, 3.4.23",
        "note: etcd has 2 members: one more, or one less, would bear the loss of as many",
      ],
    ],
    [
      "a leader that is silent, and none",
      {
        leaders: [
          lease("kube-scheduler", { renewedAt: time(-60_000) }),
          { name: "kube-controller-manager", leaseSeconds: 3 },
        ],
      },
      [
        "trouble: m1_4711, who led kube-scheduler, has been silent for 60s: new Pods get no node; see that a mini-kube-scheduler runs (journalctl -u mini-kube-scheduler)",
        "trouble: nobody leads kube-controller-manager: nothing is replaced, scaled or cleaned up; see that a mini-kube-controller-manager runs (journalctl -u mini-kube-controller-manager)",
      ],
    ],
    [
      "a scheduler that never was, beside controllers in the server's process",
      { leaders: [], inProcess: ["kube-controller-manager"] },
      ["trouble: no kube-scheduler has ever run: new Pods get no node; start one: mini-kube-scheduler --help"],
    ],
    [
      "leaders nobody could ask for",
      { leaders: [], unknown: [{ what: "leaders", why: "forbidden" }] },
      ["note: leaders could not be asked for: forbidden"],
    ],
    [
      "an API server without its store",
      { apiServers: [{ address: "10.0.0.1:6443", failed: ["store"] }] },
      [
        "trouble: the API server at 10.0.0.1:6443 does not reach its store: no write is possible through it; see that etcd runs and has its majority",
      ],
    ],
    [
      "an API server out of reach",
      { apiServers: [{ address: "10.0.0.2:6443", failed: [], error: "no connection within 3 s" }] },
      [
        "note: the API server at 10.0.0.2:6443 does not answer from here: no connection within 3 s; if it is down, others serve",
      ],
    ],
    [
      "certificates that end",
      {
        certificates: [
          { of: "node w1's agent", from: time(-DAY), until: time(-1) },
          { of: "your CA", from: time(-3000 * DAY), until: time(100 * DAY) },
          { of: "your kubeconfig", from: time(-300 * DAY), until: time(20 * DAY) },
          { of: "x", from: time(DAY), until: time(20 * DAY) },
        ],
      },
      [
        "trouble: the certificate of node w1's agent expired on 2026-06-01: nobody believes it any more; it renews itself while its program runs: restart that, and read its log",
        "trouble: the certificate of your CA expires in 100d, on 2026-09-09; a new one has to be made, and all certificates with it (mini-kube pki --help)",
        "trouble: the certificate of your kubeconfig expires in 20d, on 2026-06-21; get a new kubeconfig (mini-kube pki init makes one; mini-kube up does at its start)",
        "trouble: the certificate of x is valid from 2026-06-02T12:00:00.000Z on only: is a clock wrong?",
      ],
    ],
    [
      "Pods that wait long",
      { waiting: { count: 2, since: time(-10 * 60_000) } },
      [
        "note: 2 Pods wait for a node, for up to 10m; why is told by: mini-kube get events -A --field-selector reason=FailedScheduling",
      ],
    ],
    ["Pods that have only just come", { waiting: { count: 2, since: time(-1_000) } }, []],
    [
      "a wrong clock",
      { aheadMs: -90_000 },
      ["note: the clock of this machine is 90s behind the server's: let both ask a time server"],
    ],
  ])("%s", (_, o, expected) => expect(told(o)).toEqual(expected));

  test("trouble stands before notes, and ends the program with failure", () => {
    const verdicts = verdictsOf(facts({ aheadMs: 90_000, nodes: [], pods: {} }));
    expect(verdicts.map((v) => v.severity)).toEqual(["trouble", "note"]);
    expect(verdictLines(verdicts).at(-1)).toMatch(/^note: the clock/);
  });
});

describe("what is shown", () => {
  test("a cluster of several machines", () => {
    const nodes = [node(), node({ name: "w2", ready: "Unknown", heardAt: time(-40_000), pods: 1 })];
    expect(`\n${factLines(facts({ nodes, pods: { Running: 12, Pending: 1 } })).join("\n")}\n`).toBe(`
  API servers   10.0.0.1:6443  ready  v1.36.0  up 24h
  leaders       kube-scheduler           m1_4711  renewed 1s ago
                kube-controller-manager  m1_4711  renewed 1s ago
  state         etcd, 25MB of which 12MB are in use
                e1  e1:2379  leader   3.5.16  25MB
                e2  e2:2379  follows  3.5.16  25MB
                e3  e3:2379  follows  3.5.16  25MB
  nodes         w2  silent  heard of 40s ago  v1.36.0  1 Pod
                w1  ready   heard of 2s ago   v1.36.0  3 Pods
  Pods          12 Running, 1 Pending; 2 images on the nodes
  certificates  1, the first to end on 2027-03-28 (in 300d): node w1's agent
`);
  });

  test("of very many nodes those first that one should look at", () => {
    const nodes = Array.from({ length: 100 }, (_, i) => node({ name: `n${i}`, ready: i === 77 ? "False" : "True" }));
    const lines = factLines(facts({ nodes }));
    expect(lines.find((l) => l.includes("nodes"))).toMatch(/nodes {9}n77 +not ready/);
    expect(lines.some((l) => l.includes("and 80 more that are ready"))).toBe(true);
  });
});
