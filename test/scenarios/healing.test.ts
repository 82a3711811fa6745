import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import type { Container, Pod } from "../../pkg/api/generated/types.ts";
import { nodes } from "../../pkg/api/kinds/core/node.ts";
import { pods } from "../../pkg/api/kinds/core/pod.ts";
import type { DeepReadonly } from "../../pkg/util/types.ts";
import { ready, TestCluster } from "../harness/cluster.ts";
import { runOk } from "../harness/process.ts";
import { ensureTestImages } from "../images/images.ts";

/** Desired state wins, whoever pulls at the current one. */
let cluster: TestCluster;

beforeAll(async () => {
  await ensureTestImages();
  cluster = await TestCluster.start();
});
afterAll(() => cluster?.remove());

const sleeper: Container = { name: "main", image: "busybox:1.36", command: ["sleep", "3600"] };

async function create(name: string, spec: Partial<NonNullable<Pod["spec"]>> = {}): Promise<void> {
  await cluster.client.resource(pods, "default").create({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "default" },
    spec: { containers: [sleeper], terminationGracePeriodSeconds: 0, ...spec },
  });
}

const main = (pod: DeepReadonly<Pod>) => pod.status?.containerStatuses?.[0];
const idOf = (pod: DeepReadonly<Pod>) => main(pod)?.containerID?.replace("docker://", "") ?? "";
const restarted = (times: number) => (pod: DeepReadonly<Pod>) =>
  ready(pod) && main(pod)?.restartCount === times && main(pod)?.state?.running !== undefined;

