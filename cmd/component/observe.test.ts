import { afterEach, describe, expect, test } from "@jest/globals";
import { systemClock } from "../../pkg/util/clock.ts";
import { silent } from "../../pkg/util/log.ts";
import { Metrics, processMetrics } from "../../pkg/util/metrics.ts";
import { LogLevels } from "./log-levels.ts";
import { type Observed, parseAddress, serveObserve } from "./observe.ts";

let open: Observed | undefined;
afterEach(async () => {
  await open?.close();
  open = undefined;
});

async function serve(well = () => true) {
  const metrics = new Metrics();
  processMetrics(metrics, systemClock.now() / 1000);
  const level = new LogLevels();
  level.know("default-scheduler");
  const api = async () => {
    if (!well()) throw new Error("secret: the server at 10.0.0.1 is away");
  };
  open = await serveObserve({
    address: "127.0.0.1:0",
    checks: [{ name: "api-server", run: api, readyOnly: true }],
    metrics,
    log: silent,
    level,
  });
  const { url } = open;
  const ask = async (path: string, init: RequestInit = {}) => {
    const response = await fetch(`${url}${path}`, init);
    return { code: response.status, text: await response.text(), type: response.headers.get("content-type") };
  };
  return { url, level, ask };
}

describe("a program is asked how it is", () => {
  test.each([
    ["/healthz", true, 200, "ok"],
    ["/livez", false, 200, "ok"],
    ["/readyz", true, 200, "ok"],
    ["/readyz?verbose", true, 200, "[+]ping ok\n[+]api-server ok\nreadyz check passed\n"],
    ["/readyz", false, 500, "[+]ping ok\n[-]api-server failed: reason withheld\nreadyz check failed\n"],
    ["/readyz/api-server", false, 500, "[-]api-server failed: reason withheld\nreadyz check failed\n"],
    ["/readyz?exclude=api-server", false, 200, "ok"],
  ])("%s, well: %s", async (path, well, code, text) => {
    const { ask } = await serve(() => well);
    expect(await ask(path)).toMatchObject({ code, text });
  });

  test("metrics are Prometheus'", async () => {
    const { ask } = await serve();
    const { code, text, type } = await ask("/metrics");
    expect({ code, type }).toEqual({ code: 200, type: "text/plain; version=0.0.4; charset=utf-8" });
    expect(text).toMatch(/^process_resident_memory_bytes \d+/m);
  });

  test("what there is not is said with what there is", async () => {
    const { ask } = await serve();
    expect(await ask("/secrets")).toMatchObject({ code: 404, text: expect.stringContaining("/readyz") });
  });
});

describe("its log level", () => {
  test("is told and changed", async () => {
    const { ask, level } = await serve();
    expect(JSON.parse((await ask("/debug/log-level")).text)).toMatchObject({ default: "info" });
    const { code, text } = await ask("/debug/log-level", { method: "PUT", body: "warn,scheduler=debug" });
    expect({ code, levels: JSON.parse(text) }).toMatchObject({
      code: 200,
      levels: { default: "warn", components: { "default-scheduler": "debug" } },
    });
    expect(level.of(["default-scheduler"])).toBe("debug");
  });

  test.each([
    ["PUT", "loud", 400, "is no log level"],
    ["PUT", "nobody=debug", 400, "nothing here is called"],
    ["PUT", "x".repeat(5_000), 400, "NAME=LEVEL"],
    ["DELETE", undefined, 405, "PUT changes it"],
  ])("%s %.10s is refused", async (method, body, code, words) => {
    const { ask, level } = await serve();
    const answer = await ask("/debug/log-level", { method, ...(body !== undefined && { body }) });
    expect(answer).toMatchObject({ code, text: expect.stringContaining(words) });
    expect(level.report().default).toBe("info");
  });
});

describe("where it listens", () => {
  test.each([
    ["127.0.0.1:10259", { host: "127.0.0.1", port: 10_259 }],
    ["[::1]:0", { host: "::1", port: 0 }],
    [":9090", { host: "0.0.0.0", port: 9_090 }],
  ])("%s", (text, expected) => expect(parseAddress(text)).toEqual(expected));

  test.each(["10259", "host:", "host:70000", "a:b:c", ""])("%p is refused", (text) => {
    expect(() => parseAddress(text)).toThrow("HOST:PORT");
  });

  test("an address in use is said", async () => {
    const { url } = await serve();
    const again = serveObserve({
      address: new URL(url).host,
      checks: [],
      metrics: new Metrics(),
      log: silent,
      level: new LogLevels(),
    });
    await expect(again).rejects.toThrow("another program listens there; choose another one with --observe-address");
  });
});
