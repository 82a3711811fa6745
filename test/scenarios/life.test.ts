import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { mkdirSync, readFileSync } from "node:fs";
import { createServer, type Http2Server } from "node:http2";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { ContainerStatus, Pod } from "../../pkg/api/generated/types.ts";
import { jobs } from "../../pkg/api/kinds/batch/job.ts";
import { condition } from "../../pkg/api/pod.ts";
import type { DeepReadonly } from "../../pkg/util/types.ts";
import { ready, TestCluster } from "../harness/cluster.ts";
import { ensureTestImages } from "../images/images.ts";

/** The life of containers on real Docker, driven by kubectl: how they start, what they are asked, how they end. */
const IMAGE = "busybox:1.36";
let cluster: TestCluster;

beforeAll(async () => {
  await ensureTestImages();
  cluster = await TestCluster.start();
});
afterAll(() => cluster?.remove());

const apply = (yaml: string) => cluster.kubectlOk(["apply", "-f", "-"], { input: yaml });
const main = (pod: DeepReadonly<Pod>): DeepReadonly<ContainerStatus> | undefined => pod.status?.containerStatuses?.[0];
const script = (...lines: readonly string[]) => JSON.stringify(["sh", "-c", lines.join("\n")]);
const LOOP = "while :; do sleep 0.1; done";
const ended = (name: string) => cluster.untilPod(name, (p) => main(p)?.state?.terminated !== undefined);

test("sidecars begin first and end last, in reverse; hooks have their place; all is said in events", async () => {
  const dir = join(cluster.home, "tale");
  mkdirSync(dir);
  const say = (what: string) => `echo ${what} >> /tale/log`;
  const container = (name: string, ready: string) => `
  - name: ${name}
    image: ${IMAGE}
    volumeMounts: [{name: tale, mountPath: /tale}]
    command: ${script(`trap '${say(`${name} ends`)}; exit 0' TERM`, say(`${name} begins`), ready, LOOP)}`;
  const sidecar = (name: string) => `${container(name, "sleep 0.7; touch /up")}
    restartPolicy: Always
    startupProbe: {exec: {command: [test, -f, /up]}, periodSeconds: 1, failureThreshold: 30}`;
  await apply(`
apiVersion: v1
kind: Pod
metadata: {name: ordered}
spec:
  volumes: [{name: tale, hostPath: {path: ${dir}}}]
  initContainers:${sidecar("one")}${sidecar("two")}
  containers:${container("main", "")}
    lifecycle:
      postStart: {exec: {command: ${script(say("hello"))}}}
      preStop: {exec: {command: ${script("sleep 0.5", say("bye"))}}}`);
  await cluster.untilPod("ordered", ready);
  expect(await cluster.kubectlOk(["get", "pod", "ordered", "--no-headers"])).toMatch(/^ordered +3\/3 +Running/);
  await cluster.kubectlOk(["delete", "pod", "ordered"]);
  const tale = readFileSync(join(dir, "log"), "utf8").trim().split("\n");
  expect(tale.filter((line) => line !== "hello")).toEqual([
    "one begins",
    "two begins",
    "main begins",
    "bye",
    "main ends",
    "two ends",
    "one ends",
  ]);
  expect(tale.slice(2, 4).toSorted()).toEqual(["hello", "main begins"]); // which of the two is first, nobody knows
  const events = await cluster.kubectlOk(["get", "events", "-o", "custom-columns=R:.reason,M:.message"]);
  for (const name of ["one", "two", "main"]) {
    expect(events).toMatch(new RegExp(`Started +Started container ${name}`));
    expect(events).toMatch(new RegExp(`Killing +Stopping container ${name}`));
  }
});

test("kubectl debug looks into a running container; what it brought stays in the status and changes nothing", async () => {
  await apply(`
apiVersion: v1
kind: Pod
metadata: {name: patient}
spec:
  containers: [{name: app, image: ${IMAGE}, command: [sleep, "3737"]}]`);
  await cluster.untilPod("patient", ready);
  const debug = ["debug", "patient", "-i", `--image=${IMAGE}`, "--target=app", "-c", "probe", "--", "sh"];
  const said = await cluster.kubectl(debug, { input: "sleep 1\nps -o args\nexit 4\n" });
  const log = await cluster.kubectlOk(["logs", "patient", "-c", "probe"]);
  expect(said.stdout + log).toContain("sleep 3737");
  const pod = await cluster.untilPod(
    "patient",
    (p) => p.status?.ephemeralContainerStatuses?.[0]?.state?.terminated !== undefined,
  );
  expect(pod.status?.ephemeralContainerStatuses?.[0]).toMatchObject({
    name: "probe",
    restartCount: 0,
    state: { terminated: { exitCode: 4, reason: "Error" } },
  });
  expect(ready(pod)).toBe(true);
  const described = await cluster.kubectlOk(["describe", "pod", "patient"]);
  expect(described).toMatch(/Ephemeral Containers:\s+probe:[\s\S]*Exit Code: +4/);
});

/** A health service beside the cluster, whose word can be changed. */
async function healthService(status: () => number): Promise<Http2Server> {
  const server = createServer();
  server.on("stream", (stream) => {
    stream.resume();
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(Buffer.from([0, 0, 0, 0, 2, 0x08, status()]));
  });
  await new Promise<void>((resolve) => server.listen(0, "0.0.0.0", resolve));
  return server;
}

