/** Packets are dropped on the switch: nobody is told. */
import { cut, type Fault } from "../fault.ts";

export const partitions: readonly Fault[] = [
  {
    name: "partition-node",
    what: "one machine reaches nobody, and nobody reaches it",
    hold: [10, 14],
    limit: 30,
    inject: async (m, dice) => {
      const host = dice.pick(m.all);
      return { detail: host.name, without: host, heal: await cut(m, [host]) };
    },
  },
  {
    name: "partition-api-server",
    what: "one machine's API server reaches no etcd member; its clients reach it",
    hold: [6, 12],
    limit: 30,
    inject: async (m, dice) => {
      const host = dice.pick(m.all);
      return { detail: host.name, heal: await cut(m, [host], m.etcd.all) };
    },
  },
  {
    name: "partition-etcd-minority",
    what: "one etcd member reaches nobody",
    hold: [6, 12],
    limit: 20,
    inject: async (m, dice) => {
      const member = dice.pick(m.etcd.all);
      return { detail: member.name, heal: await cut(m, [member]) };
    },
  },
  {
    name: "partition-etcd-leader",
    what: "the etcd leader loses the other members; API servers still reach it",
    hold: [6, 12],
    limit: 20,
    inject: async (m) => {
      const leader = await m.etcd.leader();
      const others = m.etcd.all.filter((e) => e !== leader);
      return { detail: leader.name, heal: await cut(m, [leader], others) };
    },
  },
  {
    name: "partition-etcd-majority",
    what: "two etcd members of three reach nobody",
    hold: [4, 10],
    limit: 30,
    inject: async (m, dice) => {
      const spared = dice.pick(m.etcd.all);
      const lost = m.etcd.all.filter((e) => e !== spared);
      return { detail: lost.map((e) => e.name).join(", "), heal: await cut(m, lost) };
    },
  },
];
