/** What happens to a machine while its programs go on. */
import type { Fault } from "../fault.ts";
import { pause } from "../workload.ts";

const HOUR_S = 3600;

const clock = (name: string, what: string, offset: number): Fault => ({
  name,
  what,
  hold: [5, 10],
  limit: 30,
  inject: async (m, dice) => {
    const host = dice.pick(m.all);
    await m.setClock(host, offset);
    return { detail: host.name, heal: () => m.setClock(host, 0) };
  },
});

export const machineFaults: readonly Fault[] = [
  {
    name: "dockerd-killed",
    what: "kill -9 of one machine's dockerd, started again; its containers go on",
    hold: [1, 4],
    limit: 30,
    inject: async (m, dice) => {
      const host = dice.pick(m.all);
      await host.docker.down("SIGKILL");
      return { detail: host.name, heal: () => host.docker.up() };
    },
  },
  {
    name: "dockerd-restarted",
    what: "one machine's dockerd stopped in order, which ends its containers, and started again",
    hold: [1, 4],
    limit: 45,
    inject: async (m, dice) => {
      const host = dice.pick(m.all);
      await host.docker.down("SIGTERM");
      return { detail: host.name, heal: () => host.docker.up() };
    },
  },
  clock("clock-ahead", "the clock of one machine jumps an hour ahead, and back", HOUR_S),
  clock("clock-behind", "the clock of one machine jumps an hour back, and ahead", -HOUR_S),
  {
    name: "connections-cut",
    what: "all TCP connections of all machines are reset, again and again: watches, leases, etcd's streams",
    hold: [0, 1],
    limit: 20,
    inject: async (m, dice) => {
      for (let times = 0; times < 5; times++) {
        await Promise.all(m.all.map((host) => host.runOk("ss", ["-K", "-t", "state", "established"])));
        await pause(200 + 1000 * dice.random());
      }
      return { detail: "all", heal: () => {} };
    },
  },
];
