import { describe, expect, test } from "@jest/globals";
import { LogLevels, openLogger } from "./log-levels.ts";

function recorded(spec: string) {
  const lines: string[] = [];
  const levels = new LogLevels(spec);
  const log = openLogger(levels, { write: (line: string) => void lines.push(line) });
  const said = () => lines.splice(0).map((l) => JSON.parse(l) as Record<string, unknown>);
  return { levels, log, said };
}

describe("what is logged", () => {
  test.each([
    ["info", ["info", "warn", "error"]],
    ["debug", ["debug", "info", "warn", "error"]],
    ["ERROR", ["error"]],
    ["silent", []],
    ["info,scheduler=debug", ["debug", "info", "warn", "error"]],
    ["error,default-scheduler=warn", ["warn", "error"]],
    ["default-scheduler=error,queue=info", ["info", "warn", "error"]],
    ["kubelet=debug", ["info", "warn", "error"]],
  ])("with %s", (spec, expected) => {
    const { log, said } = recorded(spec);
    const part = log.child({ component: "default-scheduler" }).child({ controller: "queue", key: "a/b" });
    for (const level of ["debug", "info", "warn", "error"] as const) part[level]({}, level);
    expect(said().map((l) => l["msg"])).toEqual(expected);
  });

  test("a line has the fields of all it stands under", () => {
    const { log, said } = recorded("info");
    log.child({ component: "kubelet" }).child({ pod: "web" }).info({ node: "n1" }, "started");
    expect(said()).toEqual([
      expect.objectContaining({ component: "kubelet", pod: "web", node: "n1", msg: "started", level: 30 }),
    ]);
  });
});

describe("a change", () => {
  test("counts for loggers that were there before it", () => {
    const { levels, log, said } = recorded("info");
    const part = log.child({ component: "kubelet" });
    part.debug({}, "before");
    levels.set("agent=debug");
    part.debug({}, "while");
    levels.set("agent=");
    part.debug({}, "after");
    expect(said().map((l) => l["msg"])).toEqual(["while"]);
  });

  test("is whole or not at all", () => {
    const { levels, log } = recorded("info");
    log.child({ component: "kubelet" });
    expect(() => levels.set("debug,nobody=debug")).toThrow('nothing here is called "nobody"; there are: kubelet');
    expect(levels.report()).toEqual({ default: "info", components: {}, known: ["kubelet"] });
  });

  test("by one step stays within what there is", () => {
    const { levels } = recorded("info");
    expect([levels.shift(-1), levels.shift(-1), levels.shift(1), levels.shift(1), levels.shift(1)]).toEqual([
      "debug",
      "debug",
      "info",
      "warn",
      "error",
    ]);
    expect([levels.shift(1), levels.shift(1)]).toEqual(["silent", "silent"]);
  });

  test.each(["loud", "kubelet=loud", "=debug,x", "trace"])("%s is refused", (spec) => {
    expect(() => new LogLevels(spec)).toThrow(/is no log level; write one of debug, info, warn, error, silent/);
  });
});
