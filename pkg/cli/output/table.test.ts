import { describe, expect, test } from "@jest/globals";
import { paintFor } from "../io.ts";
import { type ServerTable, type TableView, viewTable } from "./server-table.ts";
import { TablePrinter } from "./table.ts";

const plain = paintFor({ isTTY: false }, {});
const table: ServerTable = {
  kind: "Table",
  columnDefinitions: [
    { name: "Name", type: "string", format: "name" },
    { name: "Status", type: "string" },
    { name: "Node", type: "string", priority: 1 },
  ],
  rows: [
    {
      cells: ["web", "Running", "n1"],
      object: { metadata: { namespace: "default", labels: { app: "web", "x/tier": "t" } } },
    },
    { cells: ["db", "Error\nagain", null], object: { metadata: { namespace: "prod" } } },
  ],
};
const view: TableView = { wide: false, headers: true, namespaces: false, showLabels: false, labelColumns: [] };
const print = (v: Partial<TableView>) => new TablePrinter(plain).format(viewTable(table, { ...view, ...v }));

describe("the server's tables", () => {
  test("columns stand under each other; those of low priority only show with -o wide", () => {
    expect(print({})).toBe("NAME   STATUS\nweb    Running\ndb     Error again\n");
    expect(print({ wide: true })).toBe(
      "NAME   STATUS        NODE\nweb    Running       n1\ndb     Error again   <none>\n",
    );
  });

  test("namespaces, kinds, labels", () => {
    expect(print({ namespaces: true, namePrefix: "pod/", labelColumns: ["x/tier"], showLabels: true })).toBe(
      "NAMESPACE   NAME      STATUS        TIER   LABELS\ndefault     pod/web   Running       t      app=web,x/tier=t\nprod        pod/db    Error again          <none>\n",
    );
    expect(print({ headers: false })).toBe("web   Running\ndb    Error again\n");
  });

  test("the rows of a watch stay under their headings", () => {
    const printer = new TablePrinter(plain);
    printer.format({ header: ["NAME", "STATUS"], rows: [["a-long-name", "Running"]] });
    expect(printer.format({ rows: [["b", "Pending"]] })).toBe("b             Pending\n");
  });
});

describe("colour", () => {
  const cells = (stream: { isTTY: boolean }, env: Record<string, string>) =>
    new TablePrinter(paintFor(stream, env)).format({
      rows: [
        ["web", "Running"],
        ["db", "CrashLoopBackOff"],
      ],
    });
  test("on a terminal words of state are coloured, and the columns still fit", () => {
    expect(cells({ isTTY: true }, {})).toBe(
      "web   \u001b[32mRunning\u001b[39m\ndb    \u001b[31mCrashLoopBackOff\u001b[39m\n",
    );
  });
  test("piped, or with NO_COLOR, or on a dumb terminal, nothing is", () => {
    for (const text of [
      cells({ isTTY: false }, {}),
      cells({ isTTY: true }, { NO_COLOR: "1" }),
      cells({ isTTY: true }, { TERM: "dumb" }),
    ]) {
      expect(text).toBe("web   Running\ndb    CrashLoopBackOff\n");
    }
  });
});
