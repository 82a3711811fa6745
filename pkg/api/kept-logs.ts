/** What an agent tells of logs that it has kept of Pods that are gone (`/keptLogs`). */

/** One attempt of one container. */
export interface KeptLogEntry {
  readonly namespace: string;
  readonly pod: string;
  readonly uid: string;
  readonly container: string;
  readonly attempt: number;
  /** When its container was removed; milliseconds since the epoch. */
  readonly endedAt: number;
  readonly sizeBytes: number;
}
