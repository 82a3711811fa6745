/** Pods from files of a node, on a simulated cluster with real files. */
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isReady, SimulatedCluster } from "../harness/simulated.ts";

let dir: string;
beforeEach(() => void (dir = mkdtempSync(join(tmpdir(), "mk-static-"))));
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const write = (file: string, image = "app") =>
  writeFileSync(
    join(dir, file),
    `{apiVersion: v1, kind: Pod, metadata: {name: web}, spec: {terminationGracePeriodSeconds: 1, containers: [{name: main, image: ${image}, imagePullPolicy: Never}]}}`,
  );

async function cluster(): Promise<SimulatedCluster> {
  const c = await SimulatedCluster.start({ nodes: 0 });
  c.addNode("node-1", { staticPodsDir: dir });
  await c.untilNodesReady();
  return c;
}

/** Real files are read in real time: more looks than a fake clock alone would need. */
const until = (c: SimulatedCluster, done: () => boolean | Promise<boolean>) => c.until(done, 600_000, 100);
const started = (c: SimulatedCluster) => [...c.node().runtime.world.containers.values()].map((x) => x.id);
const ready = async (c: SimulatedCluster) => isReady(await c.pod("web-node-1"));

test("a file is a Pod that the API shows; without the file it ends", async () => {
  write("web.yaml");
  await using c = await cluster();
  await until(c, () => ready(c));
  expect(c.running()).toEqual(["web-node-1/main"]);
  expect((await c.pod("web-node-1"))?.metadata).toMatchObject({
    annotations: { "kubernetes.io/config.mirror": expect.any(String), "kubernetes.io/config.source": "file" },
    ownerReferences: [{ kind: "Node", name: "node-1", controller: true }],
  });
  rmSync(join(dir, "web.yaml"));
  await until(c, async () => (await c.pod("web-node-1")) === undefined && c.leftovers === 0);
  expect(c.running()).toEqual([]);
});

test("M2: who deletes the mirror deletes no Pod", async () => {
  write("web.yaml");
  await using c = await cluster();
  await until(c, () => ready(c));
  const [before, uid] = [started(c), (await c.pod("web-node-1"))?.metadata.uid];
  await c.delete("web-node-1");
  await until(c, async () => (await ready(c)) && (await c.pod("web-node-1"))?.metadata.uid !== uid);
  expect(started(c)).toEqual(before);
});

test("M1: another content is another Pod; what cannot be run changes nothing, and an event says why", async () => {
  write("web.yaml");
  await using c = await cluster();
  await until(c, () => ready(c));
  const before = started(c);
  writeFileSync(join(dir, "web.yaml"), "kind: Service\napiVersion: v1\n");
  await until(c, async () => (await c.events("node-1")).some((e) => e.startsWith("FailedStaticPod")));
  expect((await c.events("node-1")).find((e) => e.startsWith("FailedStaticPod"))).toContain(
    "web.yaml is no static Pod: it holds a Service, not a v1 Pod",
  );
  expect([started(c), await ready(c)]).toEqual([before, true]);
  c.node().runtime.world.images.add("app:2");
  write("web.yaml", "app:2");
  await until(c, async () => (await ready(c)) && !started(c).includes(before[0] ?? ""));
  expect((await c.pod("web-node-1"))?.spec?.containers[0]?.image).toBe("app:2");
  expect(c.running()).toEqual(["web-node-1/main"]);
});

test("it runs, and is adopted by the next agent, without an API server", async () => {
  write("web.yaml");
  await using c = await cluster();
  await until(c, () => ready(c));
  await c.create("plain");
  await c.untilReady("plain");
  await c.node().kill();
  await c.stopApiServer();
  c.node().start();
  await c.clock.advance(5_000);
  const before = started(c);
  c.node().runtime.killSandbox(
    [...c.node().runtime.world.sandboxes.values()].find((s) => s.config.name === "web-node-1")?.config.uid ?? "",
  );
  await until(c, () => c.running().includes("web-node-1/main") && started(c).some((id) => !before.includes(id)));
  expect(c.running()).toContain("plain/c0");
  await c.startApiServer();
  await until(c, async () => (await ready(c)) && isReady(await c.pod("plain")));
  expect((await c.pod("plain"))?.status?.containerStatuses?.[0]?.restartCount).toBe(0);
});
