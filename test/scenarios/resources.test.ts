import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Container, Pod } from "../../pkg/api/generated/types.ts";
import { pods } from "../../pkg/api/kinds/core/pod.ts";
import type { Summary } from "../../pkg/api/stats-summary.ts";
import type { DeepReadonly } from "../../pkg/util/types.ts";
import { ready, TestCluster } from "../harness/cluster.ts";
import { PATIENCE_MS, runOk } from "../harness/process.ts";
import { ensureTestImages } from "../images/images.ts";

/** What a Pod may use: said, enforced, changed while it runs, and taken away. */
const GPU = "example.com/gpu";
const directory = mkdtempSync(join(tmpdir(), "mk-resources-"));
let cluster: TestCluster;

beforeAll(async () => {
  await ensureTestImages();
  const list = join(directory, "devices.json");
  writeFileSync(
    list,
    JSON.stringify({ [GPU]: [{ id: "GPU-0", devices: ["/dev/null:/dev/gpu0"], env: { GPU_IDS: "GPU-0" } }] }),
  );
  cluster = await TestCluster.start({ args: ["--device-list", list, "--system-reserved", "cpu=100m,memory=64Mi"] });
});
afterAll(async () => {
  await cluster?.remove();
  rmSync(directory, { recursive: true, force: true });
});

const sleeper: Container = { name: "main", image: "busybox:1.36", command: ["sleep", "3600"] };

async function create(
  name: string,
  c: Partial<Container>,
  spec: Partial<NonNullable<Pod["spec"]>> = {},
): Promise<void> {
  await cluster.client.resource(pods, "default").create({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "default" },
    spec: { containers: [{ ...sleeper, ...c }], terminationGracePeriodSeconds: 0, ...spec },
  });
}

const main = (pod: DeepReadonly<Pod>) => pod.status?.containerStatuses?.[0];
const idOf = (pod: DeepReadonly<Pod>) => main(pod)?.containerID?.replace("docker://", "") ?? "";

/** As the kernel has it: Docker's own words for the container's control group. */
async function hostConfig(pod: DeepReadonly<Pod>): Promise<Record<string, unknown>> {
  return JSON.parse(await runOk("docker", ["inspect", "--format", "{{json .HostConfig}}", idOf(pod)])) as Record<
    string,
    unknown
  >;
}

const inside = (name: string, script: string) => cluster.kubectlOk(["exec", name, "--", "sh", "-c", script]);
/** Of either version of control groups. */
const memoryLimit = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max";

async function resize(name: string, resources: NonNullable<Container["resources"]>): Promise<void> {
  const patch = JSON.stringify({ spec: { containers: [{ name: "main", resources }] } });
  await cluster.kubectlOk(["patch", "pod", name, "--subresource", "resize", "--patch", patch]);
}

describe("limits", () => {
  test("stand in the container's control group; more processors than there are, and less than a hundredth of one, are no error", async () => {
    await create("limited", { resources: { requests: { cpu: "250m" }, limits: { cpu: "64", memory: "32Mi" } } });
    await create("tiny", { resources: { limits: { cpu: "1m", memory: "32Mi" } } });
    const limited = await cluster.untilPod("limited", ready);
    expect(await hostConfig(limited)).toMatchObject({
      CpuShares: 256,
      CpuPeriod: 100_000,
      CpuQuota: 6_400_000,
      Memory: 2 ** 25,
      MemorySwap: 2 ** 25,
    });
    expect((await inside("limited", memoryLimit)).trim()).toBe(String(2 ** 25));
    expect(limited.status?.qosClass).toBe("Burstable");
    const tiny = await cluster.untilPod("tiny", ready);
    expect(await hostConfig(tiny)).toMatchObject({ CpuQuota: 1000 });
  });

  test("a hog is OOMKilled, says so, and is started again", async () => {
    const script = "if [ -e /tmp/once/x ]; then sleep 3600; fi; touch /tmp/once/x; x=a; while true; do x=$x$x; done";
    const volume = { volumes: [{ name: "once", emptyDir: {} }] };
    const c = { command: ["sh", "-c", script], volumeMounts: [{ name: "once", mountPath: "/tmp/once" }] };
    await create("hog", { ...c, resources: { limits: { memory: "16Mi" } } }, volume);
    const pod = await cluster.untilPod("hog", (p) => ready(p) && main(p)?.restartCount === 1);
    expect(main(pod)?.lastState?.terminated).toMatchObject({ reason: "OOMKilled", exitCode: 137 });
  });

  test("who forks without end comes to its limit, and the node stays well", async () => {
    await create("bomb", {
      command: ["sh", "-c", "f() { f | f & }; f; sleep 3600"],
      resources: { limits: { cpu: "200m", memory: "64Mi" } },
    });
    const bomb = await cluster.untilPod("bomb", (p) => idOf(p) !== "" && p.status?.phase === "Running");
    expect(await hostConfig(bomb)).toMatchObject({ PidsLimit: 4096 });
    await create("beside", {});
    await cluster.untilPod("beside", ready);
    await cluster.kubectlOk(["delete", "pod", "bomb", "--grace-period=0", "--force"]);
  });
});

