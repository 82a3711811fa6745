import { pass, reject, type SchedulerPlugin } from "../framework.ts";

const VERDICT = reject("node(s) didn't match the requested node name", false);

/** A Pod that names its node goes nowhere else. */
export const nodeName: SchedulerPlugin<string> = {
  name: "NodeName",
  local: true,
  wakeOn: ["NodeAdded"],
  prepare: ({ pod }) => pod.spec?.nodeName || "skip",
  filter: (_, node, name) => (node.name === name ? pass : VERDICT),
};
