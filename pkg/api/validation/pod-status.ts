/** What a status report may say of a Pod. */
import type { DeepReadonly } from "../../util/types.ts";
import type { ContainerStatus, Pod } from "../generated/types.ts";
import { restartsAfter } from "../restart-policy.ts";
import { each, type FieldErrors, forbidden, required } from "./field.ts";

type ReadonlyPod = DeepReadonly<Pod>;

export function validatePodStatus(next: ReadonlyPod, old: ReadonlyPod): FieldErrors {
  const was = old.status;
  const is = next.status;
  return [
    ...each("status.conditions", is?.conditions, (c, at) => (c.type ? [] : [required(`${at}.type`)])),
    // Sidecars restart under any policy, and init containers while the Pod's is not Never.
    ...staysTerminated(next, is?.containerStatuses, was?.containerStatuses),
  ];
}

/** A container that may not restart does not come back from the dead. */
function staysTerminated(
  { spec }: ReadonlyPod,
  next: readonly DeepReadonly<ContainerStatus>[] | undefined,
  old: readonly DeepReadonly<ContainerStatus>[] | undefined,
): FieldErrors {
  return (old ?? []).flatMap((before, i) => {
    const ended = before.state?.terminated;
    const c = spec?.containers?.find((x) => x.name === before.name) ?? { name: before.name };
    if (!ended || restartsAfter(spec, c, ended.exitCode)) return [];
    const after = next?.find((c) => c.name === before.name);
    if (!after || after.state?.terminated) return [];
    return [forbidden(`status.containerStatuses[${i}].state`, "may not be transitioned to non-terminated state")];
  });
}
