import { describe, expect, test } from "@jest/globals";
import { FakeClock } from "../util/fake-clock.ts";
import { type Behaviour, describeRuntime } from "./conformance.ts";
import { FakeRuntime } from "./fake.ts";
import { RuntimeError } from "./runtime.ts";

function command(b: Behaviour): readonly string[] {
  return [
    "run",
    ...(b.logs ?? []).map((line) => `--log=${line}`),
    ...(b.exit === undefined ? [] : ["--for=10ms", `--exit=${b.exit}`]),
    ...(b.ignoreTerm ? ["--ignore-term"] : []),
    ...(b.oom ? ["--oom"] : []),
    ...(b.notFound ? ['--start-error=exec: "nope": executable file not found in $PATH'] : []),
  ];
}

describeRuntime("fake", async () => {
  const clock = new FakeClock();
  const runtime = new FakeRuntime({ clock });
  const find = (id: string) => runtime.world.containers.get(id)?.config ?? { podUid: "", name: "" };
  return {
    runtime,
    again: () => new FakeRuntime({ clock, world: runtime.world }),
    network: "10.239",
    image: "busybox",
    missingImage: "missing:1",
    command,
    async settle(p) {
      let done = false;
      const over = () => void (done = true);
      p.then(over, over);
      await clock.advanceUntil(() => done);
      return p;
    },
    kill: async (id) => runtime.kill(find(id).podUid, find(id).name),
    removeBehindBack: async (id) => runtime.removeBehindBack(find(id).podUid, find(id).name),
    async dispose() {
      for (const c of runtime.world.containers.values()) c.dispose();
      if (clock.pending > 0) throw new Error(`${clock.pending} timers left`);
      if (runtime.world.subscribers.size > 0) throw new Error("subscribers left");
    },
  };
});

describe("FakeRuntime on demand", () => {
  const signal = new AbortController().signal;
  const sandbox = {
    uid: "u",
    name: "p",
    namespace: "default",
    attempt: 0,
    hostname: "p",
    hostNetwork: false,
    ports: [],
    shareProcessNamespace: false,
  };

  test("a verb fails as often as asked, then works", async () => {
    const rt = new FakeRuntime({ clock: new FakeClock() });
    const error = new RuntimeError("RuntimeUnavailable", "gone");
    rt.failNext("createSandbox", error, 2);
    await expect(rt.createSandbox(sandbox, signal)).rejects.toBe(error);
    await expect(rt.createSandbox(sandbox, signal)).rejects.toBe(error);
    await rt.createSandbox(sandbox, signal);
    expect(rt.calls.get("createSandbox")).toBe(3);
  });

  test("a slow verb takes its time, and no more after an abort", async () => {
    const clock = new FakeClock();
    const rt = new FakeRuntime({ clock });
    rt.delay("createSandbox", 1000);
    const stop = new AbortController();
    const creating = rt.createSandbox(sandbox, stop.signal);
    await clock.advance(999);
    expect(rt.world.sandboxes.size).toBe(0);
    await clock.advance(1);
    await creating;
    const second = rt.createSandbox({ ...sandbox, uid: "v" }, stop.signal);
    stop.abort(new Error("enough"));
    await expect(second).rejects.toThrow("enough");
    expect(clock.pending).toBe(0);
  });

  test("lost events stay lost; the state is true all the same", async () => {
    const rt = new FakeRuntime({ clock: new FakeClock() });
    const stop = new AbortController();
    const seen: string[] = [];
    const reading = (async () => {
      for await (const { podUid } of rt.events(stop.signal)) seen.push(podUid);
    })();
    const { id } = await rt.createSandbox(sandbox, signal);
    rt.loseEvents();
    await rt.startSandbox(id, signal);
    rt.loseEvents(false);
    stop.abort();
    await reading;
    expect(seen).toEqual([]);
    expect((await rt.getPod("u", signal))?.sandbox?.state).toBe("running");
  });

  test("the same calls give the same ids and addresses", async () => {
    const run = async () => {
      const rt = new FakeRuntime({ clock: new FakeClock() });
      const { id } = await rt.createSandbox(sandbox, signal);
      return { id, ...(await rt.startSandbox(id, signal)) };
    };
    expect(await run()).toEqual(await run());
  });
});
