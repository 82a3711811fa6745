import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { Servers } from "./servers.ts";

const urls = (count: number) => Array.from({ length: count }, (_, i) => new URL(`https://api${i}:6443`));

describe("Servers", () => {
  test("the same one until it fails, then the next, and after the last the first", () => {
    const servers = new Servers(urls(3));
    const asked = [servers.current.hostname];
    for (let i = 0; i < 3; i++) {
      servers.failed(servers.current);
      asked.push(servers.current.hostname);
    }
    expect(asked).toEqual(["api0", "api1", "api2", "api0"]);
  });

  test("many calls that fail on one server move everybody once", () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 5 }), fc.integer({ min: 1, max: 20 }), (count, calls) => {
        const all = urls(count);
        const servers = new Servers(all);
        const first = servers.current;
        for (let i = 0; i < calls; i++) servers.failed(first);
        expect(servers.current).toBe(all[1]);
      }),
    );
  });

  test("one alone is asked for ever", () => {
    const servers = new Servers(urls(1));
    servers.failed(servers.current);
    expect(servers.current.hostname).toBe("api0");
  });
});
