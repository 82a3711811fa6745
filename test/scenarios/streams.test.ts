import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { createHash, randomBytes } from "node:crypto";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ensureTestTools, kubectls } from "../../cmd/dev/test-tools.mjs";
import { ready, TestCluster } from "../harness/cluster.ts";
import { eventually, run, type RunOptions, runOk } from "../harness/process.ts";
import { ensureTestImages } from "../images/images.ts";

/** What real Pods say, and what goes in and out of them: logs, exec, attach, cp; by SPDY (1.29) and WebSocket (1.36). */
let cluster: TestCluster;

const MANIFEST = `
apiVersion: v1
kind: Pod
metadata: { name: shell }
spec:
  terminationGracePeriodSeconds: 0
  containers: [{ name: sh, image: 'busybox:1.36', command: [sleep, '3600'] }]
---
apiVersion: v1
kind: Pod
metadata: { name: talker }
spec:
  terminationGracePeriodSeconds: 0
  containers:
    - name: main
      image: busybox:1.36
      command: [sh, -c, 'echo one; sleep 0.2; echo oops >&2; sleep 1.2; echo two; echo three; sleep 3600']
    - { name: side, image: 'busybox:1.36', command: [sh, -c, 'echo beside; sleep 3600'] }
---
apiVersion: v1
kind: Pod
metadata: { name: echo }
spec:
  terminationGracePeriodSeconds: 0
  restartPolicy: Never
  containers: [{ name: cat, image: 'busybox:1.36', command: [cat], stdin: true, stdinOnce: true }]
`;

beforeAll(async () => {
  await Promise.all([ensureTestTools(), ensureTestImages()]);
  cluster = await TestCluster.start();
  const file = join(cluster.home, "pods.yaml");
  writeFileSync(file, MANIFEST);
  await cluster.cliOk(["apply", "-f", file]);
  await Promise.all(["shell", "talker", "echo"].map((name) => cluster.untilPod(name, ready)));
}, 600_000);
afterAll(() => cluster?.remove());

const kubectl = (minor: string, args: readonly string[], o: RunOptions = {}) =>
  run(kubectls[minor] ?? "", ["--kubeconfig", cluster.kubeconfig, ...args], { env: cluster.env, ...o });

const MINORS = ["1.29", "1.36"];

describe("many sessions", () => {
  test("fifty execs at once: stdin, stdout, stderr and exit code of each its own", async () => {
    const sessions = Array.from({ length: 50 }, async (_, n) => {
      const script = `cat; echo e${n} >&2; exit ${n}`;
      const args = ["exec", "-i", "shell", "--", "sh", "-c", script];
      const { code, stdout, stderr } = await kubectl(MINORS[n % 2] ?? "", args, {
        input: `in ${n}`,
      });
      return { code, stdout, stderr: stderr.split("\n")[0] };
    });
    expect(await Promise.all(sessions)).toEqual(
      Array.from({ length: 50 }, (_, n) => ({ code: n, stdout: `in ${n}`, stderr: `e${n}` })),
    );
  });

  test.each(MINORS)("kubectl %s cp: 100 MB there and back, every byte", async (minor) => {
    const [there, back] = [join(cluster.home, `up-${minor}`), join(cluster.home, `down-${minor}`)];
    const bytes = randomBytes(100_000_000);
    writeFileSync(there, bytes);
    const up = await kubectl(minor, ["cp", there, `shell:/tmp/${minor}`]);
    expect(up).toMatchObject({ code: 0 });
    const down = await kubectl(minor, ["cp", `shell:/tmp/${minor}`, back]);
    expect(down).toMatchObject({ code: 0 });
    expect(sha256(readFileSync(back))).toBe(sha256(bytes));
  });

  test.each(MINORS)("kubectl %s run -i --rm ends with its input, with the command's exit code", async (minor) => {
    const command = ["--", "sh", "-c", "sed s/^/got:/; exit 3"];
    const name = `once-${minor.replace(".", "-")}`;
    const flags = ["run", name, "-i", "--rm", "--restart=Never", "--image=busybox:1.36", "--quiet"];
    const { code, stdout } = await kubectl(minor, [...flags, ...command], { input: "a\nb\n" });
    expect({ code, stdout }).toEqual({ code: 3, stdout: "got:a\ngot:b\n" });
    expect((await cluster.kubectl(["get", "pod", name])).stderr).toMatch(/NotFound/);
  });

  test("attach: what is typed comes back, and the end of input ends a container that wants it once", async () => {
    const { code, stdout } = await kubectl("1.36", ["attach", "-i", "echo", "--quiet"], { input: "typed\n" });
    expect({ code, stdout }).toEqual({ code: 0, stdout: "typed\n" });
    await cluster.untilPod("echo", (p) => p.status?.phase === "Succeeded");
    expect((await kubectl("1.36", ["attach", "-i", "echo"])).stderr).toMatch(/completed pod|not found|not running/);
  });
});

