/**
 * The Pod Security Standards: what the levels `baseline` and `restricted` forbid. Each check is a row with the version it
 * appeared in (minor of v1); a namespace may ask for an older version of a level, and gets the rows of that time.
 */
import {
  allowPrivilegeEscalation,
  capabilitiesRestricted,
  procMount,
  runAsNonRoot,
  runAsUser,
  restrictedVolumes,
  seccompRestricted,
} from "./restricted.ts";
import {
  appArmorProfile,
  capabilitiesBaseline,
  hostNamespaces,
  hostPathVolumes,
  hostPorts,
  hostProbes,
  privileged,
  seccompAnnotations,
  seccompBaseline,
  seLinuxOptions,
  sysctls,
  windowsHostProcess,
} from "./baseline.ts";
import type { Check } from "./pod-shape.ts";

interface Row {
  readonly id: string;
  readonly level: "baseline" | "restricted";
  /** The first minor version of v1 that has it, until a later row of the same id. */
  readonly since: number;
  readonly check: Check;
  /** The baseline check that this one contains. */
  readonly instead?: string;
}

const baseline = (id: string, since: number, check: Check): Row => ({ id, level: "baseline", since, check });
const restricted = (id: string, since: number, check: Check, instead?: string): Row => ({
  id,
  level: "restricted",
  since,
  check,
  ...(instead && { instead }),
});

/** Windows has no such thing. */
const unlessWindows =
  (check: Check): Check =>
  (pod) =>
    pod.spec.os?.name === "windows" ? undefined : check(pod);

/** In a user namespace of its own, root in the Pod is nobody outside. */
const unlessOwnUsers =
  (check: Check): Check =>
  (pod) =>
    pod.spec.hostUsers === false ? undefined : check(pod);

const ROWS: readonly Row[] = [
  baseline("appArmorProfile", 0, appArmorProfile),
  baseline("capabilities_baseline", 0, capabilitiesBaseline),
  baseline("hostNamespaces", 0, hostNamespaces),
  baseline("hostPathVolumes", 0, hostPathVolumes),
  baseline("hostPorts", 0, hostPorts),
  baseline("hostProbesAndHostLifecycle", 34, hostProbes),
  baseline("privileged", 0, privileged),
  baseline("procMount", 0, procMount),
  baseline("procMount", 35, unlessOwnUsers(procMount)),
  baseline("seLinuxOptions", 0, seLinuxOptions([])),
  baseline("seLinuxOptions", 31, seLinuxOptions(["container_engine_t"])),
  baseline("seccompProfile_baseline", 0, seccompAnnotations),
  baseline("seccompProfile_baseline", 19, seccompBaseline),
  baseline("sysctls", 0, sysctls(0)),
  baseline("sysctls", 27, sysctls(27)),
  baseline("sysctls", 29, sysctls(29)),
  baseline("sysctls", 32, sysctls(32)),
  baseline("windowsHostProcess", 0, windowsHostProcess),
  restricted("allowPrivilegeEscalation", 8, allowPrivilegeEscalation),
  restricted("allowPrivilegeEscalation", 25, unlessWindows(allowPrivilegeEscalation)),
  restricted("capabilities_restricted", 22, capabilitiesRestricted, "capabilities_baseline"),
  restricted("capabilities_restricted", 25, unlessWindows(capabilitiesRestricted), "capabilities_baseline"),
  restricted("procMount_restricted", 35, procMount, "procMount"),
  restricted("restrictedVolumes", 0, restrictedVolumes, "hostPathVolumes"),
  restricted("runAsNonRoot", 0, runAsNonRoot),
  restricted("runAsNonRoot", 35, unlessOwnUsers(runAsNonRoot)),
  restricted("runAsUser", 23, runAsUser),
  restricted("runAsUser", 35, unlessOwnUsers(runAsUser)),
  restricted("seccompProfile_restricted", 19, seccompRestricted, "seccompProfile_baseline"),
  restricted("seccompProfile_restricted", 25, unlessWindows(seccompRestricted), "seccompProfile_baseline"),
];

/** Those of a level at a version (undefined: the latest), in the order in which they are reported. */
export function checksOf(level: "baseline" | "restricted", minor: number | undefined): readonly Check[] {
  const current = new Map<string, Row>();
  for (const row of ROWS) {
    if (row.since > (minor ?? Infinity) || (level === "baseline" && row.level !== "baseline")) continue;
    const known = current.get(row.id);
    if (!known || known.since < row.since) current.set(row.id, row);
  }
  const rows = [...current.values()];
  const replaced = new Set(rows.map((r) => r.instead));
  return rows.filter((r) => !replaced.has(r.id)).map((r) => r.check);
}
