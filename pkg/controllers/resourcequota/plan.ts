/** What the status of a ResourceQuota should say. */
import { deepEqual } from "../../api/equal.ts";
import type { ResourceQuota, ResourceQuotaStatus } from "../../api/generated/types.ts";
import type { ApiObject } from "../../api/object.ts";
import { usedOf } from "../../api/quota/charge.ts";
import { canonical, type Counted } from "../../api/quota/usage.ts";
import { writeList } from "../../api/resource-list.ts";
import type { DeepReadonly } from "../../util/types.ts";

type Quota = DeepReadonly<ResourceQuota>;

/** All of one kind in the quota's namespace. */
export interface Objects {
  readonly kind: Counted;
  readonly items: readonly DeepReadonly<ApiObject>[];
}

/** Whether the status speaks of what the spec says now. */
export function isCounted({ spec, status }: Quota): boolean {
  const hard = canonical(spec?.hard);
  return deepEqual(hard, status?.hard ?? {}) && Object.keys(hard).every((name) => status?.used?.[name] !== undefined);
}

/** Undefined: it says so already. */
export function planQuota(quota: Quota, objects: readonly Objects[], now: number): ResourceQuotaStatus | undefined {
  const all = objects.flatMap(({ kind, items }) => items.map((o) => [kind, o] as const));
  const status = { hard: canonical(quota.spec?.hard), used: writeList(usedOf(quota, all, now)) };
  return deepEqual(status, quota.status ?? {}) ? undefined : status;
}
