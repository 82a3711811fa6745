/**
 * What a claim or a volume needs next. Pure: one write at a time, and what it changes asks for the next; so wherever a
 * controller stops, the next one goes on.
 *
 *  P1  A volume has at most one claim, by uid: nobody gets what another has written.
 *  P2  A volume is written first, then the claim: a claim that says Bound has a volume that says the same.
 *  P3  A volume whose claim is gone is Released, and never Available again by itself.
 */
import { classOf } from "../../api/kinds/core/volume-cells.ts";
import { isDefaultStorageClass } from "../../api/kinds/storage/storageclass.ts";
import { nameOf, uidOf } from "../../api/object.ts";
import { deepEqual } from "../../api/equal.ts";
import {
  BIND_COMPLETED,
  BOUND_BY_CONTROLLER,
  capacityOf,
  findVolume,
  HOSTPATH_PROVISIONER,
  isBound,
  isFor,
  mismatch,
  PROVISIONED_BY,
  type ReadonlyClaim,
  type ReadonlyVolume,
  reserved,
  VOLUME_NODE,
  waitsForConsumer,
} from "../../api/volumes.ts";
import { compareQuantities } from "../../api/quantity.ts";
import { rfc3339 } from "../../util/clock.ts";
import { provision } from "./provision.ts";
import type { Plan, World } from "./steps.ts";

const NOTHING: Plan = {};

export function planClaim(claim: ReadonlyClaim, w: World): Plan {
  if (isBound(claim) || claim.metadata.annotations?.[BIND_COMPLETED] !== undefined) return planBoundClaim(claim, w);
  if (claim.metadata.deletionTimestamp !== undefined) return NOTHING;
  return claim.spec?.volumeName ? planAskedFor(claim, claim.spec.volumeName, w) : planUnbound(claim, w);
}

function planUnbound(claim: ReadonlyClaim, w: World): Plan {
  const name = classOf(claim);
  const storageClass = w.class(name);
  const waits = waitsForConsumer(claim, storageClass);
  const found = findVolume(claim, w.volumes(), { onlyReserved: waits });
  if (found) return bind(found, claim, w);
  if (waits) return pending(claim, "Normal", "WaitForFirstConsumer", WAITS);
  if (name !== "") return pendingFirst(claim) ?? provision(claim, name, w);
  return lateClass(claim, w) ?? pending(claim, "Normal", "FailedBinding", NO_CLASS);
}

const WAITS = "waiting for first consumer to be created before binding";
const NO_CLASS = "no persistent volumes available for this claim and no storage class is set";

/** One that named no class before there was a default gets the default now. */
function lateClass(claim: ReadonlyClaim, w: World): Plan | undefined {
  if (claim.spec?.storageClassName !== undefined) return undefined;
  const born = (o: { metadata: { creationTimestamp?: string } }) => Date.parse(o.metadata.creationTimestamp ?? "") || 0;
  const [newest] = w
    .classes()
    .filter(isDefaultStorageClass)
    .toSorted((a, b) => born(b) - born(a) || (nameOf(a) < nameOf(b) ? -1 : 1));
  if (!newest) return undefined;
  const next = { ...claim, spec: { ...claim.spec, storageClassName: nameOf(newest) } };
  return { write: { type: "updateClaim", claim: next, reason: "DefaultClass" } };
}

function planAskedFor(claim: ReadonlyClaim, name: string, w: World): Plan {
  const volume = w.volume(name);
  if (!volume) return pendingFirst(claim) ?? NOTHING;
  if (isFor(volume, claim)) return bind(volume, claim, w);
  if (volume.spec?.claimRef) {
    return pending(claim, "Warning", "FailedBinding", `volume "${name}" already bound to a different claim.`);
  }
  const why = mismatch(volume, claim);
  if (why === undefined) return bind(volume, claim, w);
  return pending(claim, "Warning", "VolumeMismatch", `Cannot bind to requested volume "${name}": ${why}`);
}

function planBoundClaim(claim: ReadonlyClaim, w: World): Plan {
  const name = claim.spec?.volumeName;
  if (!name) return lost(claim, "ClaimLost", "Bound claim has lost reference to PersistentVolume." + DATA_LOST);
  const volume = w.volume(name);
  if (!volume) return lost(claim, "ClaimLost", "Bound claim has lost its PersistentVolume." + DATA_LOST);
  const owner = volume.spec?.claimRef?.uid;
  if (volume.spec?.claimRef && owner !== undefined && owner !== uidOf(claim)) {
    return lost(claim, "ClaimMisbound", MISBOUND);
  }
  const binding = bind(volume, claim, w);
  return binding.write ? binding : expand(volume, claim);
}

const DATA_LOST = " Data on the volume is lost!";
const MISBOUND = "Two claims are bound to the same volume, this one is bound incorrectly";

/** The next of the four writes that make the two one, each only if it is needed (P2). */
function bind(volume: ReadonlyVolume, claim: ReadonlyClaim, w: World): Plan {
  const own = reserved(volume, claim);
  if (own !== volume) {
    return { write: { type: "updateVolume", volume: own, reason: "ClaimFound" } };
  }
  if (volume.status?.phase !== "Bound") return phase(volume, "Bound", w);
  const { annotations = {} } = claim.metadata;
  const chosen = claim.spec?.volumeName === nameOf(volume);
  if (!chosen || annotations[BIND_COMPLETED] === undefined) {
    const marks = { [BIND_COMPLETED]: "yes", ...(!chosen && { [BOUND_BY_CONTROLLER]: "yes" }) };
    const metadata = { ...claim.metadata, annotations: { ...annotations, ...marks } };
    const next = { ...claim, metadata, spec: { ...claim.spec, volumeName: nameOf(volume) } };
    return { write: { type: "updateClaim", claim: next, reason: "VolumeFound" } };
  }
  const { accessModes = [], capacity = {} } = volume.spec ?? {};
  const bound = claim.status?.phase === "Bound" && claim.status.capacity !== undefined;
  if (bound && deepEqual(claim.status?.accessModes, accessModes)) return NOTHING;
  const status = {
    ...claim.status,
    phase: "Bound",
    accessModes: [...accessModes],
    capacity: { ...(bound ? claim.status?.capacity : capacity) },
  };
  return {
    write: { type: "updateClaimStatus", claim: { ...claim, status }, reason: "Bound" },
  };
}

