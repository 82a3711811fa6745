import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pods } from "../../pkg/api/kinds/core/pod.ts";
import { secrets } from "../../pkg/api/kinds/core/secret.ts";
import { program, root, TestCluster } from "../harness/cluster.ts";
import { eventually, run, runOk } from "../harness/process.ts";
import { ensureTestImages } from "../images/images.ts";

/** What whoever runs a cluster asks it: how it is, what it logs, and all of it in one file. */
const PASSWORD = "correct-horse-battery";
const TOKEN = "literal-in-the-spec-4711";
let cluster: TestCluster;
let scratch: string;

beforeAll(async () => {
  await ensureTestImages();
  scratch = mkdtempSync(join(tmpdir(), "operations-"));
  cluster = await TestCluster.start({ args: ["--ingress-http-port", "none", "--ingress-https-port", "none"] });
});
afterAll(async () => {
  await cluster?.remove();
  rmSync(scratch, { recursive: true, force: true });
});

describe("mini-kube status", () => {
  test("all is well: it says so, and ends with 0", async () => {
    // Before its node has joined, too, but then it says that.
    const well = /is running[\s\S]*nodes +node-1 +ready[\s\S]*all is well\n$/;
    const ask = () => cluster.cli(["status"]);
    const { code, stdout } = await eventually(ask, (said) => well.test(said.stdout));
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(well) });
  });

  test("another program's kubeconfig serves as well", async () => {
    const env = { ...cluster.env, MINI_KUBE_HOME: scratch };
    const { code, stdout } = await run(process.execPath, [program, "status", "--kubeconfig", cluster.kubeconfig], {
      env,
    });
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/ at https:[\s\S]*all is well\n$/) });
  });
});

/** Of the log; lines that are no JSON are for people. */
const logged = () => readFileSync(join(cluster.home, "mini-kube.log"), "utf8").split("\n");

describe("what is logged changes while it runs", () => {
  test("by name, by signal, and by the API", async () => {
    expect(await cluster.cliOk(["log-level"])).toMatch(/^info\n/);
    expect(await cluster.cliOk(["log-level", "scheduler=debug"])).toMatch(/default-scheduler: debug/);
    await cluster.client.resource(pods, "default").create({
      metadata: { name: "huge" },
      spec: { containers: [{ name: "c", image: "busybox:1.36", resources: { requests: { cpu: "9999" } } }] },
    });
    const why = () =>
      Promise.resolve(logged().some((l) => l.includes('"level":20') && l.includes("pod unschedulable")));
    expect(await eventually(why, (there) => there)).toBe(true);
    expect(logged().some((l) => l.includes('"level":20') && l.includes('"component":"apiserver"'))).toBe(false);
    const nobody = await cluster.cli(["log-level", "nobody=debug"]);
    expect(nobody).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/nothing here is called "nobody"; there are: .*kubelet/),
    });
    process.kill(cluster.pid, "SIGUSR2");
    await eventually(
      () => cluster.cliOk(["log-level"]),
      (said) => said.startsWith("warn\n"),
    );
    await cluster.cliOk(["log-level", "info", "scheduler="]);
    expect(JSON.parse(await cluster.kubectlOk(["get", "--raw", "/debug/log-level"]))).toMatchObject({
      default: "info",
      components: {},
    });
  });
});

