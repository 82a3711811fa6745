import { pass, reject, type SchedulerPlugin } from "../framework.ts";

const VERDICT = reject("node(s) didn't have free ports for the requested pod ports", true);

/** Host ports: one Pod per node, protocol, port and address. */
export const nodePorts: SchedulerPlugin<true> = {
  name: "NodePorts",
  local: true,
  wakeOn: ["NodeAdded", "PodGone"],
  prepare: ({ ports }) => (ports.length > 0 ? true : "skip"),
  filter: ({ ports }, node) => (node.portsTaken(ports) ? VERDICT : pass),
};
