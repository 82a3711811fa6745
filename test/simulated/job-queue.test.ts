/** Teams that share GPUs on a simulated cluster. */
import { describe, expect, test } from "@jest/globals";
import type { Job, Namespace } from "../../pkg/api/generated/types.ts";
import { QUEUE } from "../../pkg/api/job-queue.ts";
import { jobs } from "../../pkg/api/kinds/batch/job.ts";
import { namespaces } from "../../pkg/api/kinds/core/namespace.ts";
import { resourceQuotas } from "../../pkg/api/kinds/core/resourcequota.ts";
import { priorityClasses } from "../../pkg/api/kinds/scheduling/priorityclass.ts";
import { condition, isTerminal } from "../../pkg/api/pod.ts";
import { ApiError, conflict } from "../../pkg/api/status.ts";
import { seededRandom } from "../../pkg/util/clock.ts";
import type { DeepReadonly } from "../../pkg/util/types.ts";
import { SimulatedCluster } from "../harness/simulated.ts";

const GPU = "example.com/gpu";

interface Shape {
  readonly queue?: string;
  readonly pods?: number;
  readonly gpus?: number;
  readonly seconds?: number;
  readonly namespace?: string;
  readonly priorityClassName?: string;
}

function gang(name: string, s: Shape = {}): Job {
  const { queue = "team", pods = 1, gpus = 1, seconds = 30, namespace = "default", priorityClassName } = s;
  const container = {
    name: "work",
    image: "app",
    imagePullPolicy: "IfNotPresent",
    command: ["sleep", `${seconds}`],
    resources: { limits: { [GPU]: `${gpus}` } },
  };
  return {
    metadata: { name, namespace, ...(queue && { labels: { [QUEUE]: queue } }) },
    spec: {
      parallelism: pods,
      completions: pods,
      template: {
        spec: { restartPolicy: "Never", containers: [container], ...(priorityClassName && { priorityClassName }) },
      },
    },
  };
}

async function cluster(seed = 1): Promise<SimulatedCluster> {
  const c = await SimulatedCluster.start({ nodes: 0, seed });
  for (const name of ["gpu-1", "gpu-2"]) c.addNode(name, { extendedResources: { [GPU]: "4" } });
  await c.untilNodesReady();
  return c;
}

const says = (o: DeepReadonly<Job>, type: string) => condition(o.status?.conditions, type);
const waits = (o: DeepReadonly<Job>) => says(o, "Queued")?.message;
const complete = (o: DeepReadonly<Job>) => says(o, "Complete")?.status === "True";