/** A directory has no size of its own: what it is said to have grows at once. Others have somebody who does it. */
function expand(volume: ReadonlyVolume, claim: ReadonlyClaim): Plan {
  const wanted = capacityOf(claim.spec?.resources?.requests);
  const has = capacityOf(claim.status?.capacity);
  if (compareQuantities(wanted, has) <= 0) return NOTHING;
  if (volume.metadata.annotations?.[PROVISIONED_BY] !== HOSTPATH_PROVISIONER) {
    return { event: { type: "Normal", reason: "ExternalExpanding", message: EXPANDING } };
  }
  if (compareQuantities(capacityOf(volume.spec?.capacity), wanted) < 0) {
    const next = { ...volume, spec: { ...volume.spec, capacity: { storage: wanted } } };
    return { write: { type: "updateVolume", volume: next, reason: "ClaimGrew" } };
  }
  const status = { ...claim.status, capacity: { ...volume.spec?.capacity } };
  return {
    write: { type: "updateClaimStatus", claim: { ...claim, status }, reason: "VolumeGrew" },
    event: { type: "Normal", reason: "VolumeResizeSuccessful", message: "Resize volume succeeded" },
  };
}

const EXPANDING = "waiting for an external controller to expand this PVC";

export function planVolume(volume: ReadonlyVolume, w: World): Plan {
  const ref = volume.spec?.claimRef;
  if (!ref || !ref.uid) return phase(volume, "Available", w);
  const found = w.claim(ref.namespace ?? "", ref.name ?? "");
  const claim = found && uidOf(found) === ref.uid ? found : undefined;
  if (!claim) return release(volume, w);
  if (!claim.spec?.volumeName) return NOTHING; // the claim's turn
  if (claim.spec.volumeName === nameOf(volume)) return phase(volume, "Bound", w);
  const made = volume.metadata.annotations?.[PROVISIONED_BY] !== undefined;
  if (made && volume.spec?.persistentVolumeReclaimPolicy === "Delete") return release(volume, w);
  return unbind(volume);
}

/** Its claim has got another one. What a user wrote by hand stays reserved. */
function unbind(volume: ReadonlyVolume): Plan {
  const { [BOUND_BY_CONTROLLER]: ours, ...annotations } = volume.metadata.annotations ?? {};
  const { claimRef, ...rest } = volume.spec ?? {};
  const { uid: _, resourceVersion: __, ...name } = claimRef ?? {};
  const spec = ours === undefined ? { ...rest, claimRef: name } : rest;
  const next = { ...volume, metadata: { ...volume.metadata, annotations }, spec };
  return { write: { type: "updateVolume", volume: next, reason: "ClaimBoundElsewhere" } };
}

/** P3, then as its policy says. */
function release(volume: ReadonlyVolume, w: World): Plan {
  const now = volume.status?.phase;
  if (now !== "Released" && now !== "Failed") return phase(volume, "Released", w);
  const policy = volume.spec?.persistentVolumeReclaimPolicy;
  const by = volume.metadata.annotations?.[PROVISIONED_BY];
  if (policy === "Retain" || volume.metadata.deletionTimestamp !== undefined) return NOTHING;
  if (policy === "Delete" && by === HOSTPATH_PROVISIONER) {
    // Its node removes it; without the node there is nothing left to remove.
    const node = volume.metadata.labels?.[VOLUME_NODE] ?? "";
    return w.node(node) ? NOTHING : { write: { type: "deleteVolume", volume, reason: "NodeGone" } };
  }
  if (policy === "Delete" && by !== undefined) return NOTHING;
  const [verb, noun] = policy === "Delete" ? ["delet", "VolumeFailedDelete"] : ["recycl", "VolumeFailedRecycle"];
  const message = `error getting ${verb}er volume plugin for volume "${nameOf(volume)}": no ${verb}able volume plugin matched`;
  const failed = phase(volume, "Failed", w, message);
  return failed.write ? { ...failed, event: { type: "Warning", reason: noun, message } } : NOTHING;
}

function phase(volume: ReadonlyVolume, to: string, w: World, message?: string): Plan {
  if (volume.status?.phase === to) return NOTHING;
  const status = { phase: to, ...(message && { message }), lastPhaseTransitionTime: rfc3339(w.now()) };
  return { write: { type: "updateVolumeStatus", volume: { ...volume, status }, reason: to } };
}

function pendingFirst(claim: ReadonlyClaim): Plan | undefined {
  if (claim.status?.phase === "Pending") return undefined;
  const next = { ...claim, status: { phase: "Pending" } };
  return { write: { type: "updateClaimStatus", claim: next, reason: "Pending" } };
}

function pending(claim: ReadonlyClaim, type: "Normal" | "Warning", reason: string, message: string): Plan {
  return { ...pendingFirst(claim), event: { type, reason, message } };
}

function lost(claim: ReadonlyClaim, reason: string, message: string): Plan {
  if (claim.status?.phase === "Lost") return NOTHING;
  const next = { ...claim, status: { phase: "Lost" } };
  return {
    write: { type: "updateClaimStatus", claim: next, reason },
    event: { type: "Warning", reason, message },
  };
}
