/** What is the cluster's in a store, and what of it is about the store itself instead of being an object. */
export const ROOT = "/registry/";

export const OWN = `${ROOT}mini-kube/`;

export const OWN_KEYS = {
  /** As StoredFormat (format.ts). */
  format: `${OWN}format`,
  /** What is added to the backend's revisions: RebasedStore (rebased.ts). */
  offset: `${OWN}revision-offset`,
  /** There as long as a restore has not come to its end. */
  restoring: `${OWN}restoring`,
  /** Whose store it is. */
  cluster: `${OWN}cluster`,
  /** The keys that make its holder this cluster. */
  identity: `${OWN}identity`,
  /** Whether somebody has the keys of what is encrypted in it. */
  encryption: `${OWN}encryption`,
  /** When a process last set about defragmenting. */
  defragmenting: `${OWN}defragmenting`,
} as const;

/** Where {@link OWN_KEYS.restoring} is there: what is in the store is no cluster. */
export function halfRestored(): Error {
  return new Error("a restore into this store did not come to its end: run it again, mini-kube restore FILE --force");
}
