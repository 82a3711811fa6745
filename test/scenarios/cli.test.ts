import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ready, TestCluster } from "../harness/cluster.ts";
import { Running } from "../harness/process.ts";
import { ensureTestImages } from "../images/images.ts";

/** The five-minute tour and what lies beside it, with our own program. */
let cluster: TestCluster;
const mk = (...args: string[]) => cluster.cliOk(args);

const WEB = `
apiVersion: v1
kind: Pod
metadata: { name: web, labels: { app: web } }
spec:
  terminationGracePeriodSeconds: 1
  containers:
    - name: main
      image: busybox:1.36
      command: [sh, -c, 'i=0; while true; do echo "tick $i"; i=$((i+1)); sleep 0.2; done']
    - { name: side, image: "busybox:1.36", command: [sh, -c, "echo from the side; sleep 3600"] }
`;

beforeAll(async () => {
  await ensureTestImages();
  cluster = await TestCluster.start();
  mkdirSync(join(cluster.home, "m/deep"), { recursive: true });
  writeFileSync(join(cluster.home, "m/web.yaml"), WEB);
  writeFileSync(
    join(cluster.home, "m/deep/cm.yaml"),
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cm}\ndata: {a: b}\n",
  );
});
afterAll(() => cluster?.remove());

describe("mini-kube", () => {
  test("apply takes a directory, with -R what is below it, and standard input", async () => {
    expect(await mk("apply", "-f", join(cluster.home, "m"))).toBe("pod/web created\n");
    expect(await mk("apply", "-R", "-f", join(cluster.home, "m"))).toBe("configmap/cm created\npod/web unchanged\n");
    const again = await cluster.cliOk(["apply", "-f", "-"], {
      input: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cm}\ndata: {a: c}\n",
    });
    expect(again).toBe("configmap/cm configured\n");
  });

  test("wait, get in its forms", async () => {
    expect(await mk("wait", "--for=condition=Ready", "pod/web", "--timeout=30s")).toBe("pod/web condition met\n");
    expect(await mk("get", "po")).toMatch(/^NAME\s+READY\s+STATUS\s+RESTARTS\s+AGE\nweb\s+2\/2\s+Running/);
    expect(await mk("get", "pod/web", "cm/cm", "-o", "name")).toBe("pod/web\nconfigmap/cm\n");
    expect(await mk("get", "pods", "-o", "jsonpath={.items[*].metadata.name}")).toBe("web");
    expect(await mk("get", "pods", "-o", "custom-columns=N:.metadata.name,I:.spec.containers[*].image")).toBe(
      "N     I\nweb   busybox:1.36,busybox:1.36\n",
    );
    expect(await mk("get", "pod", "web", "-o", "yaml")).toMatch(/^apiVersion: v1\nkind: Pod\nmetadata:\n/);
    const kubectl = await cluster.kubectlOk(["get", "pods,cm,ns", "-A"]);
    const columns = (text: string) => text.replaceAll(/\b\d+[smh](\d+s)?\b/g, "AGE").replaceAll(/ +/g, " ");
    expect(columns(await mk("get", "pods,cm,ns", "-A"))).toBe(columns(kubectl));
  });

  test("logs of one, of all, and of those that a label chooses", async () => {
    expect(await mk("logs", "web", "-c", "side")).toBe("from the side\n");
    expect(await mk("logs", "-l", "app=web", "--all-containers", "--prefix", "--tail=1")).toMatch(
      /\[pod\/web\/side\] from the side/,
    );
    const follow = cluster.cliRunning(["logs", "-f", "web", "-c", "main", "--tail=1"]);
    const [, n] = await follow.until(/tick (\d+)/);
    await follow.until(new RegExp(`tick ${Number(n) + 5}\n`));
    follow.kill("SIGINT");
    expect(await follow.exited).not.toBe(0);
  });

  test("exec: output, exit code, input, terminal", async () => {
    expect(await mk("exec", "web", "-c", "side", "--", "hostname")).toBe("web\n");
    expect((await cluster.cli(["exec", "web", "-c", "side", "--", "sh", "-c", "exit 7"])).code).toBe(7);
    expect((await cluster.cli(["exec", "-i", "web", "-c", "side", "--", "cat"], { input: "hi\n" })).stdout).toBe(
      "hi\n",
    );
    const program = `${process.execPath} ${join(import.meta.dirname, "../../dist/cmd/mini-kube/main.js")}`;
    const line = `stty rows 31 cols 99; ${program} exec -it web -c side -- sh -c 'for i in 1 2 3 4 5 6 7 8 9; do stty size; sleep 0.1; done'`;
    const terminal = new Running("script", ["-qec", line, "/dev/null"], { env: cluster.env });
    await terminal.until(/31 99/);
    expect(await terminal.exited).toBe(0);
  });

  test("describe, label, annotate, explain, api-resources, version", async () => {
    expect(await mk("describe", "pod", "web")).toMatch(/^Name:\s+web\n[\s\S]*Events:[\s\S]*Scheduled[\s\S]*Started/);
    expect(await mk("label", "pod", "web", "tier=front")).toMatch(/^pod\/web labeled/);
    expect(await mk("get", "pods", "-l", "tier in (front)", "-o", "name")).toBe("pod/web\n");
    expect(await mk("annotate", "pod", "web", "why=because")).toMatch(/^pod\/web annotated/);
    expect(await mk("explain", "pod.spec.restartPolicy")).toMatch(/Restart policy for all containers/);
    expect(await mk("api-resources")).toMatch(/^pods\s+po\s+v1\s+true\s+Pod$/m);
    expect(await mk("version")).toMatch(/Server.*v1\.36/);
    expect(await mk("status")).toMatch(/is running/);
    expect(await mk("completion", "bash")).toMatch(/complete .*mini-kube/);
  });

  test("run, create, a namespace of one's own, delete", async () => {
    expect(await mk("run", "job", "--image=busybox:1.36", "--restart=Never", "--", "echo", "done")).toBe(
      "pod/job created\n",
    );
    await cluster.untilPod("job", (p) => p.status?.phase === "Succeeded");
    expect(await mk("logs", "job")).toBe("done\n");
    expect(await mk("create", "namespace", "team")).toBe("namespace/team created\n");
    await mk("config", "use-namespace", "team");
    expect(await mk("create", "configmap", "c", "--from-literal=k=v")).toBe("configmap/c created\n");
    expect(await mk("get", "cm", "c", "-n", "team", "-o", "jsonpath={.data.k}")).toBe("v");
    await mk("config", "use-namespace", "default");
    expect(await mk("delete", "namespace", "team")).toMatch(/namespace "team" deleted/);
    expect((await cluster.cli(["get", "ns", "team"])).stderr).toBe(
      'Error from server (NotFound): namespaces "team" not found\n',
    );
  });

  test("get -w follows; delete waits until it is true", async () => {
    await cluster.untilPod("web", ready);
    const watch = cluster.cliRunning(["get", "pods", "-w"]);
    await watch.until(/web\s+2\/2\s+Running/);
    expect(await mk("delete", "-f", join(cluster.home, "m/web.yaml"))).toMatch(/pod "web" deleted/);
    await watch.until(/web\s+2\/2\s+Terminating/);
    watch.kill("SIGINT");
    await watch.exited;
    expect(await mk("delete", "pods", "--all")).toMatch(/pod "job" deleted/);
    expect(await mk("get", "pods")).toBe("");
    expect(await cluster.containers()).toEqual([]);
  });
});
