import { describe, expect, test } from "@jest/globals";
import type { Node, Pod } from "../api/generated/types.ts";
import { RuntimeError } from "../runtime/runtime.ts";
import { Harness, NODE } from "./testing/harness.ts";

const restarts = (pod: Pod | undefined) => pod?.status?.containerStatuses?.[0]?.restartCount ?? 0;
const state = (pod: Pod | undefined, n = 0) => pod?.status?.containerStatuses?.[n]?.state;

describe("agent", () => {
  test("registers its node and keeps a lease", async () => {
    await using h = new Harness({ agent: { extendedResources: { "nvidia.com/gpu": "2" } } });
    h.start();
    await h.until(() => h.api.get("leases", "kube-node-lease", NODE) !== undefined);
    const node = h.api.get<Node>("nodes", undefined, NODE);
    const owner = { apiVersion: "v1", kind: "Node", name: NODE, uid: node?.metadata.uid };
    expect(h.api.get("leases", "kube-node-lease", NODE)?.metadata.ownerReferences).toEqual([owner]);
    expect(node?.status?.conditions?.find((c) => c.type === "Ready")).toMatchObject({
      status: "True",
      reason: "KubeletReady",
    });
    expect(node?.status?.capacity).toEqual({
      cpu: "4",
      memory: "8Gi",
      "ephemeral-storage": "97656250Ki",
      pods: "110",
      "nvidia.com/gpu": "2",
    });
    expect(node?.metadata.labels?.["kubernetes.io/hostname"]).toBe(NODE);
  });

  test("a Pod runs in three rounds of runtime calls, and says so", async () => {
    await using h = new Harness();
    h.start();
    h.create("web", [{}, {}]);
    await h.untilRunning("web");
    const { calls } = h.runtime;
    expect([calls.get("createSandbox"), calls.get("createContainer"), calls.get("startContainer")]).toEqual([1, 2, 2]);
    expect(calls.get("getPod") ?? 0).toBe(0);
    expect(h.pod("web")?.status).toMatchObject({ phase: "Running", podIP: "10.88.0.2", hostIP: "192.168.0.1" });
    await h.clock.advance(1_000);
    expect(h.events()).toEqual(
      expect.arrayContaining([
        'Container image "app" already present on machine',
        "Created container: c0",
        "Started container c1",
      ]),
    );
  });

  test("a killed container is back at once", async () => {
    await using h = new Harness();
    h.start();
    h.create("web", [{}]);
    await h.untilRunning("web");
    h.runtime.kill("web-uid", "c0");
    const died = h.clock.now();
    await h.until(() => restarts(h.pod("web")) === 1);
    expect(h.clock.now() - died).toBeLessThan(100);
  });

  test("then it backs off exactly as Kubernetes does", async () => {
    await using h = new Harness();
    h.start();
    h.create("web", [{}]);
    const pauses: number[] = [];
    for (let n = 0; n < 8; n++) {
      await h.untilRunning("web");
      h.runtime.kill("web-uid", "c0");
      const died = h.clock.now();
      await h.until(() => restarts(h.pod("web")) === n + 1, 301_000);
      pauses.push(Math.floor((h.clock.now() - died) / 1000));
    }
    expect(pauses).toEqual([0, 10, 20, 40, 80, 160, 300, 300]);
    expect(h.events("BackOff")).toContain("Back-off restarting failed container c0 in pod web_default(web-uid)");
  });

  test("ten minutes of running forgive the past", async () => {
    await using h = new Harness();
    h.start();
    h.create("web", [{}]);
    await h.untilRunning("web");
    for (let n = 1; n <= 2; n++) {
      h.runtime.kill("web-uid", "c0");
      await h.until(() => h.pod("web")?.status?.containerStatuses?.[0]?.restartCount === n);
    }
    await h.clock.advance(600_000);
    h.runtime.kill("web-uid", "c0");
    await h.until(() => h.pod("web")?.status?.containerStatuses?.[0]?.restartCount === 3, 1_000);
    expect(h.events("Killing")).toEqual([]);
  });

  test("a container removed by hand comes back with the next attempt", async () => {
    await using h = new Harness();
    h.start();
    h.create("web", [{}]);
    await h.untilRunning("web");
    h.runtime.removeBehindBack("web-uid", "c0");
    await h.until(() => h.pod("web")?.status?.containerStatuses?.[0]?.restartCount === 1, 1_000);
    await h.untilRunning("web");
    expect(h.runtime.world.sandboxes.size).toBe(1);
  });

  test("a dead sandbox is replaced, with everything in it", async () => {
    await using h = new Harness();
    h.start();
    h.create("web", [{}], { initContainers: [{ name: "init", image: "app", command: ["true"] }] });
    await h.untilRunning("web");
    await h.clock.advance(20_000);
    h.runtime.killSandbox("web-uid");
    await h.until(() => h.pod("web")?.status?.podIP === "10.88.0.3", 5_000);
    await h.untilRunning("web");
    expect(h.pod("web")?.status).toMatchObject({
      initContainerStatuses: [{ restartCount: 1, state: { terminated: { exitCode: 0 } } }],
      containerStatuses: [{ restartCount: 1 }],
    });
  });

  test("a restarted agent adopts what runs: no restart, no write", async () => {
    await using h = new Harness();
    h.start();
    h.create("web", [{}, {}]);
    await h.untilRunning("web");
    await h.clock.advance(1_000);
    await h.stop();
    const before = h.pod("web");
    const started = h.runtime.calls.get("startContainer");
    h.start();
    await h.clock.advance(120_000);
    expect(h.runtime.calls.get("startContainer")).toBe(started);
    expect(h.pod("web")).toEqual(before);
  });

  test("what died while no agent ran is restarted by the next", async () => {
    await using h = new Harness();
    h.start();
    h.create("web", [{}]);
    await h.untilRunning("web");
    await h.stop();
    h.runtime.kill("web-uid", "c0", 3);
    h.start();
    await h.until(() => h.pod("web")?.status?.containerStatuses?.[0]?.restartCount === 1, 1_000);
    expect(h.pod("web")?.status?.containerStatuses?.[0]?.lastState?.terminated).toMatchObject({
      exitCode: 3,
      reason: "Error",
    });
  });

  test("an orphan is removed once the API has been heard", async () => {
    await using h = new Harness();
    h.start();
    h.create("web", [{}]);
    await h.untilRunning("web");
    await h.stop();
    h.api.deletePod("default", "web", 0);
    h.start();
    await h.until(() => h.runtime.world.sandboxes.size === 0 && h.runtime.world.containers.size === 0);
    expect(h.runtime.calls.get("stopContainer")).toBe(1);
  });

  test("deletion waits for the grace period, shows how it ended, and leaves nothing", async () => {
    await using h = new Harness();
    h.start();
    h.create("web", [{ command: ["run", "--ignore-term"] }]);
    await h.untilRunning("web");
    h.api.deletePod("default", "web", 15);
    await h.clock.advance(14_000);
    expect(state(h.pod("web"))?.running).toBeDefined();
    await h.until(() => h.pod("web") === undefined, 3_000);
    expect(h.runtime.world.containers.size + h.runtime.world.sandboxes.size).toBe(0);
    const last = h.api.calls.filter((c) => c.subresource === "status" && c.resource === "pods").at(-1);
    expect(last?.body).toMatchObject({
      status: { phase: "Failed", containerStatuses: [{ state: { terminated: { exitCode: 137 } } }] },
    });
  });

  test("a shorter grace cuts a long one short", async () => {
    await using h = new Harness();
    h.start();
    h.create("web", [{ command: ["run", "--ignore-term"] }]);
    await h.untilRunning("web");
    h.api.deletePod("default", "web", 3_000);
    await h.clock.advance(5_000);
    h.api.deletePod("default", "web", 2);
    await h.until(() => h.pod("web") === undefined, 20_000);
    expect(h.runtime.calls.get("stopContainer")).toBe(2);
  });

  test("a Pod that is gone from the API at once leaves the node too", async () => {
    await using h = new Harness();
    h.start();
    h.create("web", [{ command: ["run", "--ignore-term"] }]);
    await h.untilRunning("web");
    h.api.deletePod("default", "web", 0);
    await h.until(() => h.runtime.world.containers.size + h.runtime.world.sandboxes.size === 0, 5_000);
    expect(h.runtime.calls.get("stopContainer")).toBe(1);
  });

  test("a missing image: ErrImagePull, then ImagePullBackOff, tried again after 10 s, 20 s", async () => {
    await using h = new Harness();
    h.start();
    h.create("web", [{ image: "missing:1" }]);
    await h.until(() => state(h.pod("web"))?.waiting?.reason === "ErrImagePull");
    const failed = h.clock.now();
    await h.until(() => state(h.pod("web"))?.waiting?.reason === "ImagePullBackOff");
    for (const [pulls, at] of [
      [1, 9_900],
      [2, 10_100],
      [2, 29_000],
      [3, 31_000],
    ] as const) {
      await h.clock.advance(failed + at - h.clock.now());
      expect(h.runtime.calls.get("pullImage")).toBe(pulls);
    }
    expect(h.pod("web")?.status?.phase).toBe("Pending");
    expect(h.events("BackOff")).toContain('Back-off pulling image "missing:1"');
  });

  test("Never pulls never", async () => {
    await using h = new Harness();
    h.start();
    h.create("web", [{ image: "other", imagePullPolicy: "Never" }]);
    await h.until(() => state(h.pod("web"))?.waiting?.reason === "ErrImageNeverPull");
    expect(h.runtime.calls.get("pullImage")).toBeUndefined();
  });

  test("a ConfigMap that is missing holds the container back until it is there", async () => {
    await using h = new Harness();
    h.start();
    h.create("web", [{ envFrom: [{ configMapRef: { name: "settings" } }] }]);
    await h.until(() => state(h.pod("web"))?.waiting?.reason === "CreateContainerConfigError");
    expect(state(h.pod("web"))?.waiting?.message).toBe('configmap "settings" not found');
    h.api.put("configmaps", { metadata: { name: "settings", namespace: "default" }, data: { A: "1" } } as never);
    await h.untilRunning("web");
    expect(h.runtime.running("web-uid", "c0").config.env).toEqual([{ name: "A", value: "1" }]);
  });

  test("a job runs to its end: Succeeded, and its network is given back", async () => {
    await using h = new Harness();
    h.start();
    h.create("job", [{ command: ["sleep", "5"] }], { restartPolicy: "OnFailure" });
    await h.until(() => h.pod("job")?.status?.phase === "Succeeded");
    await h.until(() => h.runtime.world.sandboxes.size === 0);
    expect(state(h.pod("job"))?.terminated).toMatchObject({ reason: "Completed", exitCode: 0 });
    expect(h.runtime.world.containers.size).toBe(1);
  });

  test("an OOM kill is called one", async () => {
    await using h = new Harness();
    h.start();
    h.create("job", [{ command: ["run", "--oom"] }], { restartPolicy: "Never" });
    await h.until(() => h.pod("job")?.status?.phase === "Failed");
    expect(state(h.pod("job"))?.terminated).toMatchObject({ reason: "OOMKilled", exitCode: 137 });
  });

  test("activeDeadlineSeconds ends a Pod", async () => {
    await using h = new Harness();
    h.start();
    h.create("slow", [{}], { activeDeadlineSeconds: 5 });
    await h.untilRunning("slow");
    await h.clock.advance(6_000);
    expect(h.pod("slow")?.status).toMatchObject({ phase: "Failed", reason: "DeadlineExceeded" });
    expect([...h.runtime.world.containers.values()].map((c) => c.state)).toEqual(["exited"]);
  });

  test("a Pod bound to a full node is refused", async () => {
    await using h = new Harness();
    h.start();
    await h.clock.advance(1_000);
    h.create("big", [{ resources: { requests: { cpu: "5" } } }]);
    await h.until(() => h.pod("big")?.status?.phase === "Failed");
    expect(h.pod("big")?.status).toMatchObject({
      reason: "OutOfcpu",
      message: "Pod was rejected: Node didn't have enough resource: cpu, requested: 5000, used: 0, capacity: 4000",
    });
    expect(h.runtime.calls.get("createSandbox")).toBeUndefined();
  });

  test("while Docker is away the node says so, nothing is marked failed, and all is made good after", async () => {
    await using h = new Harness();
    h.start();
    h.create("web", [{}]);
    await h.untilRunning("web");
    await h.clock.advance(1_000);
    const away = new RuntimeError("RuntimeUnavailable", "cannot connect to the Docker daemon");
    for (const verb of ["events", "listPods", "getPod", "createSandbox"] as const) h.runtime.failNext(verb, away, 8);
    h.create("later", [{}]);
    const ready = () => h.api.get<Node>("nodes", undefined, NODE)?.status?.conditions?.find((c) => c.type === "Ready");
    await h.until(() => ready()?.reason === "ContainerRuntimeDown");
    expect(ready()).toMatchObject({ status: "False", message: "cannot connect to the Docker daemon" });
    expect(h.pod("web")?.status?.phase).toBe("Running");
    await h.untilRunning("later");
    await h.until(() => ready()?.status === "True");
    expect(h.pod("web")?.status?.containerStatuses?.[0]?.restartCount).toBe(0);
  });

  test("the Node's message is the reason of now: no Docker any more, rather than a broken connection once", async () => {
    await using h = new Harness();
    h.start();
    await h.clock.advance(1_000);
    const broken = new RuntimeError("RuntimeUnavailable", "the event stream broke");
    const away = new RuntimeError("RuntimeUnavailable", "connection refused");
    h.runtime.failNext("createSandbox", broken);
    h.runtime.failNext("listPods", away, 5);
    h.create("web", [{}]);
    const ready = () => h.api.get<Node>("nodes", undefined, NODE)?.status?.conditions?.find((c) => c.type === "Ready");
    await h.until(() => ready()?.message === "connection refused", 5_000);
    expect(ready()).toMatchObject({ status: "False", reason: "ContainerRuntimeDown" });
  });

  test("a death whose event got lost is found by the resync", async () => {
    await using h = new Harness();
    h.start();
    h.create("web", [{}]);
    await h.untilRunning("web");
    await h.clock.advance(1_000);
    h.runtime.loseEvents();
    h.runtime.kill("web-uid", "c0");
    await h.until(() => h.pod("web")?.status?.containerStatuses?.[0]?.restartCount === 1, 61_000);
    expect(h.runtime.calls.get("startContainer")).toBe(2);
  });

  test("a status is written even if the API server was away", async () => {
    await using h = new Harness();
    h.start();
    await h.clock.advance(1_000);
    const { ApiError } = await import("../api/status.ts");
    h.api.fault = (c) => {
      if (c.subresource === "status") throw new ApiError("ServiceUnavailable", "away");
    };
    h.create("web", [{}]);
    await h.clock.advance(20_000);
    expect(h.pod("web")?.status).toBeUndefined();
    h.api.fault = () => {};
    await h.untilRunning("web");
  });

  test("a daemon that hangs in a verb does not hold the Pod for ever", async () => {
    await using h = new Harness();
    h.runtime.delay("startSandbox", 1e9);
    h.start();
    h.create("web", [{}]);
    await h.clock.advance(60_000);
    h.runtime.delay("startSandbox", 0);
    await h.until(() => h.events("FailedCreatePodSandBox").length > 0, 61_000);
    expect(h.events("FailedCreatePodSandBox")[0]).toBe(
      "Failed to create pod sandbox: startSandbox: no answer within 2m0s",
    );
    await h.untilRunning("web");
  });

  test("four Pods at a time start, the others wait their turn", async () => {
    await using h = new Harness();
    h.runtime.delay("startContainer", 1_000);
    h.start();
    for (let n = 0; n < 6; n++) h.create(`p${n}`, [{}]);
    await h.clock.advance(900);
    expect(h.runtime.calls.get("createSandbox")).toBe(4);
    for (let n = 0; n < 6; n++) await h.untilRunning(`p${n}`);
  });
});
