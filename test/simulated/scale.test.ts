/** Many nodes, many Pods: the real time that a whole cluster's decisions and writes take. */
import { expect, test } from "@jest/globals";
import { isReady, SimulatedCluster } from "../harness/simulated.ts";

const NODES = 200;
const PODS = 2_000;

test(`${NODES} nodes run ${PODS} Pods, evenly`, async () => {
  const began = performance.now();
  await using c = await SimulatedCluster.start({ nodes: NODES });
  const joined = performance.now();
  const resources = { requests: { cpu: "100m", memory: "64Mi" } };
  const labels = { app: "web" };
  await Promise.all(Array.from({ length: PODS }, (_, n) => c.create(`web-${n}`, [{ resources }], { labels })));
  const created = performance.now();
  await c.until(async () => (await c.pods()).every(isReady), 60_000, 100);
  const ready = performance.now();
  const s = (from: number, to: number) => `${((to - from) / 1000).toFixed(1)} s`;
  console.info(
    `${NODES} nodes joined in ${s(began, joined)}; ${PODS} Pods created in ${s(joined, created)}, running after ${s(created, ready)}`,
  );

  const perNode = new Map<string | undefined, number>();
  for (const p of await c.pods()) perNode.set(p.spec?.nodeName, (perNode.get(p.spec?.nodeName) ?? 0) + 1);
  expect(perNode.size).toBe(NODES);
  expect(Math.max(...perNode.values()) - Math.min(...perNode.values())).toBeLessThanOrEqual(2);
  expect(c.running()).toHaveLength(PODS);
});