describe("a queue", () => {
  test("starts all Pods or none, says what is waited for, and goes on when it is free", async () => {
    await using c = await cluster();
    const api = c.client.resource(jobs, "default");
    await api.create(gang("first", { pods: 4 }));
    await c.clock.advance(2_000);
    await api.create(gang("second", { pods: 6 }));
    await c.clock.advance(2_000);
    await api.create(gang("third", { pods: 3 }));
    await c.clock.advance(2_000);
    const [first, second, third] = [await api.get("first"), await api.get("second"), await api.get("third")];
    expect(first.status?.active).toBe(4);
    expect(waits(second)).toBe("waits for 2 example.com/gpu: 6 wanted, 4 free; place 1 of 2 in queue team");
    expect(says(second, "Queued")).toMatchObject({ status: "True", reason: "WaitsForResources" });
    expect(says(second, "Suspended")?.status).toBe("True");
    // Three would fit, but then the second would have to wait for the third as well.
    expect(waits(third)).toBe(
      "waits behind default/second: what is free is kept for those before it; place 2 of 2 in queue team",
    );
    expect(await c.pods()).toHaveLength(4);
    await c.until(async () => (await api.list()).items.every(complete), 300_000, 500);
    const started = says(await api.get("second"), "Queued");
    expect(started).toMatchObject({ status: "False", reason: "Started" });
    expect(started?.message).toMatch(/^started after \d+s in queue team$/);
    expect((await c.events("second")).filter((e) => /^(Queued|Started):/.test(e))).toEqual([
      "Queued: waits for 2 example.com/gpu: 6 wanted, 4 free; place 1 of 1 in queue team",
      `Started: ${started?.message ?? ""}`,
    ]);
  });

  test("goes by priority, then by age", async () => {
    await using c = await cluster();
    await c.client.resource(priorityClasses).create({ metadata: { name: "urgent" }, value: 1_000 });
    const api = c.client.resource(jobs, "default");
    await api.create(gang("running", { pods: 8, seconds: 20 }));
    await c.clock.advance(2_000);
    for (const name of ["old", "young"]) {
      await api.create(gang(name, { pods: 8, seconds: 5 }));
      await c.clock.advance(2_000);
    }
    await api.create(gang("urgent", { pods: 8, seconds: 5, priorityClassName: "urgent" }));
    await c.clock.advance(1_000);
    const places = async () =>
      (await api.list()).items
        .filter((j) => says(j, "Queued")?.status === "True")
        .map((j) => [j.metadata.name, waits(j)?.replace(/^[^;]*/, "")]);
    expect(await places()).toEqual([
      ["old", "; place 2 of 3 in queue team"],
      ["urgent", "; place 1 of 3 in queue team"],
      ["young", "; place 3 of 3 in queue team"],
    ]);
    await c.until(async () => (await api.list()).items.every(complete), 300_000, 500);
    const done = (await api.list()).items.map((j) => [j.metadata.name, j.status?.completionTime ?? ""]);
    expect(done.toSorted((a, b) => ((a[1] ?? "") < (b[1] ?? "") ? -1 : 1)).map(([name]) => name)).toEqual([
      "running",
      "urgent",
      "old",
      "young",
    ]);
  });

  test("is the namespace's for all its Jobs, and heeds its quota", async () => {
    await using c = await cluster();
    const team: Namespace = { metadata: { name: "team-a", annotations: { [QUEUE]: "team-a" } } };
    await c.client.resource(namespaces).create(team);
    const hard = { [`requests.${GPU}`]: "2" };
    await c.client.resource(resourceQuotas, "team-a").create({ metadata: { name: "gpus" }, spec: { hard } });
    await c.clock.advance(1_000);
    const api = c.client.resource(jobs, "team-a");
    const plain = { namespace: "team-a", queue: "" };
    for (const [name, pods] of [
      ["a", 2],
      ["b", 1],
      ["c", 3],
    ] as const) {
      await api.create(gang(name, { ...plain, pods }));
      await c.clock.advance(1_500);
    }
    expect((await api.get("a")).status?.active).toBe(2);
    const b = await api.get("b");
    expect(says(b, "Queued")?.reason).toBe("WaitsForQuota");
    expect(waits(b)).toBe(
      "waits for 1 requests.example.com/gpu of quota gpus: 1 wanted, 0 free; place 1 of 2 in queue team-a",
    );
    expect(says(await api.get("c"), "Queued")).toMatchObject({
      reason: "TooLarge",
      message: "wants 3 requests.example.com/gpu, more than the 2 that quota gpus allows; place 2 of 2 in queue team-a",
    });
    await c.until(async () => complete(await api.get("b")), 200_000, 500);
    expect(says(await api.get("c"), "Queued")?.status).toBe("True");
  });

  test("whatever writes fail, no gang runs in part, and all get their turn", async () => {
    await using c = await cluster(7);
    const random = seededRandom(7);
    const api = c.client.resource(jobs, "default");
    c.wire.fault = (call) => {
      if (call.resource !== "jobs" || call.verb === "watch" || random() > 0.25) return;
      if (random() < 0.5) throw conflict({ group: "batch", resource: "jobs" }, call.name ?? "");
      return () => {
        throw new ApiError("ServiceUnavailable", "away");
      };
    };
    for (let n = 0; n < 12; n++) {
      await api.create(gang(`j${n}`, { queue: `q${n % 2}`, pods: 1 + Math.floor(random() * 8), seconds: 5 }));
      await c.clock.advance(Math.floor(random() * 4_000));
    }
    let most = 0;
    await c.until(
      async () => {
        const alive = (await c.pods()).filter((p) => !isTerminal(p));
        most = Math.max(most, alive.length);
        // A Pod that found no room would be a gang that runs in part.
        const stuck = alive.filter((p) => condition(p.status?.conditions, "PodScheduled")?.status === "False");
        expect(stuck).toEqual([]);
        return (await api.list()).items.every(complete);
      },
      1_800_000,
      1_000,
    );
    expect(most).toBeLessThanOrEqual(8);
  });
});
