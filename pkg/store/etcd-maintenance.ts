import type { IAlarmResponse, IMember, IStatusResponse } from "etcd3";
import type { Clock } from "../util/clock.ts";
import { EVEN_ALONE, type EtcdEndpoints } from "./etcd-endpoints.ts";
import { explained, typed } from "./etcd-errors.ts";
import type { StoreMaintenance, StoreMember, StoreStatus } from "./store.ts";

const ASK_MS = 2000;
/** A gigabyte takes some seconds. */
const DEFRAGMENT_MS = 120_000;

/** What etcd's own maintenance calls tell and do, by endpoint. */
export function etcdMaintenance(endpoints: EtcdEndpoints, clock: Clock): StoreMaintenance {
  const soon = () => ({ ...EVEN_ALONE, deadline: clock.now() + ASK_MS });
  return {
    status: async () => {
      const [members, alarms, ...answers] = await Promise.all([
        endpoints.call((c) => c.cluster.memberList({}, soon())).catch(() => undefined),
        endpoints.call((c) => c.maintenance.alarm({ action: "Get" }, soon())).catch(() => undefined),
        ...endpoints.names.map((_, index) => endpoints.status(index).catch((error: unknown) => failure(error))),
      ]);
      return etcdStatus(endpoints.names, answers, members?.members ?? [], alarms?.alarms ?? []);
    },
    defragment: async (endpoint) => {
      const client = endpoints.client(endpoints.names.indexOf(endpoint));
      try {
        await client.maintenance.defragment({ ...EVEN_ALONE, deadline: clock.now() + DEFRAGMENT_MS });
      } catch (error) {
        throw typed(error);
      }
    },
    disarm: async () => {
      try {
        const { alarms } = await endpoints.call((c) => c.maintenance.alarm({ action: "Get" }, soon()));
        for (const { memberID, alarm } of alarms.filter((a) => isNoSpace(a.alarm)))
          await endpoints.call((c) => c.maintenance.alarm({ action: "Deactivate", memberID, alarm }, soon()));
      } catch (error) {
        throw typed(error);
      }
    },
  };
}

interface Failure {
  readonly failed: string;
}

function failure(error: unknown): Failure {
  const message = String(error);
  return { failed: explained(message) ?? message };
}

/** Pure: `answers` are those of the endpoints, in their order. Members that no endpoint led to come last. */
export function etcdStatus(
  endpoints: readonly string[],
  answers: readonly (IStatusResponse | Failure)[],
  members: readonly IMember[],
  alarms: IAlarmResponse["alarms"],
): StoreStatus {
  const alarmsOf = (id: string) => alarms.filter((a) => a.memberID === id).map((a) => String(a.alarm).toUpperCase());
  const nobody = { leader: false, version: "", dbSize: 0, inUse: 0, alarms: [], healthy: false };
  const seen = new Set<string>();
  const reached = answers.map((answer, i): StoreMember => {
    const endpoint = endpoints[i] ?? "";
    const id = "failed" in answer ? members.find((m) => m.clientURLs.includes(endpoint))?.ID : answer.header.member_id;
    if (id !== undefined) seen.add(id);
    const name = members.find((m) => m.ID === id)?.name ?? endpoint;
    if ("failed" in answer) return { name, endpoint, ...nobody, error: answer.failed };
    const led = answer.leader !== "0";
    return {
      name,
      endpoint,
      leader: answer.leader === id,
      version: answer.version,
      dbSize: Number(answer.dbSize),
      inUse: Number(answer.dbSizeInUse),
      alarms: alarmsOf(answer.header.member_id),
      healthy: led,
      ...(!led && { error: "it knows of no leader" }),
    };
  });
  const unnamed = members
    .filter((m) => !seen.has(m.ID))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, clientURLs }): StoreMember => {
      const error = "it is not among the endpoints of --store";
      return { name, endpoint: clientURLs[0] ?? "", ...nobody, error };
    });
  const all = [...reached, ...unnamed];
  return {
    kind: "etcd",
    sizeBytes: Math.max(0, ...all.map((m) => m.dbSize)),
    inUseBytes: Math.max(0, ...all.map((m) => m.inUse)),
    members: all,
  };
}

function isNoSpace(alarm: string): boolean {
  return alarm.toUpperCase() === "NOSPACE";
}
