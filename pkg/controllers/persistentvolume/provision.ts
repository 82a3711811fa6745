/** Makes volumes for claims of a class: our own as directories on a node, all others by asking who can. Pure. */
import type { Node, PersistentVolume } from "../../api/generated/types.ts";
import { nameOf, namespaceOf, uidOf } from "../../api/object.ts";
import { condition } from "../../api/pod.ts";
import {
  capacityOf,
  HOSTPATH_PROVISIONER,
  PROVISIONED_BY,
  type ReadonlyClaim,
  type ReadonlyClass,
  SELECTED_NODE,
  VOLUME_NODE,
  VOLUMES_DIRECTORY,
} from "../../api/volumes.ts";
import type { DeepReadonly } from "../../util/types.ts";
import type { Plan, World } from "./steps.ts";

/** External provisioners look for the claims that name them; some still read the older name. */
const STORAGE_PROVISIONER = [
  "volume.beta.kubernetes.io/storage-provisioner",
  "volume.kubernetes.io/storage-provisioner",
];
const HOSTNAME = "kubernetes.io/hostname";

export function provision(claim: ReadonlyClaim, className: string, w: World): Plan {
  const storageClass = w.class(className);
  if (!storageClass) return failed(`storageclass.storage.k8s.io "${className}" not found`);
  const { provisioner } = storageClass;
  if (provisioner.startsWith("kubernetes.io/")) return failed(`no volume plugin matched name: ${provisioner}`);
  return (
    annotate(claim, provisioner) ??
    (provisioner === HOSTPATH_PROVISIONER ? make(claim, storageClass, w) : ask(provisioner))
  );
}

function annotate(claim: ReadonlyClaim, provisioner: string): Plan | undefined {
  const { annotations = {} } = claim.metadata;
  if (STORAGE_PROVISIONER.every((key) => annotations[key] === provisioner)) return undefined;
  const all = { ...annotations, ...Object.fromEntries(STORAGE_PROVISIONER.map((key) => [key, provisioner])) };
  const next = { ...claim, metadata: { ...claim.metadata, annotations: all } };
  return { write: { type: "updateClaim", claim: next, reason: "ProvisionerFound" } };
}

function ask(provisioner: string): Plan {
  const message =
    `Waiting for a volume to be created either by the external provisioner '${provisioner}' or manually by the system ` +
    "administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered.";
  return { event: { type: "Normal", reason: "ExternalProvisioning", message } };
}

function make(claim: ReadonlyClaim, storageClass: ReadonlyClass, w: World): Plan {
  const refuse = (why: string) =>
    failed(`failed to provision volume with StorageClass "${nameOf(storageClass)}": ${why}`);
  const { spec = {}, metadata } = claim;
  if (spec.volumeMode === "Block") return refuse("block volumes are not supported, a directory is no device");
  if (spec.selector) return refuse("claim.Spec.Selector is not supported");
  if (spec.dataSource || spec.dataSourceRef) return refuse("data sources are not supported");
  const selected = metadata.annotations?.[SELECTED_NODE];
  const node = selected === undefined ? anyNode(w) : w.node(selected);
  const directory = node?.metadata.annotations?.[VOLUMES_DIRECTORY];
  if (node && directory !== undefined) {
    const volume = volumeFor(claim, storageClass, node, directory);
    const message = `Successfully provisioned volume ${nameOf(volume)}`;
    return {
      write: { type: "createVolume", volume, reason: "NoVolumeFits" },
      event: { type: "Normal", reason: "ProvisioningSucceeded", message },
    };
  }
  if (selected === undefined) return refuse("no node makes volumes");
  // The scheduler is to choose again.
  const { [SELECTED_NODE]: _, ...annotations } = metadata.annotations ?? {};
  const next = { ...claim, metadata: { ...metadata, annotations } };
  return {
    ...refuse(`node "${selected}" makes no volumes`),
    write: { type: "updateClaim", claim: next, reason: "NodeUnfit" },
  };
}

/** For a class that does not wait: a node that is up, the first by name, so that a second try finds the same. */
function anyNode(w: World): DeepReadonly<Node> | undefined {
  const fits = ({ metadata, status, spec }: DeepReadonly<Node>) =>
    metadata.annotations?.[VOLUMES_DIRECTORY] !== undefined &&
    condition(status?.conditions, "Ready")?.status === "True" &&
    spec?.unschedulable !== true;
  return w
    .nodes()
    .filter(fits)
    .toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))[0];
}

/** Its name comes from the claim's uid: made twice, it is the same, and refused. */
function volumeFor(
  claim: ReadonlyClaim,
  storageClass: ReadonlyClass,
  node: DeepReadonly<Node>,
  directory: string,
): PersistentVolume {
  const name = `pvc-${uidOf(claim)}`;
  const host = node.metadata.labels?.[HOSTNAME] ?? nameOf(node);
  const term = { matchExpressions: [{ key: HOSTNAME, operator: "In", values: [host] }] };
  return {
    metadata: {
      name,
      labels: { [VOLUME_NODE]: nameOf(node) },
      annotations: { [PROVISIONED_BY]: HOSTPATH_PROVISIONER },
    },
    spec: {
      accessModes: [...(claim.spec?.accessModes ?? [])],
      capacity: { storage: capacityOf(claim.spec?.resources?.requests) },
      claimRef: {
        kind: "PersistentVolumeClaim",
        apiVersion: "v1",
        namespace: namespaceOf(claim),
        name: nameOf(claim),
        uid: uidOf(claim),
      },
      hostPath: { path: `${directory}/${name}`, type: "DirectoryOrCreate" },
      nodeAffinity: { required: { nodeSelectorTerms: [term] } },
      persistentVolumeReclaimPolicy: storageClass.reclaimPolicy ?? "Delete",
      storageClassName: nameOf(storageClass),
      volumeMode: "Filesystem",
      ...(storageClass.mountOptions && { mountOptions: [...storageClass.mountOptions] }),
    },
  };
}

function failed(message: string): Plan {
  return { event: { type: "Warning", reason: "ProvisioningFailed", message } };
}
