import { makeKey, namespaceOf, type ObjectKey } from "../../api/object.ts";
import { claimsOf } from "../../api/volumes.ts";
import { pass, reject, type SchedulerPlugin } from "../framework.ts";
import type { Snapshot } from "../snapshot.ts";

const IN_USE = reject(
  "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode",
  true,
);

/** A claim of ReadWriteOncePod is one Pod's at a time, wherever that stands. */
export const volumeRestrictions: SchedulerPlugin<boolean> = {
  name: "VolumeRestrictions",
  wakeOn: ["PodGone"],
  prepare({ pod }, snapshot) {
    const keys = claimsOf(pod).map((c) => makeKey(namespaceOf(pod), c.claim));
    const single = keys.filter((key) => snapshot.volumes.claim(key)?.spec?.accessModes?.includes("ReadWriteOncePod"));
    return single.length === 0 ? "skip" : isUsed(new Set(single), snapshot);
  },
  filter: (_pod, _node, used) => (used ? IN_USE : pass),
};

function isUsed(keys: ReadonlySet<ObjectKey>, { nodes }: Snapshot): boolean {
  return nodes.some((node) =>
    [...node.pods.values()].some(({ pod }) => claimsOf(pod).some((c) => keys.has(makeKey(namespaceOf(pod), c.claim)))),
  );
}