describe("resize", () => {
  test("where it runs: the same container, with other limits", async () => {
    await create("grows", {
      resources: { requests: { cpu: "100m", memory: "32Mi" }, limits: { cpu: "200m", memory: "32Mi" } },
    });
    const before = await cluster.untilPod("grows", (p) => ready(p) && main(p)?.resources !== undefined);
    expect(main(before)?.allocatedResources).toEqual({ cpu: "100m", memory: "32Mi" });
    await resize("grows", { requests: { cpu: "150m" }, limits: { cpu: "300m", memory: "64Mi" } });
    const after = await cluster.untilPod("grows", (p) => main(p)?.resources?.limits?.["memory"] === "64Mi");
    expect(idOf(after)).toBe(idOf(before));
    expect(main(after)).toMatchObject({
      restartCount: 0,
      allocatedResources: { cpu: "150m", memory: "32Mi" },
      resources: { requests: { cpu: "150m", memory: "32Mi" }, limits: { cpu: "300m", memory: "64Mi" } },
    });
    expect(await hostConfig(after)).toMatchObject({ CpuShares: 153, CpuQuota: 30_000, Memory: 2 ** 26 });
    expect((await inside("grows", memoryLimit)).trim()).toBe(String(2 ** 26));
    await cluster.untilPod("grows", (p) => !p.status?.conditions?.some((c) => c.type.startsWith("PodResize")));
    const told = await cluster.kubectlOk([
      "get",
      "events",
      "--field-selector",
      "involvedObject.name=grows",
      "-o",
      "name,reason:.reason".replace("name,", "custom-columns="),
    ]);
    expect(told).toMatch(/ResizeStarted[\s\S]*ResizeCompleted/);
  });

  test("anew, where its policy says so; and what the node has not got waits or never comes", async () => {
    const resizePolicy = [{ resourceName: "memory", restartPolicy: "RestartContainer" }];
    await create("anew", {
      resizePolicy,
      resources: { requests: { cpu: "100m", memory: "32Mi" }, limits: { memory: "32Mi" } },
    });
    const before = await cluster.untilPod("anew", (p) => ready(p) && main(p)?.resources !== undefined);
    await resize("anew", { limits: { memory: "48Mi" } });
    const after = await cluster.untilPod(
      "anew",
      (p) => ready(p) && main(p)?.restartCount === 1 && main(p)?.resources?.limits?.["memory"] === "48Mi",
    );
    expect(idOf(after)).not.toBe(idOf(before));
    await resize("anew", { requests: { cpu: "1000" } });
    const refused = await cluster.untilPod(
      "anew",
      (p) => p.status?.conditions?.some((c) => c.type === "PodResizePending") ?? false,
    );
    const condition = refused.status?.conditions?.find((c) => c.type === "PodResizePending");
    expect(condition).toMatchObject({ status: "True", reason: "Infeasible" });
    expect(condition?.message).toMatch(/^Node didn't have enough capacity: cpu, requested: 1000000, capacity: \d+$/);
    expect(main(refused)?.allocatedResources).toEqual({ cpu: "100m", memory: "32Mi" });
    await resize("anew", { requests: { cpu: "100m" } });
    await cluster.untilPod("anew", (p) => !p.status?.conditions?.some((c) => c.type === "PodResizePending"));
  });
});

describe("devices", () => {
  test("one device, two Pods: the second waits, and has it when the first has ended; a restarted agent knows who has what", async () => {
    const wants = { resources: { limits: { [GPU]: "1" } } };
    const node = await cluster.untilNode((n) => n.status?.allocatable?.[GPU] === "1");
    expect(node.status?.capacity?.[GPU]).toBe("1");
    await create("first", wants);
    await cluster.untilPod("first", ready);
    expect(await inside("first", "ls -l /dev/gpu0 && echo $GPU_IDS")).toMatch(/^c.* 1, +3 .*\/dev\/gpu0\s+GPU-0\s*$/s);
    await create("second", wants);
    const waits = await cluster.untilPod(
      "second",
      (p) => p.status?.conditions?.some((c) => c.reason === "Unschedulable") ?? false,
    );
    expect(waits.status?.conditions?.find((c) => c.type === "PodScheduled")?.message).toMatch(
      /Insufficient example.com\/gpu/,
    );
    await cluster.kill9();
    await cluster.up();
    // Bound by hand, past the scheduler: the agent has the last word.
    await create("pushed", wants, { nodeName: cluster.nodeName });
    const pushed = await cluster.untilPod("pushed", (p) => p.status?.phase === "Failed");
    expect(pushed.status).toMatchObject({
      reason: "UnexpectedAdmissionError",
      message: `Pod was rejected: Allocate failed due to requested number of devices unavailable for ${GPU}. Requested: 1, Available: 0, which is unexpected`,
    });
    expect(await cluster.kubectlOk(["describe", "node", cluster.nodeName])).toMatch(/example.com\/gpu +1 +1/);
    await cluster.kubectlOk(["delete", "pod", "first", "--wait=false"]);
    await cluster.untilPod("second", ready);
  });
});

describe("what the node tells", () => {
  test("what is reserved, and what must stay free, is not for Pods", async () => {
    const { status } = await cluster.untilNode((n) => n.status?.allocatable !== undefined);
    const ki = (quantity = "0") => Number(quantity.replace("Ki", ""));
    expect(ki(status?.capacity?.["memory"]) - ki(status?.allocatable?.["memory"])).toBe((64 + 100) * 1024);
    expect(status?.allocatable?.["cpu"]).toMatch(/900m$/);
  });
});

describe("metrics", () => {
  const raw = (path: string) => cluster.kubectlOk(["get", "--raw", path]);
  const agent = (page: string) => raw(`/api/v1/nodes/${cluster.nodeName}/proxy/${page}`);
  /** What began a moment ago is not in the last look yet. */
  const agentUntil = async (page: string, told: RegExp): Promise<string> => {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    for (;;) {
      const text = await agent(page);
      if (told.test(text)) return text;
      if (signal.aborted) throw new Error(`${page} does not tell ${String(told)}:\n${text}`);
    }
  };

  test("of containers, under cAdvisor's names, through the API server", async () => {
    await create("busy", {
      command: [
        "sh",
        "-c",
        "echo hello > /written; ping $(ip route | sed -n 's/^default via \\([0-9.]*\\).*/\\1/p'); sleep 3600",
      ],
      resources: { limits: { memory: "32Mi" } },
    });
    await cluster.untilPod("busy", ready);
    const text = await agentUntil(
      "metrics/cadvisor",
      /^container_network_receive_bytes_total\{.*pod="busy".*\} [1-9]/m,
    );
    const value = (name: string, labels: RegExp) => {
      const line = text.split("\n").find((l) => l.startsWith(`${name}{`) && labels.test(l) && l.includes('pod="busy"'));
      return Number(line?.replace(/^.*\} /, "").split(" ")[0]);
    };
    const main = /container="main"/;
    expect(value("container_cpu_usage_seconds_total", main)).toBeGreaterThan(0);
    expect(value("container_memory_working_set_bytes", main)).toBeGreaterThan(0);
    expect(value("container_spec_memory_limit_bytes", main)).toBe(2 ** 25);
    expect(value("container_fs_usage_bytes", main)).toBeGreaterThan(0);
    expect(value("container_network_receive_bytes_total", /interface="eth0"/)).toBeGreaterThan(0);
    expect(await agent("metrics/resource")).toMatch(
      /pod_memory_working_set_bytes\{namespace="default",pod="busy"\} \d+/,
    );
  });

  test("of the agent, its probes, and the API server", async () => {
    await create("probed", { readinessProbe: { exec: { command: ["true"] }, periodSeconds: 1 } });
    await cluster.untilPod("probed", ready);
    expect(await agent("metrics")).toMatch(/^kubelet_running_pods [1-9]/m);
    expect(await agent("metrics/probes")).toMatch(
      /^prober_probe_total\{probe_type="Readiness",result="successful",container="main",pod="probed",/m,
    );
    expect(await raw("/metrics")).toMatch(
      /^apiserver_request_total\{verb="GET",group="",version="v1",resource="nodes",subresource="proxy"|^apiserver_request_total\{verb="CONNECT",group="",version="v1",resource="nodes",subresource="proxy"/m,
    );
    const summary = JSON.parse(await agentUntil("stats/summary", /"name":"probed"/)) as Summary;
    expect(summary.node.fs?.capacityBytes).toBeGreaterThan(0);
    expect(summary.pods.find((p) => p.podRef.name === "probed")?.network?.name).toBe("eth0");
    const stranger = await cluster.kubectl(["get", "--raw", "/metrics", "--as", "stranger"]);
    expect(stranger.stderr).toMatch(/cannot get path "\/metrics"/);
  });
});

describe("the disk", () => {
  test("who writes more than it may goes: into its own layer, or into an emptyDir", async () => {
    const write = (file: string) => ({
      command: ["sh", "-c", `dd if=/dev/zero of=${file} bs=1M count=8; sleep 3600`],
    });
    await create(
      "layer",
      { ...write("/fat"), resources: { limits: { "ephemeral-storage": "4Mi" } } },
      { restartPolicy: "Never" },
    );
    const volumes = [{ name: "scratch", emptyDir: { sizeLimit: "4Mi" } }];
    const volumeMounts = [{ name: "scratch", mountPath: "/scratch" }];
    await create("volume", { ...write("/scratch/fat"), volumeMounts }, { volumes, restartPolicy: "Never" });
    await create("modest", { resources: { limits: { "ephemeral-storage": "4Mi" } } });
    const layer = await cluster.untilPod("layer", (p) => p.status?.phase === "Failed");
    expect(layer.status).toMatchObject({
      reason: "Evicted",
      message: "Pod ephemeral local storage usage exceeds the total limit of containers 4Mi. ",
    });
    const volume = await cluster.untilPod("volume", (p) => p.status?.phase === "Failed");
    expect(volume.status).toMatchObject({
      reason: "Evicted",
      message: 'Usage of EmptyDir volume "scratch" exceeds the limit "4Mi". ',
    });
    expect((await cluster.untilPod("modest", () => true)).status?.phase).toBe("Running");
    expect(await cluster.kubectlOk(["get", "events"])).toMatch(/Warning +Evicted +pod\/volume +Usage of EmptyDir/);
  });
});

describe("a node that is short of memory", () => {
  let short: TestCluster;
  beforeAll(async () => {
    // More than any machine has free.
    const soft = ["--eviction-soft", "memory.available<99.9%", "--eviction-soft-grace-period", "memory.available=5s"];
    short = await TestCluster.start({ args: [...soft, "--eviction-max-pod-grace-period", "1"] });
  });
  afterAll(() => short?.remove());

  test("lets the one go that takes most over what it asked for, says so, and is given no more of its kind", async () => {
    const pod = (name: string, resources: NonNullable<Container["resources"]>): Pod => ({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, namespace: "default" },
      spec: { containers: [{ ...sleeper, resources }], terminationGracePeriodSeconds: 0 },
    });
    const api = short.client.resource(pods, "default");
    await api.create(pod("frugal", { requests: { memory: "64Mi" } }));
    await api.create(pod("greedy", {}));
    await Promise.all(["frugal", "greedy"].map((name) => short.untilPod(name, ready)));
    const gone = await short.untilPod("greedy", (p) => p.status?.phase === "Failed");
    expect(gone.status?.reason).toBe("Evicted");
    expect(gone.status?.message).toMatch(
      /^The node was low on resource: memory\. Threshold quantity: \d+\w*, available: \d+\w*\. Container main was using \d+\w*, request is 0, has larger consumption of memory\. $/,
    );
    expect(gone.status?.conditions?.find((c) => c.type === "DisruptionTarget")).toMatchObject({
      status: "True",
      reason: "TerminationByKubelet",
    });
    const node = await short.untilNode(
      (n) => n.spec?.taints?.some((t) => t.key === "node.kubernetes.io/memory-pressure") ?? false,
    );
    expect(node.status?.conditions?.find((c) => c.type === "MemoryPressure")).toMatchObject({
      status: "True",
      reason: "KubeletHasInsufficientMemory",
    });
    await api.create(pod("late", {}));
    await short.untilPod(
      "late",
      (p) => p.status?.conditions?.some((c) => /memory-pressure/.test(c.message ?? "")) ?? false,
    );
  });
});
