import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { SchedulerCache } from "./cache.ts";
import type { NodeInfo } from "./node-info.ts";
import type { PodInfo } from "./pod-info.ts";
import { cacheOf, info, node } from "./fakes.ts";

/** What the totals of a node must be (T1). */
function recount(n: NodeInfo) {
  const requested: Record<string, number> = {};
  const nonZero = { cpu: 0, memory: 0 };
  for (const p of n.pods.values()) {
    for (const [name, amount] of Object.entries(p.requests)) requested[name] = (requested[name] ?? 0) + amount;
    nonZero.cpu += p.nonZero.cpu;
    nonZero.memory += p.nonZero.memory;
  }
  return { requested, nonZero };
}

const web = (key: string) => ({ key, selects: (p: PodInfo) => p.pod.metadata.labels?.["app"] === "web" });

const nonZeroEntries = (r: Readonly<Record<string, number>>) =>
  Object.fromEntries(Object.entries(r).filter(([, n]) => n !== 0));

const withPort = (hostPort: number, hostIP?: string) => ({
  containers: [{ name: "c", image: "x", ports: [{ containerPort: 80, hostPort, ...(hostIP && { hostIP }) }] }],
});

describe("SchedulerCache", () => {
  it("S2: an assumed Pod counts until forgotten; a confirmed one is not forgotten", () => {
    const cache = cacheOf([node("n1")]);
    const a = info("a", { requests: { cpu: "1" } });
    cache.assume(a, "n1");
    expect(cache.isAssumed(a.key, a.uid)).toBe(true);
    expect(cache.node("n1")?.requested["cpu"]).toBe(1_000);
    cache.forget(a);
    expect(cache.node("n1")?.requested["cpu"]).toBe(0);

    cache.assume(a, "n1");
    cache.put(info("a", { requests: { cpu: "1" } }), "n1");
    cache.forget(a);
    expect(cache.node("n1")?.requested["cpu"]).toBe(1_000);
  });

  it("S3: remembers the Pods of a node it does not know (any more)", () => {
    const cache = new SchedulerCache();
    cache.put(info("a", { requests: { cpu: "1" } }), "n1");
    cache.setNode(node("n1"));
    expect(cache.node("n1")?.requested["cpu"]).toBe(1_000);
    cache.removeNode("n1");
    expect(cache.nodes).toEqual([]);
    cache.setNode(node("n1"));
    expect(cache.node("n1")?.pods.size).toBe(1);
  });

  it("guesses what a container needs that asks for nothing, for scoring only", () => {
    const cache = cacheOf([node("n1")], { n1: [info("a"), info("b", { requests: { cpu: "250m" } })] });
    expect(nonZeroEntries(cache.node("n1")?.requested ?? {})).toEqual({ cpu: 250 });
    expect(cache.node("n1")?.nonZero).toEqual({ cpu: 350, memory: 400 * 2 ** 20 });
  });

  it.each([
    [{ port: 80 }, { port: 80 }, true],
    [{ port: 80 }, { port: 81 }, false],
    [{ port: 80, ip: "10.0.0.1" }, { port: 80, ip: "10.0.0.2" }, false],
    [{ port: 80, ip: "10.0.0.1" }, { port: 80 }, true],
    [{ port: 80 }, { port: 80, ip: "10.0.0.2" }, true],
  ])("host ports: %j against %j collide: %s", (taken, wanted, collide) => {
    const cache = cacheOf([node("n1")], {
      n1: [info("a", withPort(taken.port, "ip" in taken ? taken.ip : undefined))],
    });
    const ports = info("b", withPort(wanted.port, "ip" in wanted ? wanted.ip : undefined)).ports;
    expect(cache.node("n1")?.portsTaken(ports)).toBe(collide);
    cache.remove("default/a");
    expect(cache.node("n1")?.portsTaken(ports)).toBe(false);
  });

  it("T1, S1, Y1: totals and tallies equal a recount after any changes", () => {
    const op = fc.record({
      type: fc.constantFrom("put", "assume", "forget", "remove", "setNode", "removeNode"),
      pod: fc.integer({ min: 0, max: 7 }),
      node: fc.integer({ min: 0, max: 3 }),
      cpu: fc.integer({ min: 0, max: 2_000 }),
      gpu: fc.boolean(),
      labels: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(op, { maxLength: 100 }), (ops) => {
        const cache = cacheOf([node("n0"), node("n1")]);
        const webs = cache.count(web("asked first"));
        const model = new Map<string, { pod: PodInfo; node: string; assumed: boolean }>();
        for (const o of ops) {
          const name = `n${o.node}`;
          const pod = info(`p${o.pod}`, {
            requests: { cpu: `${o.cpu}m`, ...(o.gpu && { "nvidia.com/gpu": "1" }) },
            ...(o.labels && { labels: { app: "web" } }),
            ...(o.gpu && withPort(8_000 + o.pod)),
          });
          const known = model.get(pod.key);
          switch (o.type) {
            case "put":
            case "assume":
              cache[o.type](pod, name);
              model.set(pod.key, { pod, node: name, assumed: o.type === "assume" });
              break;
            case "forget":
              if (known) cache.forget(known.pod);
              if (known?.assumed) model.delete(pod.key);
              break;
            case "remove":
              cache.remove(pod.key);
              model.delete(pod.key);
              break;
            case "setNode":
              cache.setNode(node(name));
              break;
            case "removeNode":
              cache.removeNode(name);
          }
        }
        let group = 0;
        for (const n of cache.nodes) {
          const here = [...model.values()].filter((p) => p.node === n.name).map((p) => p.pod);
          expect(new Set(n.pods.values())).toEqual(new Set(here));
          const { requested, nonZero } = recount(n);
          expect(nonZeroEntries(n.requested)).toEqual(nonZeroEntries(requested));
          expect(n.nonZero).toEqual(nonZero);
          expect(here.filter((p) => p.ports.length > 0 && !n.portsTaken(p.ports))).toEqual([]);
          group += here.filter((p) => p.group !== "").length;
          expect(cache.node(n.name)).toBe(n);
        }
        const counted = cache.nodes.map((n) => webs.on(n)).reduce((a, b) => a + b, 0);
        expect(counted).toBe(group);
        expect(cache.count(web("asked now"))).toEqual(webs);
      }),
      { numRuns: 200 },
    );
  });
});
