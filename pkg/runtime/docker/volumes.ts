import type { DockerApi } from "./api.ts";
import { filters, label, type Owner, ownerLabels } from "./labels.ts";

/** Removes volumes of a Pod, or of all Pods of this node; what a container still holds stays. */
export async function removeVolumes(
  api: DockerApi,
  o: { owner: Owner; podUid: string | undefined; signal: AbortSignal },
): Promise<void> {
  const wanted = { ...ownerLabels(o.owner), ...(o.podUid !== undefined && { [label.podUid]: o.podUid }) };
  const { signal } = o;
  const { Volumes } = await api.request<{ Volumes: readonly { Name: string }[] | null }>({
    path: "/volumes",
    query: { filters: filters(wanted) },
    signal,
  });
  // 404: gone meanwhile. 409: in use.
  const remove = (name: string) =>
    api.request({ method: "DELETE", path: `/volumes/${encodeURIComponent(name)}`, signal, alsoOk: [404, 409] });
  await Promise.all((Volumes ?? []).map((v) => remove(v.Name)));
}
