/** Data that outlives its Pods, on real Docker, through kubectl. */
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { existsSync } from "node:fs";
import type { Pod } from "../../pkg/api/generated/types.ts";
import { persistentVolumes } from "../../pkg/api/kinds/core/persistentvolume.ts";
import { persistentVolumeClaims } from "../../pkg/api/kinds/core/persistentvolumeclaim.ts";
import { condition } from "../../pkg/api/pod.ts";
import type { DeepReadonly } from "../../pkg/util/types.ts";
import { ready, TestCluster } from "../harness/cluster.ts";
import { ensureTestImages } from "../images/images.ts";

let cluster: TestCluster;

beforeAll(async () => {
  await ensureTestImages();
  cluster = await TestCluster.start();
});
afterAll(() => cluster?.remove());

const claim = (name: string) => `
apiVersion: v1
kind: PersistentVolumeClaim
metadata: { name: ${name} }
spec:
  accessModes: [ReadWriteOnce]
  resources: { requests: { storage: 100Mi } }
`;

const pod = (name: string, command: string, o: { claim: string; mount?: string; user?: number }) => `
apiVersion: v1
kind: Pod
metadata: { name: ${name} }
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 0
  securityContext: { runAsUser: ${o.user ?? 0} }
  containers:
  - name: main
    image: busybox:1.36
    command: [sh, -c, ${JSON.stringify(command)}]
    volumeMounts: [{ name: data, mountPath: /data${o.mount ?? ""} }]
  volumes: [{ name: data, persistentVolumeClaim: { claimName: ${o.claim} } }]
`;

const apply = (...yaml: string[]) => cluster.kubectlOk(["apply", "-f", "-"], { input: yaml.join("\n---\n") });
const ended = (p: DeepReadonly<Pod>) => p.status?.phase === "Succeeded" || p.status?.phase === "Failed";
const logs = (name: string) => cluster.kubectlOk(["logs", name]);

describe("a claim of the default class", () => {
  test("what one Pod writes, another reads; it goes when the claim goes", async () => {
    await apply(
      claim("data"),
      pod("writer", "id -u > /data/who; mkdir /data/dir; echo hello > /data/dir/f", { claim: "data", user: 1000 }),
    );
    expect((await cluster.untilPod("writer", ended)).status?.phase).toBe("Succeeded");
    const { volumeName = "" } =
      (await cluster.client.resource(persistentVolumeClaims, "default").get("data")).spec ?? {};
    const path = (await cluster.client.resource(persistentVolumes).get(volumeName)).spec?.hostPath?.path ?? "";
    expect(existsSync(`${path}/dir/f`)).toBe(true);
    await cluster.kubectlOk(["delete", "pod", "writer"]);
    await apply(
      pod("reader", "cat /data/who /data/dir/f", { claim: "data" }),
      pod("below", "cat /data/f; touch /data/no 2>/dev/null || echo read-only", {
        claim: "data",
        mount: ", subPath: dir, readOnly: true",
      }),
    );
    await cluster.untilPod("reader", ended);
    await cluster.untilPod("below", ended);
    expect([await logs("reader"), await logs("below")]).toEqual(["1000\nhello\n", "hello\nread-only\n"]);
    const table = await cluster.kubectlOk(["get", "pvc,pv,sc"]);
    expect(table).toMatch(/persistentvolumeclaim\/data +Bound +pvc-\S+ +100Mi +RWO +standard/);
    expect(table).toMatch(/persistentvolume\/pvc-\S+ +100Mi +RWO +Delete +Bound +default\/data +standard/);
    expect(table).toMatch(/standard \(default\) +mini-kube.io\/hostpath +Delete +WaitForFirstConsumer +true/);

    // Somebody still refers to it: it stays until they are gone.
    await cluster.kubectlOk(["delete", "pvc", "data", "--wait=false"]);
    expect(await cluster.kubectlOk(["get", "pvc", "data"])).toMatch(/Terminating/);
    await cluster.kubectlOk(["delete", "pod", "reader", "below"]);
    await cluster.kubectlOk(["wait", "--for=delete", "pvc/data", `pv/${volumeName}`, "--timeout=30s"]);
    expect(existsSync(path)).toBe(false);
  });

  test("it is still there after the whole cluster was started anew", async () => {
    await apply(claim("kept"), pod("first", "echo before > /data/f", { claim: "kept" }));
    await cluster.untilPod("first", ended);
    await cluster.interrupt();
    await cluster.up();
    await apply(pod("second", "cat /data/f", { claim: "kept" }));
    await cluster.untilPod("second", ended);
    expect(await logs("second")).toBe("before\n");
  });

  test("a Pod whose claim is missing says so, and runs once it is there", async () => {
    await apply(pod("early", "echo ok > /data/f; sleep 3600", { claim: "late" }));
    const waiting = await cluster.untilPod(
      "early",
      (p) => condition(p.status?.conditions, "PodScheduled")?.status === "False",
    );
    expect(condition(waiting.status?.conditions, "PodScheduled")?.message).toBe(
      '0/1 nodes are available: persistentvolumeclaim "late" not found. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.',
    );
    await apply(claim("late"));
    await cluster.untilPod("early", ready);
    expect(await cluster.kubectlOk(["exec", "early", "--", "cat", "/data/f"])).toBe("ok\n");
  });

  test("each replica of a StatefulSet has its own, and finds it again", async () => {
    await apply(`
apiVersion: apps/v1
kind: StatefulSet
metadata: { name: db }
spec:
  serviceName: db
  replicas: 2
  selector: { matchLabels: { app: db } }
  template:
    metadata: { labels: { app: db } }
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: main
        image: busybox:1.36
        command: [sh, -c, "echo $(hostname) >> /data/f; exec sleep 3600"]
        volumeMounts: [{ name: data, mountPath: /data }]
  volumeClaimTemplates:
  - metadata: { name: data }
    spec:
      accessModes: [ReadWriteOnce]
      resources: { requests: { storage: 10Mi } }
`);
    const before = await cluster.untilPod("db-1", ready);
    await cluster.kubectlOk(["delete", "pod", "db-1"]);
    await cluster.untilPod("db-1", (p) => ready(p) && p.metadata.uid !== before.metadata.uid);
    const written = (name: string) => cluster.kubectlOk(["exec", name, "--", "cat", "/data/f"]);
    expect([await written("db-0"), await written("db-1")]).toEqual(["db-0\n", "db-1\ndb-1\n"]);
    expect(await cluster.kubectlOk(["get", "pvc", "-l", "app=db", "-o", "name"])).toBe(
      "persistentvolumeclaim/data-db-0\npersistentvolumeclaim/data-db-1\n",
    );
  });
});
