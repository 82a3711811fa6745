import { toleratesAny } from "../../api/tolerations.ts";
import { pass, reject, type SchedulerPlugin } from "../framework.ts";

const VERDICT = reject("node(s) were unschedulable", false);
const CORDON = { key: "node.kubernetes.io/unschedulable", effect: "NoSchedule" };

/** A cordoned node takes only Pods that tolerate the taint a cordon stands for. */
export const nodeUnschedulable: SchedulerPlugin<boolean> = {
  name: "NodeUnschedulable",
  local: true,
  wakeOn: ["NodeAdded", "NodeTaintsChanged"],
  prepare: ({ pod }, { tainted }) => (tainted === 0 || toleratesAny(pod.spec?.tolerations, CORDON) ? "skip" : true),
  filter: (_, { node }) => (node.spec?.unschedulable ? VERDICT : pass),
};
