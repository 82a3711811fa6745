/** SIGSTOP: it takes connections, and does nothing more; then it goes on as if no time had passed. */
import type { Fault } from "../fault.ts";

export const freezes: readonly Fault[] = [
  {
    name: "freeze-node",
    what: "one machine frozen, containers and all, until its Pods run elsewhere; then thawed",
    hold: [10, 14],
    limit: 30,
    inject: async (m, dice) => {
      const host = dice.pick(m.all);
      const { thaw } = m.freeze(host);
      return { detail: host.name, without: host, heal: thaw };
    },
  },
  {
    name: "freeze-leader",
    what: "the leading controller manager's machine frozen for about as long as its Lease holds",
    hold: [1, 6],
    limit: 30,
    inject: async (m) => {
      const host = m.machineOf(m.leader("kube-controller-manager"));
      const { thaw } = m.freeze(host);
      return { detail: host.name, heal: thaw };
    },
  },
  {
    name: "freeze-etcd-leader",
    what: "the etcd leader frozen and thawed",
    hold: [4, 10],
    limit: 20,
    inject: async (m) => {
      const leader = await m.etcd.leader();
      leader.freeze();
      return { detail: leader.name, heal: () => leader.thaw() };
    },
  },
];
