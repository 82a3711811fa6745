import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { FakeClock } from "../util/fake-clock.ts";
import { type Check, Health } from "./health.ts";

const clock = new FakeClock();
let store: Check["run"] = () => Promise.resolve();
const health = new Health([{ name: "store", run: () => store(), readyOnly: true }], clock);
const server = createServer((req, res) => void health.answer(req, res).catch(() => res.writeHead(404).end()));

beforeAll(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve)));
afterAll(() => new Promise((resolve) => server.close(resolve)));

async function ask(path: string): Promise<[number, string]> {
  const answer = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`);
  return [answer.status, await answer.text()];
}

describe("health", () => {
  it("is ok in a word, or in detail", async () => {
    store = () => Promise.resolve();
    expect(await ask("/readyz")).toEqual([200, "ok"]);
    expect(await ask("/livez/ping")).toEqual([200, "ok"]);
    expect(await ask("/readyz?verbose")).toEqual([200, "[+]ping ok\n[+]store ok\nreadyz check passed\n"]);
    expect(await ask("/readyz/nonsense")).toEqual([404, ""]);
  });

  it("without its store a server is alive but not ready, and keeps the reason to itself", async () => {
    store = () => Promise.reject(new Error("connect ECONNREFUSED 10.0.0.1"));
    expect(await ask("/livez")).toEqual([200, "ok"]);
    const failed = "[+]ping ok\n[-]store failed: reason withheld\nreadyz check failed\n";
    expect(await ask("/readyz")).toEqual([500, failed]);
    expect(await ask("/readyz?exclude=store")).toEqual([200, "ok"]);
  });

  it("a store that does not answer is none", async () => {
    let asked = () => {};
    const waits = new Promise<void>((resolve) => (asked = resolve));
    store = () => {
      asked();
      return new Promise(() => {});
    };
    const answer = ask("/readyz/store");
    await waits;
    await clock.advance(2_000);
    expect((await answer)[0]).toBe(500);
    expect(clock.pending).toBe(0);
  });
});
