/** What a file in the directory of static Pods says. Pure. */
import { createHash } from "node:crypto";
import type { Pod } from "../../api/generated/types.ts";
import { decodeObject } from "../../api/decode.ts";
import { pods } from "../../api/kinds/core/pod.ts";
import { podReferences } from "../../api/pod-references.ts";
import { invalid } from "../../api/status.ts";
import { validateMetadata } from "../../api/validation/meta.ts";
import { parseYamlDocuments } from "../../util/yaml.ts";
import type { Pod as ReadonlyPod } from "../facts.ts";

const SOURCE = "kubernetes.io/config.source";
const HASH = "kubernetes.io/config.hash";

/** The file cannot be run; `message` says what to mend in it. */
export class ManifestError extends Error {}

/** Whether the Pod stands in a file of the node it runs on. */
export function isStatic(pod: ReadonlyPod): boolean {
  return pod.metadata.annotations?.[SOURCE] === "file";
}

/**
 * The Pod as this node runs it: named after the node, with a uid that is the hash of its content, so that a changed file
 * is another Pod. Throws {@link ManifestError} for what is no Pod, not valid, or needs something of the API server.
 */
export function staticPod(text: string, file: string, nodeName: string): Pod {
  const pod = decoded(text, file);
  const { name = "", namespace = "default", labels, annotations } = pod.metadata;
  if (name === "") throw new ManifestError("metadata.name: Required value");
  const found: Pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: `${name}-${nodeName}`, namespace, ...(labels && { labels }) },
    ...(pod.spec && { spec: { ...pod.spec, nodeName, automountServiceAccountToken: false } }),
  };
  pods.setDefaults?.(found);
  const errors = [...validateMetadata(pods, found), ...(pods.validate?.(found) ?? [])];
  if (errors.length > 0) throw new ManifestError(invalid(pods, name, errors).message);
  refuseReferences(found);
  // Nothing drives it out but its file.
  if (found.spec)
    found.spec.tolerations = [...(found.spec.tolerations ?? []), { operator: "Exists", effect: "NoExecute" }];
  const uid = createHash("sha256")
    .update(JSON.stringify([nodeName, file, found]))
    .digest("hex")
    .slice(0, 32);
  found.metadata.uid = uid;
  found.metadata.annotations = { ...annotations, [SOURCE]: "file", [HASH]: uid };
  return found;
}

function decoded(text: string, file: string): Pod {
  try {
    const documents = parseYamlDocuments(text, file);
    const [first] = documents;
    if (!first || documents.length > 1) throw new ManifestError(`${documents.length} objects: one Pod to a file`);
    const { kind, apiVersion } = (first.value ?? {}) as Partial<Pod>;
    if (kind !== "Pod" || apiVersion !== "v1") throw new ManifestError(`it holds a ${kind ?? "nothing"}, not a v1 Pod`);
    return decodeObject<Pod>(pods, first.value, "Strict").object;
  } catch (error) {
    throw error instanceof ManifestError ? error : new ManifestError((error as Error).message);
  }
}

/** It has to start when there is no API server, too. */
function refuseReferences(pod: Pod): void {
  const needed = Object.entries<ReadonlySet<string>>({ ...podReferences(pod) });
  const kinds = needed.filter(([, names]) => names.size > 0).map(([kind]) => kind);
  if (kinds.length > 0) throw new ManifestError(`a static Pod cannot refer to ${kinds.join(", ")}`);
}
