/** `get`: objects as the server's tables, or in another form; once, or as they change. */
import type { ApiObject } from "../../api/object.ts";
import { ApiError } from "../../api/status.ts";
import type { KnownResource } from "../discovery.ts";
import { eachOrAggregate } from "../errors.ts";
import { type Selection, fetchList, fetchTable, watchSelection } from "../fetch.ts";
import { UsageError } from "../io.ts";
import {
  FORMATS,
  type Format,
  formatObjects,
  type Found,
  parseFormat,
  withoutManagedFields,
} from "../output/format.ts";
import { type ServerTable, TABLE_ACCEPT, type TableView, viewTable } from "../output/server-table.ts";
import { sortBy } from "../output/sort.ts";
import { TablePrinter } from "../output/table.ts";
import { type CommandModule, examples } from "../command.ts";
import { readManifests } from "../manifests.ts";
import type { Session } from "../session.ts";
import { resolveTargets } from "../targets.ts";

interface Options {
  output?: string;
  watch?: boolean;
  watchOnly?: boolean;
  allNamespaces?: boolean;
  selector?: string;
  fieldSelector?: string;
  sortBy?: string;
  showLabels?: boolean;
  labelColumns?: string[];
  headers: boolean;
  ignoreNotFound?: boolean;
  showManagedFields?: boolean;
  filename?: string[];
  recursive?: boolean;
}

export const command: CommandModule = {
  define: (c, run) =>
    c
      .argument("[targets...]", "TYPE[,TYPE…] [NAME…], or TYPE/NAME…, or the category all")
      .option("-o, --output <format>", FORMATS)
      .option("-w, --watch", "after listing, print every change")
      .option("--watch-only", "print changes only")
      .option("-A, --all-namespaces", "of all namespaces")
      .option("-l, --selector <labels>", "only what has these labels: app=web,tier!=db")
      .option("--field-selector <fields>", "only what has these fields: status.phase=Running")
      .option("--sort-by <path>", "order by a field: .metadata.creationTimestamp")
      .option("--show-labels", "a last column with all labels")
      .option("-L, --label-columns <keys>", "a column for each of these labels", commaList)
      .option("--no-headers", "no line of headings")
      .option("--ignore-not-found", "say nothing and succeed if a named object does not exist")
      .option("--show-managed-fields", "keep metadata.managedFields in json and yaml")
      .option("-f, --filename <file>", "the objects that a manifest names (may be repeated)", collect)
      .option("-R, --recursive", "with -f DIR: its subdirectories too")
      .addHelpText(
        "after",
        examples(
          "mini-kube get pods                                   the Pods of your namespace",
          "mini-kube get po,cm -A                               several kinds, of all namespaces",
          "mini-kube get pod/web -o yaml                        one object, whole",
          "mini-kube get all -l app=web                         whatever belongs to an app",
          "mini-kube get pods -w                                print every change until Ctrl-C",
          `mini-kube get pods -o jsonpath='{.items[*].status.podIP}'`,
          "mini-kube get nodes -o custom-columns=NAME:.metadata.name,CPU:.status.capacity.cpu",
          "mini-kube get events --sort-by=.lastTimestamp",
        ),
      )
      .action(run(get)),
};

export function commaList(value: string, before: string[] = []): string[] {
  return [...before, ...value.split(",").filter((v) => v !== "")];
}

export function collect(value: string, before: string[] = []): string[] {
  return [...before, value];
}

async function get(session: Session, words: string[], o: Options): Promise<void> {
  const format = parseFormat(o.output);
  const selections = await selectionsOf(session, words, o);
  const named = selections.some((s) => s.name !== undefined);
  if (named && (o.selector !== undefined || o.fieldSelector !== undefined)) {
    throw new UsageError("name(s) cannot be given together with -l or --field-selector");
  }
  const view: Omit<TableView, "namePrefix"> = {
    wide: format.type === "table" && format.wide,
    headers: o.headers,
    namespaces: o.allNamespaces === true,
    showLabels: o.showLabels === true,
    labelColumns: o.labelColumns ?? [],
  };
  if (o.watch || o.watchOnly) return watch({ session, selections, format, view, o });
  if (format.type === "table") return printTables({ session, selections, view, o });
  await printObjects({ session, selections, format, o });
}

async function selectionsOf(session: Session, words: readonly string[], o: Options): Promise<Selection[]> {
  if (o.filename?.length) {
    const manifests = await readManifests(session, o.filename, o);
    return manifests.map(({ resource, object, namespace }) => ({
      resource,
      namespace,
      name: object.metadata.name ?? "",
    }));
  }
  const selectors = { labelSelector: o.selector, fieldSelector: o.fieldSelector };
  const targets = await resolveTargets(session.discovery, words);
  if (o.allNamespaces && targets.some((t) => t.names && t.resource.namespaced)) {
    throw new UsageError("a resource cannot be retrieved by name across all namespaces");
  }
  return targets.flatMap(({ resource, names }): Selection[] => {
    const namespace = o.allNamespaces || !resource.namespaced ? undefined : session.namespace;
    return names ? names.map((name) => ({ resource, namespace, name })) : [{ resource, namespace, ...selectors }];
  });
}

