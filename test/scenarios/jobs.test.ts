/** Jobs, CronJobs and queues on real Docker, by the manifests that people are shown. */
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { TestCluster } from "../harness/cluster.ts";
import { ensureTestImages } from "../images/images.ts";

/** Unlike `sleep` alone, ends when it is asked to. */
const SLEEP = "trap exit TERM; sleep 3600 & wait";
let cluster: TestCluster;

beforeAll(async () => {
  await ensureTestImages();
  cluster = await TestCluster.start();
  // First: it is due at the next full minute, and looked at last.
  await cluster.kubectlOk(["apply", "-f", "manifests/cronjob.yaml"]);
});
afterAll(() => cluster?.remove());

const kubectl = (...args: string[]) => cluster.kubectlOk(args);
const jsonpath = (path: string, ...what: string[]) => kubectl("get", ...what, "-o", `jsonpath=${path}`);

describe("Jobs on real Docker", () => {
  test("three completions, two at a time", async () => {
    await kubectl("apply", "-f", "manifests/job.yaml");
    await kubectl("wait", "--for=condition=complete", "job/three", "--timeout=60s");
    expect(await kubectl("get", "job", "three", "--no-headers")).toMatch(/^three\s+Complete\s+3\/3\s/);
    expect(await kubectl("logs", "-l", "batch.kubernetes.io/job-name=three", "--tail=1")).toBe("done\n".repeat(3));
    const finalizers = await jsonpath("{.items[*].metadata.finalizers[*]}", "pods", "-l", "job-name=three");
    expect(finalizers).toBe("");
    expect(await kubectl("describe", "job", "three")).toMatch(/Completed\s+.*Job completed/);
  });

  test("an indexed Job: each Pod knows its number and its name", async () => {
    await kubectl("apply", "-f", "manifests/job-indexed.yaml");
    await kubectl("wait", "--for=condition=complete", "job/parts", "--timeout=60s");
    expect(await jsonpath("{.status.completedIndexes}", "job", "parts")).toBe("0-3");
    const said = (await kubectl("logs", "-l", "job-name=parts")).trim().split("\n");
    expect(new Set(said)).toEqual(new Set([0, 1, 2, 3].map((n) => `part ${n} on parts-${n}`)));
  });

  test("a failing one gives up at its limit, and kubectl says why", async () => {
    await kubectl("create", "job", "bad", "--image=busybox:1.36", "--", "false");
    await kubectl("patch", "job", "bad", "-p", '{"spec":{"backoffLimit":0}}');
    await kubectl("wait", "--for=condition=failed", "job/bad", "--timeout=60s");
    expect(await jsonpath("{.status.failed}", "job", "bad")).toBe("1");
    expect(await kubectl("describe", "job", "bad")).toMatch(
      /BackoffLimitExceeded\s+.*Job has reached the specified backoff limit/,
    );
  });

  test("deleted, it takes its Pods along", async () => {
    await kubectl("create", "job", "endless", "--image=busybox:1.36", "--", "sh", "-c", SLEEP);
    await kubectl("wait", "--for=jsonpath={.status.ready}=1", "job/endless", "--timeout=60s");
    await kubectl("delete", "job", "endless");
    await kubectl("wait", "--for=delete", "pod", "-l", "job-name=endless", "--timeout=60s");
    expect(await kubectl("get", "pods", "-l", "job-name=endless", "-o", "name")).toBe("");
  });

  test("two teams share four GPUs: who does not fit waits, suspended, knows for what, and starts by itself", async () => {
    const gpus = { "example.com/gpu": "4" };
    const patch = JSON.stringify({ status: { capacity: gpus, allocatable: gpus } });
    await kubectl("patch", "node", cluster.nodeName, "--subresource=status", "-p", patch);
    await kubectl("apply", "-f", "manifests/team-queue.yaml");
    await kubectl("wait", "--for=condition=Queued", "job/transcribe", "-n", "team-b", "--timeout=30s");
    expect(await kubectl("get", "job", "transcribe", "-n", "team-b", "--no-headers")).toMatch(
      /^transcribe\s+Suspended\s+0\/2\s/,
    );
    const waits = "waits for 1 example.com/gpu: 2 wanted, 1 free";
    const message = await jsonpath(
      '{.status.conditions[?(@.type=="Queued")].message}',
      "job",
      "transcribe",
      "-n",
      "team-b",
    );
    expect(message).toBe(`${waits}; place 1 of 1 in queue team-b`);
    const table = await cluster.cliOk(["queue"]);
    expect(table).toMatch(/^QUEUE\s+PLACE\s+NAMESPACE\s+JOB\s+PODS\s+SINCE\s+REASON\n/);
    expect(table).toMatch(
      /team-b\s+1\s+team-b\s+transcribe\s+2\s+\d+s\s+waits for 1 example.com\/gpu: 2 wanted, 1 free\n/,
    );
    expect(table).toMatch(/team-a\s+-\s+team-a\s+train\s+3\s+\d+s\s+runs/);
    await kubectl("wait", "--for=condition=complete", "job/train", "-n", "team-a", "--timeout=60s");
    await kubectl("wait", "--for=condition=complete", "job/transcribe", "-n", "team-b", "--timeout=60s");
    expect((await cluster.cli(["queue"])).stderr).toMatch("No Jobs in queues.");
    expect(await kubectl("describe", "job", "transcribe", "-n", "team-b")).toMatch(
      /Started\s+.*started after \d+s in queue team-b/,
    );
  });

  test("a CronJob fires at the full minute", async () => {
    await kubectl("wait", "--for=jsonpath={.status.lastSuccessfulTime}", "cronjob/tick", "--timeout=90s");
    const last = await jsonpath("{.status.lastScheduleTime}", "cronjob", "tick");
    expect(last).toMatch(/:00Z$/);
    const name = `tick-${Date.parse(last) / 60_000}`;
    const job = JSON.parse(await kubectl("get", "job", name, "-o", "json")) as {
      metadata: { annotations: Record<string, string>; ownerReferences: { kind: string; name: string }[] };
    };
    const scheduled = job.metadata.annotations["batch.kubernetes.io/cronjob-scheduled-timestamp"] ?? "";
    expect(Date.parse(scheduled)).toBe(Date.parse(last));
    expect(job.metadata.ownerReferences).toMatchObject([{ kind: "CronJob", name: "tick" }]);
    expect(await kubectl("logs", `job/${name}`)).toMatch(/tick\n$/);
  });
});