describe("auto-healing on real Docker", () => {
  test("a killed container is back, and says what happened to the one before", async () => {
    await create("killed");
    const before = await cluster.untilPod("killed", ready);
    await runOk("docker", ["kill", idOf(before)]);
    const after = await cluster.untilPod("killed", restarted(1));
    expect(idOf(after)).not.toBe(idOf(before));
    expect(main(after)?.lastState?.terminated).toMatchObject({
      exitCode: 137,
      reason: "Error",
      containerID: main(before)?.containerID,
    });
    expect(after.status?.podIP).toBe(before.status?.podIP);
  });

  test("a container removed by hand comes back", async () => {
    await create("removed");
    const before = await cluster.untilPod("removed", ready);
    await runOk("docker", ["rm", "-f", idOf(before)]);
    const after = await cluster.untilPod("removed", (p) => ready(p) && idOf(p) !== idOf(before));
    expect(main(after)?.state?.running).toBeDefined();
  });

  test("a sandbox removed by hand: the Pod is made anew, with an address", async () => {
    await create("homeless");
    const before = await cluster.untilPod("homeless", ready);
    const [sandbox = ""] = await cluster.containers(
      "label=io.mini-kube.kind=sandbox",
      "label=io.mini-kube.pod.name=homeless",
    );
    await runOk("docker", ["rm", "-f", sandbox]);
    const after = await cluster.untilPod("homeless", (p) => ready(p) && idOf(p) !== idOf(before));
    expect(after.status?.podIP).toMatch(/^\d+\.\d+\.\d+\.\d+$/);
  });

  test("what fails again and again waits longer and longer, and says so", async () => {
    await create("crasher", { containers: [{ ...sleeper, command: ["sh", "-c", "echo last words; exit 3"] }] });
    const pod = await cluster.untilPod("crasher", (p) => main(p)?.state?.waiting?.reason === "CrashLoopBackOff");
    expect(main(pod)?.lastState?.terminated).toMatchObject({ exitCode: 3, reason: "Error" });
    expect(main(pod)?.state?.waiting?.message).toMatch(/back-off \d+s restarting failed container/);
    expect(await cluster.kubectlOk(["logs", "crasher", "--previous"])).toBe("last words\n");
  });

  test("restartPolicy decides: Never and OnFailure end as Succeeded or Failed", async () => {
    await create("done", { restartPolicy: "Never", containers: [{ ...sleeper, command: ["true"] }] });
    await create("failed", { restartPolicy: "Never", containers: [{ ...sleeper, command: ["false"] }] });
    const done = await cluster.untilPod("done", (p) => p.status?.phase === "Succeeded");
    expect(main(done)?.state?.terminated).toMatchObject({ exitCode: 0, reason: "Completed" });
    const failed = await cluster.untilPod("failed", (p) => p.status?.phase === "Failed");
    expect(main(failed)?.state?.terminated).toMatchObject({ exitCode: 1, reason: "Error" });
    const table = await cluster.cliOk(["get", "pods", "done", "failed", "--no-headers"]);
    expect(table).toMatch(/done\s+0\/1\s+Completed[\s\S]*failed\s+0\/1\s+Error/);
  });

  test("the memory limit is Docker's: a hog is OOMKilled", async () => {
    const hog = {
      ...sleeper,
      command: ["sh", "-c", "x=a; while true; do x=$x$x; done"],
      resources: { limits: { memory: "16Mi" } },
    };
    await create("hog", { restartPolicy: "Never", containers: [hog] });
    const pod = await cluster.untilPod("hog", (p) => p.status?.phase === "Failed");
    expect(main(pod)?.state?.terminated).toMatchObject({ reason: "OOMKilled", exitCode: 137 });
  });

  test("an image that cannot be had waits as ErrImagePull or ImagePullBackOff; a policy of Never says so", async () => {
    await create("imageless", { containers: [{ ...sleeper, image: "127.0.0.1:1/no/such:image" }] });
    await create("never", { containers: [{ ...sleeper, image: "no-such-image", imagePullPolicy: "Never" }] });
    await cluster.untilPod("imageless", (p) => main(p)?.state?.waiting?.reason === "ImagePullBackOff");
    await cluster.untilPod("never", (p) => main(p)?.state?.waiting?.reason === "ErrImageNeverPull");
    expect((await cluster.untilPod("never", () => true)).status?.phase).toBe("Pending");
  });

  test("a Pod no node can take stays Pending and says why for every node", async () => {
    await create("greedy", { containers: [{ ...sleeper, resources: { limits: { "nvidia.com/gpu": "1" } } }] });
    const pod = await cluster.untilPod(
      "greedy",
      (p) => p.status?.conditions?.some((c) => c.reason === "Unschedulable") ?? false,
    );
    const condition = pod.status?.conditions?.find((c) => c.type === "PodScheduled");
    expect(condition?.message).toMatch(/^0\/1 nodes are available: 1 Insufficient nvidia.com\/gpu\./);
    const gpu = { "nvidia.com/gpu": "1" };
    await cluster.client
      .resource(nodes)
      .patch(
        "node-1",
        "application/merge-patch+json",
        { status: { capacity: gpu, allocatable: gpu } },
        { subresource: "status" },
      );
    await cluster.untilPod("greedy", ready);
  });

  test("killed and started again, the cluster adopts what runs: same containers, no restart, nothing lost", async () => {
    await create("survivor");
    const before = await cluster.untilPod("survivor", ready);
    const containers = (await cluster.containers("label=io.mini-kube.pod.name=survivor")).toSorted();
    await cluster.kill9();
    await cluster.up();
    const after = await cluster.untilPod("survivor", ready);
    expect(idOf(after)).toBe(idOf(before));
    expect(main(after)?.restartCount).toBe(0);
    expect((await cluster.containers("label=io.mini-kube.pod.name=survivor")).toSorted()).toEqual(containers);
  });

  test("what was deleted and what died while the process was down is put right at the next start", async () => {
    await create("widow");
    const before = await cluster.untilPod("widow", ready);
    await cluster.kill9();
    await runOk("docker", ["kill", idOf(before)]);
    await cluster.up();
    const after = await cluster.untilPod("widow", restarted(1));
    expect(idOf(after)).not.toBe(idOf(before));
  });

  test("Ctrl-C takes the containers along; the next start brings the Pods back", async () => {
    await create("phoenix");
    const before = await cluster.untilPod("phoenix", ready);
    expect(await cluster.interrupt()).toBe(0);
    expect(await cluster.containers()).toEqual([]);
    await cluster.up();
    await cluster.untilPod("phoenix", (p) => ready(p) && idOf(p) !== idOf(before));
    expect(await cluster.containers("label=io.mini-kube.pod.name=phoenix")).toHaveLength(2);
  });
});
