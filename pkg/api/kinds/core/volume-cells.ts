/** What volumes and claims show alike. */
import type { ObjectMeta } from "../../object.ts";
import type { DeepReadonly } from "../../../util/types.ts";

interface VolumeLike {
  readonly metadata: ObjectMeta;
  readonly spec?: { readonly storageClassName?: string };
  readonly status?: { readonly phase?: string };
}

const MODES: readonly (readonly [mode: string, short: string])[] = [
  ["ReadWriteOnce", "RWO"],
  ["ReadOnlyMany", "ROX"],
  ["ReadWriteMany", "RWX"],
  ["ReadWriteOncePod", "RWOP"],
];

export function accessModes(modes: readonly string[] | undefined): string {
  return MODES.flatMap(([mode, short]) => (modes?.includes(mode) ? [short] : [])).join(",");
}

/** The annotation is older than the field, and wins. */
export function classOf(o: DeepReadonly<VolumeLike>): string {
  return o.metadata.annotations?.["volume.beta.kubernetes.io/storage-class"] ?? o.spec?.storageClassName ?? "";
}

export function phaseOf(o: DeepReadonly<VolumeLike>): string {
  return o.metadata.deletionTimestamp === undefined ? (o.status?.phase ?? "") : "Terminating";
}