describe("logs", () => {
  const STAMP = String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z`;
  beforeAll(async () => {
    await eventually(
      () => cluster.kubectlOk(["logs", "talker", "-c", "main"]),
      (text) => text.endsWith("three\n"),
    );
  });

  test.each<[string[], RegExp]>([
    [["-c", "main"], /^one\noops\ntwo\nthree\n$/],
    [["-c", "main", "--tail=2"], /^two\nthree\n$/],
    [["-c", "main", "--tail=0"], /^$/],
    [["-c", "main", "--limit-bytes=6"], /^one\noo$/],
    [["-c", "main", "--timestamps", "--tail=1"], new RegExp(`^${STAMP} three\\n$`)],
    [["-c", "main", "--since=1h"], /^one\noops\ntwo\nthree\n$/],
    [["-c", "main", "--insecure-skip-tls-verify-backend", "--tail=1"], /^three\n$/],
  ])("kubectl logs talker %j", async (args, expected) => {
    expect(await cluster.kubectlOk(["logs", "talker", ...args])).toMatch(expected);
  });

  test("of all containers, each line with whose it is; kubectl asks for them in no order", async () => {
    const lines = (await cluster.kubectlOk(["logs", "talker", "--all-containers", "--prefix"])).split("\n");
    const [main, side] = ["main", "side"].map((c) => lines.filter((line) => line.startsWith(`[pod/talker/${c}] `)));
    expect(main).toEqual(["one", "oops", "two", "three"].map((line) => `[pod/talker/main] ${line}`));
    expect(side).toEqual(["[pod/talker/side] beside"]);
    expect(lines).toHaveLength(6);
  });

  test("since a time, to the fraction of a second; one stream of both", async () => {
    const lines = (await cluster.kubectlOk(["logs", "talker", "-c", "main", "--timestamps"])).split("\n");
    const at = lines.find((l) => l.endsWith(" two"))?.split(" ")[0] ?? "";
    expect(await cluster.kubectlOk(["logs", "talker", "-c", "main", `--since-time=${at}`])).toBe("two\nthree\n");
    const log = "/api/v1/namespaces/default/pods/talker/log?container=main";
    expect(await cluster.kubectlOk(["get", "--raw", `${log}&stream=Stderr`])).toBe("oops\n");
    expect(await cluster.kubectlOk(["get", "--raw", `${log}&stream=Stdout`])).toBe("one\ntwo\nthree\n");
  });

  test("of the run before, and followed to the end", async () => {
    const script = "echo run; sleep 1; echo end; exit 1";
    const flags = ["run", "dying", "--image=busybox:1.36", "--restart=OnFailure", "--grace-period=0"];
    await cluster.kubectlOk([...flags.slice(0, 4), "--", "sh", "-c", script]);
    await cluster.untilPod("dying", ready);
    expect(await cluster.kubectlOk(["logs", "-f", "dying"])).toBe("run\nend\n");
    await cluster.untilPod("dying", (p) => (p.status?.containerStatuses?.[0]?.restartCount ?? 0) > 0);
    expect(await cluster.kubectlOk(["logs", "--previous", "dying"])).toBe("run\nend\n");
  });

  test("a flood is rotated: the disk keeps 50 MiB of it, its end can be read, and the node is well", async () => {
    const script = "yes 0123456789012345678901234567890123456789 | head -n 3000000; echo the end";
    await cluster.kubectlOk(["run", "flood", "--image=busybox:1.36", "--restart=Never", "--", "sh", "-c", script]);
    await cluster.untilPod("flood", (p) => p.status?.phase === "Running" || p.status?.phase === "Succeeded");
    await cluster.untilPod("flood", (p) => p.status?.phase === "Succeeded");
    expect(await cluster.kubectlOk(["logs", "--tail=2", "flood"])).toMatch(/^0123\d+\nthe end\n$/);
    const [id = ""] = await cluster.containers(
      "label=io.mini-kube.pod.name=flood",
      "label=io.mini-kube.kind=container",
    );
    expect(await logBytes(id)).toBeLessThan(55 * 2 ** 20);
    const node = await cluster.kubectlOk(["get", "node", "-o", "jsonpath={.items[0].status.conditions}"]);
    expect(node).toMatch(/"status":"True","type":"Ready"/);
  });
});

describe("of Pods that are gone", () => {
  const path = () => `/api/v1/nodes/${cluster.nodeName}/proxy`;

  test("what they said is there for mini-kube logs, and for kubectl by the node's proxy", async () => {
    const script = "echo my last words; echo why >&2; sleep 3600";
    await cluster.kubectlOk(["run", "mortal", "--image=busybox:1.36", "--", "sh", "-c", script]);
    await cluster.untilPod("mortal", ready);
    await cluster.kubectlOk(["delete", "pod", "mortal", "--grace-period=1"]);
    const { stdout, stderr } = await cluster.cli(["logs", "mortal"]);
    expect(stdout.split("\n").toSorted()).toEqual(["", "my last words", "why"]);
    expect(stderr).toMatch(/^Pod "mortal" is gone from node node-1 since \d{4}-\S+; this is what it said:\n$/);
    const listed = await eventually(
      () => cluster.kubectlOk(["get", "--raw", `${path()}/keptLogs?namespace=default&pod=mortal`]),
      (text) => !text.includes('"sizeBytes":0'),
    );
    expect(JSON.parse(listed)).toMatchObject({ logs: [{ pod: "mortal", container: "mortal", attempt: 0 }] });
    const raw = `${path()}/containerLogs/default/mortal/mortal`;
    expect(await cluster.kubectlOk(["get", "--raw", `${raw}?stream=Stdout`])).toBe("my last words\n");
    // Its name has a new bearer: the old one is asked for by --gone.
    await cluster.kubectlOk(["run", "mortal", "--image=busybox:1.36", "--", "sh", "-c", "echo reborn; sleep 3600"]);
    await cluster.untilPod("mortal", ready);
    expect(
      await eventually(
        () => cluster.cliOk(["logs", "mortal"]),
        (t) => t !== "",
      ),
    ).toBe("reborn\n");
    expect(await cluster.cliOk(["logs", "--gone", "mortal", "--tail=1", "--prefix"])).toMatch(
      /^\[pod\/mortal\/mortal\] (my last words|why)\n$/,
    );
  });

  test("one that never was is not found", async () => {
    expect(await cluster.cli(["logs", "nobody"])).toMatchObject({
      code: 1,
      stderr: 'Error from server (NotFound): pods "nobody" not found\n',
    });
    expect((await cluster.cli(["logs", "--gone", "nobody"])).stderr).toBe('error: no log was kept of a Pod "nobody"\n');
  });
});

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/** Of all files of a container's log, on the daemon's disk. */
async function logBytes(id: string): Promise<number> {
  const root = (await runOk("docker", ["info", "--format", "{{.DockerRootDir}}"])).trim();
  const directory = join(root, "containers", id);
  const files = readdirSync(directory).filter((f) => f.includes("-json.log"));
  expect(files.length).toBeGreaterThan(1);
  return files.reduce((sum, f) => sum + statSync(join(directory, f)).size, 0);
}