interface Listing {
  readonly session: Session;
  readonly selections: readonly Selection[];
  readonly o: Options;
}

const ignorable = (error: unknown, o: Options) =>
  o.ignoreNotFound && error instanceof ApiError && error.reason === "NotFound";

/** Named objects of one kind make one table, kinds follow each other with a blank line between. */
async function printTables(l: Listing & { view: Omit<TableView, "namePrefix"> }): Promise<void> {
  const { session, selections, view, o } = l;
  const kinds = new Set(selections.map((s) => s.resource));
  const many = kinds.size > 1;
  let printed = 0;
  await eachOrAggregate(kinds, async (resource) => {
    const tables: ServerTable[] = [];
    const mine = selections.filter((s) => s.resource === resource);
    try {
      await eachOrAggregate(mine, async (s) => {
        const table = await fetchTable(session, s, { withObjects: o.sortBy !== undefined }).catch((error: unknown) => {
          if (ignorable(error, o)) return undefined;
          throw error;
        });
        if (table) tables.push(table);
      });
    } finally {
      const [first] = tables;
      const rows = tables.flatMap((t) => t.rows);
      if (first && rows.length > 0) {
        const sorted = o.sortBy === undefined ? rows : sortBy(rows, o.sortBy, (r) => r.object);
        const text = viewTable({ ...first, rows: sorted }, { ...view, namePrefix: prefixOf(resource, many) });
        await session.say((printed > 0 ? "\n" : "") + new TablePrinter(session.paint).format(text));
        printed += 1;
      }
    }
  });
  if (printed === 0 && !selections.some((s) => s.name !== undefined))
    session.note(nothingFound(session, selections, o));
}

const prefixOf = (r: KnownResource, many: boolean) =>
  many ? `${r.group ? `${r.singular}.${r.group}` : r.singular}/` : undefined;

function nothingFound(session: Session, selections: readonly Selection[], o: Options): string {
  const namespaced = selections.every((s) => s.resource.namespaced);
  return namespaced && !o.allNamespaces
    ? `No resources found in ${session.namespace} namespace.`
    : "No resources found";
}

async function printObjects(l: Listing & { format: Format }): Promise<void> {
  const { session, selections, format, o } = l;
  const found: Found[] = [];
  try {
    await eachOrAggregate(selections, async (s) => {
      const { items } = await fetchList(session, s).catch((error: unknown) => {
        if (ignorable(error, o)) return { items: [] };
        throw error;
      });
      found.push(...items.map((object) => ({ resource: s.resource, object })));
    });
  } finally {
    const list = selections.length !== 1 || selections[0]?.name === undefined;
    const shown = found.map((f) => ({ ...f, object: o.showManagedFields ? f.object : withoutManagedFields(f.object) }));
    const sorted = o.sortBy === undefined ? shown : sortBy(shown, o.sortBy, (f) => f.object);
    const printer = new TablePrinter(session.paint);
    if (list || sorted.length > 0) {
      const text = formatObjects(format, sorted, { list, printer, headers: o.headers });
      // A template's text is the user's: no newline is added to it.
      session.io.stdout.write(text);
    }
  }
}

async function watch(l: Listing & { format: Format; view: Omit<TableView, "namePrefix"> }): Promise<void> {
  const { session, selections, format, view, o } = l;
  const [selection] = selections;
  if (!selection || selections.length > 1)
    throw new UsageError("only one kind, or one object, can be watched at a time");
  const printer = new TablePrinter(session.paint);
  const print = async (table: ServerTable, header: boolean) =>
    session.say(printer.format(viewTable(table, { ...view, headers: header && view.headers })));
  if (format.type !== "table") return watchObjects({ session, selection, format, printer, o });
  const first = await fetchTable(session, selection);
  let columns = first.columnDefinitions;
  let headed = false;
  if (!o.watchOnly && first.rows.length > 0) {
    await print(first, true);
    headed = true;
  }
  const resourceVersion = first.metadata?.resourceVersion ?? first.rows[0]?.object?.metadata.resourceVersion ?? "";
  for await (const event of watchSelection(session, selection, { resourceVersion, accept: TABLE_ACCEPT })) {
    if (event.type === "BOOKMARK") continue;
    const table = event.object as unknown as ServerTable;
    if (table.columnDefinitions?.length > 0) columns = table.columnDefinitions;
    await print({ ...table, columnDefinitions: columns }, !headed);
    headed = true;
  }
}

async function watchObjects(w: {
  session: Session;
  selection: Selection;
  format: Format;
  printer: TablePrinter;
  o: Options;
}) {
  const { session, selection, format, printer, o } = w;
  const { items, resourceVersion } = await fetchList(session, selection);
  let headers = o.headers;
  const print = (object: ApiObject) => {
    const shown = o.showManagedFields ? object : withoutManagedFields(object);
    const separator = format.type === "yaml" && !headers ? "---\n" : "";
    session.io.stdout.write(
      separator +
        formatObjects(format, [{ resource: selection.resource, object: shown }], { list: false, printer, headers }),
    );
    headers = false;
  };
  if (!o.watchOnly) for (const item of items) print(item);
  for await (const event of watchSelection(session, selection, { resourceVersion })) {
    if (event.type !== "BOOKMARK") print(event.object);
  }
}
