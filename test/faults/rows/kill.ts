/** kill -9, and the same program started again. */
import type { Dice } from "../../harness/dice.ts";
import type { ProgramName } from "../../harness/programs.ts";
import type { Fault, Injected } from "../fault.ts";
import type { Machines, Target } from "../machines.ts";

async function kill(m: Machines, all: readonly Target[]): Promise<Injected> {
  await Promise.all(all.map((one) => m.kill(one)));
  return { detail: all.map((one) => one.name).join(", "), heal: () => all.forEach((one) => m.revive(one)) };
}

const anyOf = (m: Machines, dice: Dice, program: ProgramName) =>
  dice.pick(m.programs.filter((p) => p.program === program));

export const kills: readonly Fault[] = [
  {
    name: "kill-api-server",
    what: "kill -9 of an API server; its clients stay with it",
    hold: [1, 4],
    limit: 15,
    inject: (m, dice) => kill(m, [anyOf(m, dice, "apiserver")]),
  },
  {
    name: "kill-scheduler",
    what: "kill -9 of the scheduler that leads",
    hold: [1, 4],
    limit: 15,
    inject: (m) => kill(m, [m.leader("kube-scheduler")]),
  },
  {
    name: "kill-controllers",
    what: "kill -9 of the controller manager that leads",
    hold: [1, 4],
    limit: 15,
    inject: (m) => kill(m, [m.leader("kube-controller-manager")]),
  },
  {
    name: "kill-agent",
    what: "kill -9 of an agent, with the network of its node; containers go on",
    hold: [1, 4],
    limit: 20,
    inject: (m, dice) => kill(m, [anyOf(m, dice, "agent")]),
  },
  {
    name: "kill-node",
    what: "kill -9 of all that mini-kube runs on one machine; containers go on",
    hold: [1, 4],
    limit: 30,
    inject: (m, dice) => kill(m, [dice.pick(m.all)]),
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
    what: "kill -9 of everything at once: all etcd members, all programs on all machines",
    hold: [1, 3],
    limit: 45,
    inject: (m) => kill(m, [...m.etcd.all, ...m.all]),
  },
];
