/** Certificates that Pods may trust, for the whole cluster: the anchors of one signer, or anybody's. */
import type { DeepReadonly } from "../../../util/types.ts";
import type { V1beta1ClusterTrustBundle as ClusterTrustBundle } from "../../generated/types.ts";
import { dnsSubdomain } from "../../names.ts";
import { nameOf } from "../../object.ts";
import { pemBlocks } from "../../pem.ts";
import type { ResourceDef } from "../../resource.ts";
import { validateSignerName } from "../../validation/domain.ts";
import { checked, type FieldErrors, IMMUTABLE, invalidValue } from "../../validation/field.ts";
import { AGE, NAME } from "../columns.ts";

type Bundle = DeepReadonly<ClusterTrustBundle>;

export const clusterTrustBundles: ResourceDef<ClusterTrustBundle> = {
  group: "certificates.k8s.io",
  version: "v1beta1",
  kind: "ClusterTrustBundle",
  plural: "clustertrustbundles",
  singular: "clustertrustbundle",
  shortNames: [],
  categories: [],
  namespaced: false,
  schema: "V1beta1ClusterTrustBundle",
  // Whose names may hold colons is only known with the signer.
  validateName: () => [],
  setDefaults(o) {
    o.spec ??= { trustBundle: "" };
  },
  validate: (next, old) => [
    ...validateName(next),
    ...(next.spec.signerName ? validateSignerName(next.spec.signerName, "spec.signerName") : []),
    ...validateAnchors(next.spec.trustBundle),
    ...(old && (old.spec.signerName ?? "") !== (next.spec.signerName ?? "")
      ? [invalidValue("spec.signerName", next.spec.signerName ?? "", IMMUTABLE)]
      : []),
  ],
  subresources: {},
  selectableFields: { "spec.signerName": (o) => o.spec.signerName ?? "" },
  columns: [NAME, { name: "SignerName", type: "string", cell: (o) => o.spec.signerName || "<none>" }, AGE],
};

/** A signer's bundles are named after it, `example.com:signer:NAME`; all others have no colon. */
function validateName(o: Bundle): FieldErrors {
  const name = nameOf(o);
  const { signerName } = o.spec;
  if (!signerName) {
    if (name.includes(":"))
      return [
        invalidValue("metadata.name", name, 'ClusterTrustBundle without signer name must not have ":" in its name'),
      ];
    return checked("metadata.name", name, dnsSubdomain);
  }
  const prefix = `${signerName.replaceAll("/", ":")}:`;
  if (!name.startsWith(prefix)) {
    const why = `ClusterTrustBundle for signerName ${signerName} must be named with prefix ${prefix}`;
    return [invalidValue("metadata.name", name, why)];
  }
  return checked("metadata.name", name.slice(prefix.length), dnsSubdomain);
}

function validateAnchors(text: string | undefined): FieldErrors {
  const field = "spec.trustBundle";
  const blocks = pemBlocks(text ?? "");
  if (blocks.length === 0)
    return [invalidValue(field, "<value omitted>", "at least one trust anchor must be provided")];
  const strange = blocks.findIndex((b) => b.label !== "CERTIFICATE");
  if (strange < 0) return [];
  const { label = "" } = blocks[strange] ?? {};
  return [invalidValue(field, "<value omitted>", `entry ${strange} has bad block type: ${label}`)];
}
