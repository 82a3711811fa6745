/** Removes the directories of this node's volumes once nobody needs what is in them, then the volumes. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { persistentVolumes } from "../api/kinds/core/persistentvolume.ts";
import { uidOf } from "../api/object.ts";
import { isReason } from "../api/status.ts";
import { HOSTPATH_PROVISIONER, PROVISIONED_BY, type ReadonlyVolume, VOLUME_NODE } from "../api/volumes.ts";
import type { Client } from "../client/client.ts";
import { Informer } from "../informer/informer.ts";
import { type Reconcile, runController } from "../reconcile/controller.ts";
import { together } from "../reconcile/scope.ts";
import { WorkQueue } from "../reconcile/workqueue.ts";
import type { Clock, Random } from "../util/clock.ts";
import type { Logger } from "../util/log.ts";

export interface ReclaimOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly nodeName: string;
  /** All volumes that are made on this node are directly below it. */
  readonly directory: string;
}

/**
 * Runs until the signal aborts. The directory goes first: if the agent is stopped in between, the volume is still there
 * to be found by the next.
 */
export async function runReclaim(o: ReclaimOptions, signal: AbortSignal): Promise<void> {
  const api = o.client.resource(persistentVolumes);
  const informer = new Informer({
    ...o,
    resource: api,
    listOptions: { labelSelector: `${VOLUME_NODE}=${o.nodeName}` },
  });
  /** Deleted by a user before we came to it: their directories are still ours to remove. */
  const gone = new Map<string, ReadonlyVolume>();
  const queue = new WorkQueue(o);
  informer.onChange((name, now, old) => {
    const volume = now ?? old;
    if (!volume || !isOver(volume)) return;
    if (!now) gone.set(name, volume);
    queue.add(name);
  });

  const reconcile: Reconcile = async (name, _, { log }) => {
    const present = informer.get(name);
    const volume = present ?? gone.get(name);
    if (!volume || !isOver(volume)) return "done";
    const path = join(o.directory, name);
    gone.delete(name);
    if (volume.spec?.hostPath?.path !== path) {
      log.warn({ volume: name, path: volume.spec?.hostPath?.path }, "not below our directory: left alone");
      return "done";
    }
    await rm(path, { recursive: true, force: true });
    log.info({ volume: name, path }, "volume removed: its claim is gone");
    if (present) await api.delete(name, { preconditions: { uid: uidOf(present) } }).catch(ifGone);
    return "done";
  };

  await together(
    signal,
    (s) => informer.run(s),
    (s) => runController({ ...o, name: "volume-reclaim", queue, reconcile, after: [informer] }, s),
  );
}

function isOver({ metadata, spec, status }: ReadonlyVolume): boolean {
  const ours = metadata.annotations?.[PROVISIONED_BY] === HOSTPATH_PROVISIONER;
  return ours && status?.phase === "Released" && spec?.persistentVolumeReclaimPolicy === "Delete";
}

function ifGone(error: unknown): void {
  if (!isReason(error, "NotFound", "Conflict")) throw error;
}
