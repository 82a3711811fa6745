import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { ready, TestCluster } from "../harness/cluster.ts";
import { Running } from "../harness/process.ts";
import { ensureTestImages } from "../images/images.ts";

/** A stranger with nothing but the kubeconfig and an unmodified kubectl. */
const WEB = `
apiVersion: v1
kind: Pod
metadata:
  name: web
  labels: { app: web }
spec:
  terminationGracePeriodSeconds: 1
  containers:
    - name: main
      image: busybox:1.36
      command: [sh, -c, 'i=0; while true; do echo "tick $i"; i=$((i+1)); sleep 0.2; done']
      env: [{ name: COLOUR, value: blue }]
    - name: side
      image: busybox:1.36
      command: [sleep, "3600"]
`;

let cluster: TestCluster;
const kubectl = (...args: string[]) => cluster.kubectlOk(args);

beforeAll(async () => {
  await ensureTestImages();
  cluster = await TestCluster.start();
  writeFileSync(join(cluster.home, "web.yaml"), WEB);
  await cluster.kubectlOk(["apply", "-f", join(cluster.home, "web.yaml")]);
  await cluster.untilPod("web", ready);
});
afterAll(() => cluster?.remove());

describe("unmodified kubectl", () => {
  test("get shows the Pod as kubectl users know it", async () => {
    const [head, row] = (await kubectl("get", "pods", "-o", "wide")).split("\n");
    expect(head?.split(/\s{2,}/)).toEqual([
      "NAME",
      "READY",
      "STATUS",
      "RESTARTS",
      "AGE",
      "IP",
      "NODE",
      "NOMINATED NODE",
      "READINESS GATES",
    ]);
    expect(row).toMatch(/^web\s+2\/2\s+Running\s+0\s+\d+s\s+\d+\.\d+\.\d+\.\d+\s+node-1\s+<none>\s+<none>/);
  });

  test("get finds things by short name, label, field and everywhere", async () => {
    expect(await kubectl("get", "po", "-l", "app=web", "-o", "name")).toBe("pod/web\n");
    expect(await kubectl("get", "po", "-l", "app!=web", "-o", "name")).toBe("");
    expect(await kubectl("get", "po", "--field-selector", "status.phase=Running", "-A", "-o", "name")).toBe(
      "pod/web\n",
    );
    expect(await kubectl("get", "ns", "default", "-o", "jsonpath={.status.phase}")).toBe("Active");
    expect(await kubectl("get", "no", "--no-headers")).toMatch(/^node-1\s+Ready\s/);
  });

  test("apply again changes nothing; a changed label does", async () => {
    const before = await kubectl("get", "pod", "web", "-o", "jsonpath={.metadata.resourceVersion}");
    expect(await kubectl("apply", "-f", join(cluster.home, "web.yaml"))).toBe("pod/web unchanged\n");
    expect(await kubectl("get", "pod", "web", "-o", "jsonpath={.metadata.resourceVersion}")).toBe(before);
    writeFileSync(join(cluster.home, "web2.yaml"), WEB.replace("app: web", "app: web, tier: front"));
    expect(await kubectl("apply", "-f", join(cluster.home, "web2.yaml"))).toBe("pod/web configured\n");
    expect(await kubectl("get", "pod", "web", "-o", "jsonpath={.metadata.labels.tier}")).toBe("front");
    expect(await kubectl("apply", "-f", join(cluster.home, "web.yaml"))).toBe("pod/web configured\n");
    expect(await kubectl("get", "pod", "web", "-o", "jsonpath={.metadata.labels}")).toBe('{"app":"web"}');
  });

  test("describe tells containers, conditions and events", async () => {
    const text = await kubectl("describe", "pod", "web");
    expect(text).toMatch(/^Node:\s+node-1\//m);
    expect(text).toMatch(/^\s+COLOUR:\s+blue$/m);
    expect(text).toMatch(/^\s+Ready\s+True/m);
    expect(text).toMatch(/Normal\s+Scheduled\s+.*Successfully assigned default\/web to node-1/);
    expect(text).toMatch(/Normal\s+Started\s+/);
    expect(await kubectl("describe", "node", "node-1")).toMatch(/Non-terminated Pods:\s+\(1 in total\)/);
  });

  test("logs: one container must be chosen; -f follows until the client goes", async () => {
    expect(await kubectl("logs", "web", "-c", "main", "--tail=2")).toMatch(/^tick \d+\ntick \d+\n$/);
    const follow = cluster.kubectlRunning(["logs", "-f", "web", "-c", "main", "--since=1s"]);
    const [, first] = await follow.until(/tick (\d+)/);
    await follow.until(new RegExp(`tick ${Number(first) + 10}\n`));
    follow.kill("SIGINT");
    await follow.exited;
    expect(await kubectl("logs", "web", "-c", "main", "--limit-bytes=6")).toBe("tick 0");
    expect(await kubectl("logs", "web", "-c", "main", "--timestamps", "--tail=1")).toMatch(
      /^\d{4}-\d\d-\d\dT[\d:.]+Z tick/,
    );
  });

  test("exec: output, exit code, input, and a terminal", async () => {
    expect(await kubectl("exec", "web", "-c", "main", "--", "sh", "-c", "echo $COLOUR; hostname")).toBe("blue\nweb\n");
    const failed = await cluster.kubectl(["exec", "web", "-c", "main", "--", "sh", "-c", "echo oops >&2; exit 42"]);
    expect(failed.code).toBe(42);
    expect(failed.stderr).toMatch(/oops[\s\S]*exit code 42/);
    const cat = await cluster.kubectl(["exec", "-i", "web", "-c", "side", "--", "cat"], { input: "one\ntwo\n" });
    expect(cat.stdout).toBe("one\ntwo\n");
    const big = await cluster.kubectl(["exec", "-i", "web", "-c", "side", "--", "wc", "-c"], {
      input: "x".repeat(3_000_000),
    });
    expect(big.stdout.trim()).toBe("3000000");
    // script(1) gives kubectl the terminal it asks for; its size arrives a moment after the command has begun.
    const line = `kubectl --kubeconfig ${cluster.kubeconfig} exec -it web -c side -- sh -c 'tty; for i in 1 2 3 4 5 6 7 8 9; do stty size; sleep 0.1; done'`;
    const terminal = new Running("script", ["-qec", `stty rows 33 cols 101; ${line}`, "/dev/null"], {
      env: cluster.env,
    });
    await terminal.until(/\/dev\/pts\/\d+[\s\S]*33 101/);
    expect(await terminal.exited).toBe(0);
  });

  test("explain and api-resources read our schema", async () => {
    expect(await kubectl("explain", "pod.spec.containers")).toMatch(
      /imagePullPolicy\s+<string>[\s\S]*Image pull policy/,
    );
    expect(await kubectl("explain", "configmap.data")).toMatch(/FIELD:\s+data <map\[string\]string>/);
    const table = await kubectl("api-resources", "--no-headers");
    expect(table).toMatch(/^pods\s+po\s+v1\s+true\s+Pod$/m);
    expect(table).toMatch(/^leases\s+coordination\.k8s\.io\/v1\s+true\s+Lease$/m);
    expect(table).toMatch(/^nodes\s+no\s+v1\s+false\s+Node$/m);
  });

  test("label, annotate, patch, replace, edit of a ConfigMap", async () => {
    await kubectl(
      "apply",
      "-f",
      await file("cm.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cm}\ndata: {a: '1', b: '2'}\n"),
    );
    await kubectl("label", "cm", "cm", "x=y");
    await kubectl("annotate", "cm", "cm", "note=hello");
    await kubectl("patch", "cm", "cm", "--type=json", "-p", '[{"op":"remove","path":"/data/a"}]');
    await kubectl("patch", "cm", "cm", "--type=merge", "-p", '{"data":{"c":"3"}}');
    await kubectl("patch", "cm", "cm", "-p", '{"data":{"b":null}}');
    const cm = JSON.parse(await kubectl("get", "cm", "cm", "-o", "json")) as {
      data: object;
      metadata: { labels: object };
    };
    expect(cm.data).toEqual({ c: "3" });
    expect(cm.metadata.labels).toEqual({ x: "y" });
    expect(await kubectl("delete", "cm", "cm")).toMatch(/^configmap "cm" deleted/);
  });

  test("a namespace goes with all that is in it", async () => {
    await kubectl("apply", "-f", await file("ns.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: doomed}\n"));
    await kubectl("apply", "-n", "doomed", "-f", join(cluster.home, "web.yaml"));
    await cluster.untilPod("web", ready, "doomed");
    expect(await kubectl("delete", "ns", "doomed")).toMatch(/^namespace "doomed" deleted/);
    expect(await kubectl("get", "pods", "-n", "doomed", "-o", "name")).toBe("");
    expect(await cluster.containers("label=io.mini-kube.pod.namespace=doomed")).toEqual([]);
  });

  test("get -w shows what happens; delete is graceful and complete", async () => {
    const watch = cluster.kubectlRunning(["get", "pods", "-w", "--no-headers"]);
    await watch.until(/web\s+2\/2\s+Running/);
    expect(await kubectl("delete", "pod", "web")).toMatch(/^pod "web" deleted/);
    await watch.until(/web\s+2\/2\s+Terminating/);
    watch.kill();
    await watch.exited;
    expect(await cluster.kubectl(["get", "pod", "web"])).toMatchObject({
      code: 1,
      stderr: 'Error from server (NotFound): pods "web" not found\n',
    });
    expect(await cluster.containers()).toEqual([]);
  });
});

async function file(name: string, text: string): Promise<string> {
  const path = join(cluster.home, name);
  writeFileSync(path, text);
  return path;
}
