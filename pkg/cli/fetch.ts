/** Reads by path: objects, lists and Tables, page by page. */
import type { ApiObject, ObjectList, WatchEvent } from "../api/object.ts";
import { apiVersionOf } from "../api/object.ts";
import { pathOf } from "../client/request.ts";
import type { KnownResource } from "./discovery.ts";
import { type ServerTable, TABLE_ACCEPT } from "./output/server-table.ts";
import type { Session } from "./session.ts";

export interface Selection {
  readonly resource: KnownResource;
  /** Undefined: all namespaces, or the kind has none. */
  readonly namespace: string | undefined;
  readonly name?: string;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
}

/** One page's length: bounds the memory of both sides. */
const PAGE = "500";

function locate(s: Selection): { path: string; query: Record<string, string> } {
  const { group, version, plural, namespaced } = s.resource;
  const path = pathOf({
    group,
    version,
    resource: plural,
    ...(namespaced && s.namespace !== undefined && { namespace: s.namespace }),
    ...(s.name !== undefined && { name: s.name }),
  });
  const query = {
    ...(s.labelSelector && { labelSelector: s.labelSelector }),
    ...(s.fieldSelector && { fieldSelector: s.fieldSelector }),
  };
  return { path, query };
}

async function json<T>(session: Session, path: string, query: Record<string, string>, accept?: string): Promise<T> {
  const headers = accept ? { headers: { accept } } : {};
  return JSON.parse(await session.transport.text(path, { query, ...headers }, session.io.signal)) as T;
}

/** With apiVersion and kind on every object, which items of a list lack. */
export async function fetchObjects(session: Session, s: Selection): Promise<ApiObject[]> {
  return (await fetchList(session, s)).items;
}

export async function fetchList(
  session: Session,
  s: Selection,
): Promise<{ items: ApiObject[]; resourceVersion: string }> {
  const { path, query } = locate(s);
  if (s.name !== undefined) {
    const object = await json<ApiObject>(session, path, {});
    return { items: [object], resourceVersion: object.metadata.resourceVersion ?? "" };
  }
  const items: ApiObject[] = [];
  const type = { apiVersion: apiVersionOf(s.resource), kind: s.resource.kind };
  for (let next: string | undefined = ""; ;) {
    const page: ObjectList = await json<ObjectList>(session, path, {
      ...query,
      limit: PAGE,
      ...(next && { continue: next }),
    });
    items.push(...page.items.map((o) => ({ ...type, ...o })));
    next = page.metadata.continue;
    if (!next) return { items, resourceVersion: page.metadata.resourceVersion ?? "" };
  }
}

/** `withObjects`: rows carry whole objects (for sorting), not only metadata. */
export async function fetchTable(
  session: Session,
  s: Selection,
  o: { withObjects?: boolean } = {},
): Promise<ServerTable> {
  const { path, query } = locate(s);
  const include = o.withObjects ? { includeObject: "Object" } : {};
  const get = (more: Record<string, string>) =>
    json<ServerTable>(session, path, { ...query, ...include, ...more }, TABLE_ACCEPT);
  if (s.name !== undefined) return get({});
  const table = await get({ limit: PAGE });
  for (let next = table.metadata?.continue; next;) {
    const page = await get({ limit: PAGE, continue: next });
    table.rows.push(...page.rows);
    next = page.metadata?.continue;
  }
  return table;
}

/** Events after `resourceVersion`; `accept` for Tables. One named object is watched through a field selector. */
export function watchSelection(
  session: Session,
  s: Selection,
  o: { resourceVersion?: string; accept?: string; signal?: AbortSignal },
): AsyncGenerator<WatchEvent<ApiObject>, void, undefined> {
  const { name, ...rest } = s;
  const fieldSelector = [s.fieldSelector, name === undefined ? undefined : `metadata.name=${name}`]
    .filter(Boolean)
    .join(",");
  const { path, query } = locate({ ...rest, fieldSelector });
  const all = {
    ...query,
    watch: "true",
    allowWatchBookmarks: "true",
    ...(o.resourceVersion && { resourceVersion: o.resourceVersion }),
  };
  return session.transport.watchRaw(
    path,
    { query: all, ...(o.accept && { headers: { accept: o.accept } }) },
    o.signal ?? session.io.signal,
  );
}
