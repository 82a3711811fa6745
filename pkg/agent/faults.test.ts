/** What a runtime that fails, hangs or is slow must not do to a Pod. */
import { describe, expect, test } from "@jest/globals";
import { RuntimeError } from "../runtime/runtime.ts";
import { Harness } from "./testing/harness.ts";

const broken = new RuntimeError("RuntimeError", "can't get final child's PID from pipe: EOF");

describe("a sandbox that cannot be started", () => {
  test("makes room for another, after a pause that grows", async () => {
    await using h = new Harness();
    h.runtime.failNext("startSandbox", broken, 3);
    h.start();
    h.create("web", [{}, {}]);
    const tries: number[] = [];
    const began = h.clock.now();
    for (let n = 1; n <= 4; n++) {
      await h.until(() => h.runtime.calls.get("startSandbox") === n, 11_000);
      tries.push(Math.floor((h.clock.now() - began) / 1000));
    }
    expect(tries).toEqual([0, 1, 3, 7]);
    await h.untilRunning("web");
    expect([...h.runtime.world.sandboxes.values()].map((s) => s.config.attempt)).toEqual([3]);
    expect(h.runtime.world.containers.size).toBe(2);
    const { containerStatuses } = h.pod("web")?.status ?? {};
    expect(containerStatuses?.map((s) => s.restartCount)).toEqual([0, 0]);
    expect(h.events("FailedCreatePodSandBox")[0]).toBe(`Failed to create pod sandbox: ${broken.message}`);
  });

  test("is asked about at most once a back-off, however long it fails", async () => {
    await using h = new Harness();
    h.runtime.failNext("startSandbox", broken, 1_000);
    h.start();
    h.create("web", [{}]);
    await h.clock.advance(60_000);
    expect(h.runtime.calls.get("startSandbox")).toBe(9); // after 0, 1, 3, 7, 15 s, then every 10 s
    expect(h.pod("web")?.status?.phase).toBe("Pending");
  });

  test("is found by the next agent, too", async () => {
    await using h = new Harness();
    h.runtime.failNext("startSandbox", broken);
    h.runtime.delay("removeSandbox", 1e9);
    h.start();
    h.create("web", [{}]);
    await h.until(() => h.runtime.calls.get("removeSandbox") === 1);
    await h.stop();
    h.runtime.delay("removeSandbox", 0);
    h.runtime.failNext("startSandbox", broken);
    h.start();
    await h.untilRunning("web");
    expect(h.runtime.world.sandboxes.size).toBe(1);
  });
});

test("a look at the runtime that never comes back is taken again", async () => {
  await using h = new Harness();
  h.start();
  h.create("web", [{}]);
  await h.untilRunning("web");
  h.runtime.delay("getPod", Infinity);
  h.runtime.kill("web-uid", "c0");
  await h.clock.advance(20_000);
  h.runtime.delay("getPod", 0);
  expect(h.runtime.calls.get("startContainer")).toBe(1);
  await h.until(() => h.runtime.calls.get("startContainer") === 2, 15_000);
  expect(h.runtime.calls.get("getPod")).toBe(2);
});

test("so is a list of all Pods at the start", async () => {
  await using h = new Harness();
  h.runtime.delay("listPods", Infinity);
  h.start();
  h.create("web", [{}]);
  await h.clock.advance(20_000);
  expect(h.pod("web")?.status).toBeUndefined();
  h.runtime.delay("listPods", 0);
  await h.untilRunning("web");
});

test("a Pod deleted while it waits for its turn leaves the turn to others", async () => {
  await using h = new Harness({ agent: { parallelStarts: 1 } });
  h.runtime.delay("startSandbox", 5_000);
  h.start();
  h.create("first", [{}]);
  await h.until(() => h.runtime.calls.get("startSandbox") === 1);
  h.create("given-up", [{}]);
  await h.clock.advance(100);
  h.api.deletePod("default", "given-up", 0);
  await h.clock.advance(100);
  h.create("last", [{}]);
  await h.untilRunning("last");
  expect(h.runtime.calls.get("createSandbox")).toBe(2);
});

test("a Pod bound before the agent has measured its machine waits for that", async () => {
  const machine = { diskTotal: 1e11, diskAvailable: 5e10, memoryAvailable: 4e9, machineId: "m", bootId: "b" };
  await using h = new Harness();
  h.create("web", [{ resources: { requests: { cpu: "1" } } }]);
  const measure = () => h.clock.sleep(2_000, new AbortController().signal).then(() => machine);
  h.start({ measure });
  await h.clock.advance(1_900);
  expect(h.pod("web")?.status).toBeUndefined();
  await h.untilRunning("web");
  await h.clock.advance(5_000); // no measuring is under way at the end
});