describe("mini-kube support-bundle", () => {
  test("it has what is needed to help, and no secret", async () => {
    await cluster.client
      .resource(secrets, "default")
      .create({ metadata: { name: "db" }, stringData: { password: PASSWORD }, type: "Opaque" });
    const env = [
      { name: "P", valueFrom: { secretKeyRef: { name: "db", key: "password" } } },
      { name: "API_TOKEN", value: TOKEN },
    ];
    await cluster.client.resource(pods, "default").create({
      metadata: { name: "leaky" },
      spec: {
        containers: [
          { name: "c", image: "busybox:1.36", command: ["sh", "-c", "echo the password is $P; exit 3"], env },
        ],
      },
    });
    const restarts = (n: number) => (p: { status?: { containerStatuses?: readonly { restartCount: number }[] } }) =>
      (p.status?.containerStatuses?.[0]?.restartCount ?? 0) >= n;
    await cluster.untilPod("leaky", restarts(1));
    const file = join(scratch, "bundle.tar.gz");
    const { code, stdout } = await cluster.cli(["support-bundle", "-o", file]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining(file) });
    await runOk("tar", ["-C", scratch, "-xzf", file]);
    const dir = join(scratch, "mini-kube-support");
    const files = readdirSync(dir, { recursive: true, encoding: "utf8" });
    expect(files).toEqual(
      expect.arrayContaining([
        "about.json",
        "missing.txt",
        "status.txt",
        "events.txt",
        "objects/core/pods.json",
        "objects/core/secrets.json",
        "logs/mini-kube.log",
        "logs/pods/default_leaky_c.previous.log",
        "metrics/apiserver.txt",
        "metrics/node-node-1.txt",
        "machine/docker-containers.txt",
      ]),
    );
    const text = (name: string) => readFileSync(join(dir, name), "utf8");
    expect(text("logs/pods/default_leaky_c.previous.log")).toBe("the password is <redacted>\n");
    expect(text("objects/core/secrets.json")).toContain('"password": "<redacted>"');
    const hidden = [PASSWORD, Buffer.from(PASSWORD).toString("base64"), TOKEN, "PRIVATE KEY"];
    const leaks = files.filter((f) => statSync(join(dir, f)).isFile() && hidden.some((h) => text(f).includes(h)));
    expect(leaks).toEqual([]);
  });

  test("of a cluster that is gone: what is left, and what is missing by name", async () => {
    const file = join(scratch, "dead.tar.gz");
    process.kill(cluster.pid, "SIGSTOP");
    try {
      const { code } = await cluster.cli(["support-bundle", "-o", file]);
      expect(code).toBe(0);
    } finally {
      process.kill(cluster.pid, "SIGCONT");
    }
    await runOk("tar", ["-C", scratch, "-xzf", file]);
    const missing = readFileSync(join(scratch, "mini-kube-support", "missing.txt"), "utf8");
    expect(missing).toMatch(/^objects, events, metrics: the API does not answer/m);
    expect(readFileSync(join(scratch, "mini-kube-support", "logs/mini-kube.log"), "utf8")).toContain(
      "the API is ready",
    );
  });
});

test("Prometheus may read what its manifest says, and no more", async () => {
  await cluster.kubectlOk(["apply", "-f", join(root, "manifests/prometheus.yaml")]);
  const as = ["--as", "system:serviceaccount:kube-system:prometheus"];
  expect(await cluster.kubectlOk(["get", "--raw", "/metrics", ...as])).toMatch(/^workqueue_depth\{/m);
  expect(await cluster.kubectlOk(["get", "--raw", "/api/v1/nodes/node-1/proxy/metrics", ...as])).toMatch(/^kubelet_/m);
  for (const path of ["/debug/log-level", "/debug/store", "/api/v1/secrets"]) {
    expect(await cluster.kubectl(["get", "--raw", path, ...as])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/Forbidden/),
    });
  }
});

test("mini-kube install --dry-run prints a unit, and changes nothing", async () => {
  const { code, stdout } = await cluster.cli([
    "install",
    "--dry-run",
    "scheduler",
    "--kubeconfig",
    "/etc/mini-kube/s.kubeconfig",
  ]);
  expect({ code, stdout }).toEqual({
    code: 0,
    stdout: expect.stringMatching(
      /^# \/etc\/systemd\/system\/mini-kube-scheduler\.service\n[\s\S]*^ExecStart=\S+ \S+\/scheduler\/main\.js --kubeconfig \/etc\/mini-kube\/s\.kubeconfig$/m,
    ),
  });
  expect(existsSync("/etc/systemd/system/mini-kube-scheduler.service")).toBe(false);
});
