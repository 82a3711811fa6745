/** kill -9, and the same program started again. */
import type { EtcdMember } from "../../harness/etcd-members.ts";
import type { TestHost } from "../../harness/hosts.ts";
import type { Fault, Injected } from "../fault.ts";
import type { Machines } from "../machines.ts";

async function kill(m: Machines, all: readonly (TestHost | EtcdMember)[]): Promise<Injected> {
  await Promise.all(all.map((one) => m.kill(one)));
  return { detail: all.map((one) => one.name).join(", "), heal: () => all.forEach((one) => m.revive(one)) };
}

export const kills: readonly Fault[] = [
  {
    name: "kill-node",
    what: "kill -9 of mini-kube on one machine: API server, agent and network, perhaps leaders",
    hold: [1, 4],
    limit: 30,
    inject: (m, dice) => kill(m, [dice.pick(m.all)]),
  },
  {
    name: "kill-scheduler",
    what: "kill -9 of the leading scheduler's machine's mini-kube",
    hold: [1, 4],
    limit: 30,
    inject: (m) => kill(m, [m.leader("kube-scheduler")]),
  },
  {
    name: "kill-controllers",
    what: "kill -9 of the leading controller manager's machine's mini-kube",
    hold: [1, 4],
    limit: 30,
    inject: (m) => kill(m, [m.leader("kube-controller-manager")]),
  },
  {
    name: "kill-etcd-follower",
    what: "kill -9 of an etcd member that follows",
    hold: [2, 6],
    limit: 15,
    inject: async (m, dice) => {
      const leader = await m.etcd.leader();
      return kill(m, [dice.pick(m.etcd.all.filter((e) => e !== leader))]);
    },
  },
  {
    name: "kill-etcd-leader",
    what: "kill -9 of the etcd member that leads",
    hold: [2, 6],
    limit: 15,
    inject: async (m) => kill(m, [await m.etcd.leader()]),
  },
  {
    name: "kill-etcd-majority",
    what: "kill -9 of two etcd members of three",
    hold: [3, 8],
    limit: 30,
    inject: (m, dice) => {
      const spared = dice.pick(m.etcd.all);
      return kill(
        m,
        m.etcd.all.filter((e) => e !== spared),
      );
    },
  },
  {
    name: "kill-all",
    what: "kill -9 of everything at once: all etcd members, mini-kube on all machines",
    hold: [1, 3],
    limit: 45,
    inject: (m) => kill(m, [...m.etcd.all, ...m.all]),
  },
];