test("a gRPC service is asked for its health by its own protocol", async () => {
  let status = 2;
  const server = await healthService(() => status);
  try {
    await apply(`
apiVersion: v1
kind: Pod
metadata: {name: grpc}
spec:
  hostNetwork: true
  containers:
  - name: app
    image: ${IMAGE}
    command: [sleep, "3600"]
    readinessProbe: {grpc: {port: ${(server.address() as AddressInfo).port}}, periodSeconds: 1, failureThreshold: 1}`);
    await cluster.untilPod("grpc", (p) => main(p)?.state?.running !== undefined && main(p)?.ready === false);
    status = 1;
    await cluster.untilPod("grpc", ready);
    status = 2;
    const pod = await cluster.untilPod("grpc", (p) => !ready(p));
    expect(condition(pod.status?.conditions, "Ready")).toMatchObject({ reason: "ContainersNotReady" });
    const events = await cluster.kubectlOk(["get", "events", "--field-selector", "reason=Unhealthy", "-o", "yaml"]);
    expect(events).toContain("service unhealthy (responded with");
  } finally {
    server.close();
  }
});

test("last words: a file of the container's choice, or the end of its log; a signal of its choice ends it", async () => {
  await apply(`
apiVersion: v1
kind: Pod
metadata: {name: words}
spec:
  restartPolicy: Never
  os: {name: linux}
  securityContext: {runAsUser: 1234}
  containers:
  - name: file
    image: ${IMAGE}
    terminationMessagePath: /tmp/words
    command: ${script("echo -n all is lost > /tmp/words", "exit 3")}
  - name: log
    image: ${IMAGE}
    terminationMessagePolicy: FallbackToLogsOnError
    command: ${script("echo not found: the answer", "exit 4")}
  - name: signal
    image: ${IMAGE}
    lifecycle: {stopSignal: SIGUSR1, preStop: {exec: {command: ["false"]}}}
    command: ${script("trap 'echo -n heard USR1 > /dev/termination-log; exit 0' USR1", LOOP)}`);
  const words = (p: DeepReadonly<Pod>) => p.status?.containerStatuses?.map((s) => s.state?.terminated?.message);
  await cluster.untilPod("words", (p) => words(p)?.filter((w) => w !== undefined).length === 2);
  const gone = cluster.untilPod("words", (p) => words(p)?.every((w) => w !== undefined) ?? false);
  await cluster.kubectlOk(["delete", "pod", "words", "--wait=false"]);
  expect(words(await gone)).toEqual(["all is lost", "not found: the answer\n", "heard USR1"]);
  const events = await cluster.kubectlOk(["get", "events", "-o", "yaml"]);
  expect(events).toMatch(/message: PreStopHook failed\n[\s\S]*?reason: FailedPreStopHook/);
});

test("who does not hear SIGTERM is killed when the grace is over", async () => {
  await apply(`
apiVersion: v1
kind: Pod
metadata: {name: deaf}
spec:
  terminationGracePeriodSeconds: 3
  containers: [{name: app, image: ${IMAGE}, command: ${script("trap '' TERM", LOOP)}}]`);
  await cluster.untilPod("deaf", ready);
  const began = Date.now();
  const over = ended("deaf");
  await cluster.kubectlOk(["delete", "pod", "deaf"]);
  expect(main(await over)?.state?.terminated).toMatchObject({ exitCode: 137, reason: "Error" });
  expect(Date.now() - began).toBeGreaterThan(2_500);
  expect(Date.now() - began).toBeLessThan(25_000);
});

test("what ends at once backs off as its Pod says; what cannot be started says why", async () => {
  await apply(`
apiVersion: v1
kind: Pod
metadata:
  name: brief
  annotations: {mini-kube.io/restart-backoff-base: 500ms, mini-kube.io/restart-backoff-max: 1s}
spec:
  containers: [{name: app, image: ${IMAGE}, command: ["false"]}]
---
apiVersion: v1
kind: Pod
metadata: {name: nothing}
spec:
  containers: [{name: app, image: ${IMAGE}, command: [no-such-program]}]`);
  const brief = await cluster.untilPod("brief", (p) => (main(p)?.restartCount ?? 0) >= 4);
  expect(main(brief)?.lastState?.terminated).toMatchObject({ exitCode: 1, reason: "Error" });
  await cluster.untilPod("brief", (p) => main(p)?.state?.waiting?.reason === "CrashLoopBackOff");
  const nothing = await cluster.untilPod("nothing", (p) => main(p)?.lastState?.terminated !== undefined);
  const { reason, message } = main(nothing)?.lastState?.terminated ?? {};
  expect(reason).toBe("ContainerCannotRun");
  expect(message).toContain('"no-such-program": executable file not found');
});

test("a Job with a sidecar is complete when its own container is", async () => {
  await apply(`
apiVersion: batch/v1
kind: Job
metadata: {name: sidecarred}
spec:
  template:
    spec:
      restartPolicy: Never
      terminationGracePeriodSeconds: 5
      initContainers: [{name: proxy, image: ${IMAGE}, restartPolicy: Always, command: ${script("trap 'exit 0' TERM", LOOP)}}]
      containers: [{name: work, image: ${IMAGE}, command: [sleep, "1"]}]`);
  const job = await cluster.until(cluster.client.resource(jobs, "default"), {
    name: "sidecarred",
    done: (j) => condition(j.status?.conditions, "Complete")?.status === "True",
  });
  expect(job.status?.succeeded).toBe(1);
});
