import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import * as k8s from "client-node-1";
import { get } from "node:http";
import { type AddressInfo, createServer } from "node:net";
import { PassThrough, Readable } from "node:stream";
import { ready, TestCluster } from "../harness/cluster.ts";
import { eventually } from "../harness/process.ts";
import { ensureTestImages } from "../images/images.ts";

/** The JavaScript client of Kubernetes, 1.4.0 (the last for Node 20), as its users use it. */
const namespace = "client-node";
let cluster: TestCluster;
let config: k8s.KubeConfig;
let core: k8s.CoreV1Api;

beforeAll(async () => {
  await ensureTestImages();
  cluster = await TestCluster.start();
  config = new k8s.KubeConfig();
  config.loadFromFile(cluster.kubeconfig);
  core = config.makeApiClient(k8s.CoreV1Api);
  await core.createNamespace({ body: { metadata: { name: namespace } } });
  await core.createNamespacedPod({ namespace, body: pod });
});
afterAll(() => cluster?.remove());

const pod: k8s.V1Pod = {
  metadata: { name: "box", labels: { app: "box" } },
  spec: {
    terminationGracePeriodSeconds: 0,
    containers: [
      {
        name: "web",
        image: "busybox:1.36",
        command: ["sh", "-c", "echo hello > /www/index.html; echo started; exec httpd -f -p 8080 -h /www"],
      },
    ],
  },
};

const configMap = (name: string, data: Record<string, string> = {}): k8s.V1ConfigMap => ({ metadata: { name }, data });

/** The code and reason of a refusal. */
async function refusal(call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (error) {
    if (!(error instanceof k8s.ApiException)) throw error;
    const { reason } = JSON.parse(String(error.body)) as { reason: string };
    return `${error.code} ${reason}`;
  }
  return "no refusal";
}

describe("objects", () => {
  test("are created, read, replaced, patched in four ways and deleted", async () => {
    const name = "crud";
    const made = await core.createNamespacedConfigMap({ namespace, body: configMap(name, { a: "1" }) });
    expect([made.metadata?.name, made.data]).toEqual([name, { a: "1" }]);
    expect(made.metadata?.creationTimestamp).toBeInstanceOf(Date);
    const replace = (data: Record<string, string>) => {
      const metadata = { name, resourceVersion: made.metadata?.resourceVersion ?? "" };
      return core.replaceNamespacedConfigMap({ name, namespace, body: { metadata, data } });
    };
    expect((await replace({ a: "2" })).data).toEqual({ a: "2" });
    expect(await refusal(replace({ a: "3" }))).toBe("409 Conflict");
    const patch = (type: k8s.PatchStrategy, body: unknown, more = {}) =>
      core.patchNamespacedConfigMap({ name, namespace, body, ...more }, k8s.setHeaderOptions("Content-Type", type));
    await patch(k8s.PatchStrategy.JsonPatch, [{ op: "add", path: "/data/b", value: "json" }]);
    await patch(k8s.PatchStrategy.MergePatch, { data: { c: "merge" } });
    await patch(k8s.PatchStrategy.StrategicMergePatch, { data: { a: null } });
    const applied = { apiVersion: "v1", kind: "ConfigMap", metadata: { name }, data: { d: "applied" } };
    const last = await patch(k8s.PatchStrategy.ServerSideApply, applied, { fieldManager: "test" });
    expect(last.data).toEqual({ b: "json", c: "merge", d: "applied" });
    await core.deleteNamespacedConfigMap({ name, namespace });
    expect(await refusal(core.readNamespacedConfigMap({ name, namespace }))).toBe("404 NotFound");
  });

  test("of every API there is a client for", async () => {
    const apps = config.makeApiClient(k8s.AppsV1Api);
    const labels = { app: "none" };
    const template = { metadata: { labels }, spec: { containers: [{ name: "c", image: "busybox:1.36" }] } };
    const spec = { replicas: 0, selector: { matchLabels: labels }, template };
    await apps.createNamespacedDeployment({ namespace, body: { metadata: { name: "d" }, spec } });
    const scale = await apps.readNamespacedDeploymentScale({ namespace, name: "d" });
    expect([scale.spec?.replicas, scale.status?.selector]).toEqual([0, "app=none"]);
    const objects = k8s.KubernetesObjectApi.makeApiClient(config);
    const found = await objects.read({ apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "d", namespace } });
    expect(found.metadata?.name).toBe("d");
    const version = await config.makeApiClient(k8s.VersionApi).getCode();
    expect([version.major, version.gitVersion]).toEqual(["1", expect.stringMatching(/^v1\.36\./)]);
    const review = { spec: { resourceAttributes: { verb: "get", resource: "pods" } } };
    const mayI = await config.makeApiClient(k8s.AuthorizationV1Api).createSelfSubjectAccessReview({ body: review });
    expect(mayI.status?.allowed).toBe(true);
  });

  test("are listed page by page", async () => {
    for (let i = 0; i < 5; i++)
      await core.createNamespacedConfigMap({ namespace, body: { metadata: { name: `p${i}`, labels: { page: "x" } } } });
    const names: (string | undefined)[] = [];
    let token: string | undefined;
    do {
      const page = await core.listNamespacedConfigMap({
        namespace,
        labelSelector: "page",
        limit: 2,
        ...(token && { _continue: token }),
      });
      names.push(...page.items.map((o) => o.metadata?.name));
      token = page.metadata?._continue;
    } while (token);
    expect(names).toEqual(["p0", "p1", "p2", "p3", "p4"]);
  });
});

describe("watching", () => {
  test("a watch goes on where a list ended", async () => {
    const path = `/api/v1/namespaces/${namespace}/secrets`;
    const { metadata } = await core.listNamespacedSecret({ namespace });
    const seen: string[] = [];
    const watch = new k8s.Watch(config);
    const resourceVersion = metadata?.resourceVersion ?? "";
    const stop = await watch.watch(
      path,
      { resourceVersion, allowWatchBookmarks: true },
      (type: string, object: k8s.V1Secret) => void seen.push(`${type} ${object.metadata?.name}`),
      () => {},
    );
    await core.createNamespacedSecret({ namespace, body: { metadata: { name: "s" } } });
    await core.deleteNamespacedSecret({ namespace, name: "s" });
    expect(
      await eventually(
        async () => seen,
        (s) => s.length === 2,
      ),
    ).toEqual(["ADDED s", "DELETED s"]);
    stop.abort();
  });

  test("an informer holds what there is and hears of changes", async () => {
    const list = () => core.listNamespacedConfigMap({ namespace, labelSelector: "informer" });
    const informer = k8s.makeInformer(config, `/api/v1/namespaces/${namespace}/configmaps`, list, "informer");
    const heard: string[] = [];
    for (const event of ["add", "update", "delete"] as const) {
      informer.on(event, (o: k8s.V1ConfigMap) => void heard.push(`${event} ${o.metadata?.name}`));
    }
    const labelled = { metadata: { name: "i1", labels: { informer: "yes" } } };
    await core.createNamespacedConfigMap({ namespace, body: labelled });
    await informer.start();
    expect(informer.list().map((o) => o.metadata?.name)).toEqual(["i1"]);
    await core.replaceNamespacedConfigMap({ name: "i1", namespace, body: { ...labelled, data: { a: "b" } } });
    await core.createNamespacedConfigMap({
      namespace,
      body: { ...labelled, metadata: { ...labelled.metadata, name: "i2" } },
    });
    await core.deleteNamespacedConfigMap({ name: "i1", namespace });
    expect(
      await eventually(
        async () => heard,
        (h) => h.length >= 4,
      ),
    ).toEqual(["add i1", "update i1", "add i2", "delete i1"]);
    expect(informer.list().map((o) => o.metadata?.name)).toEqual(["i2"]);
    await informer.stop();
  });
});

describe("containers", () => {
  beforeAll(() => cluster.untilPod("box", ready, namespace).then(() => {}));

  const collect = (stream: PassThrough) => {
    let text = "";
    stream.on("data", (d: Buffer) => (text += d.toString()));
    return () => text;
  };

  async function exec(command: string[], stdin?: Readable) {
    const [out, err] = [new PassThrough(), new PassThrough()];
    const [stdout, stderr] = [collect(out), collect(err)];
    const status = await new Promise<k8s.V1Status>((resolve, reject) => {
      new k8s.Exec(config)
        .exec(namespace, "box", "web", command, out, err, stdin ?? null, false, resolve)
        .catch(reject);
    });
    return { stdout: stdout(), stderr: stderr(), status };
  }

  test("exec: output, input, and the exit code in the status", async () => {
    const good = await exec(["sh", "-c", "echo out; echo err >&2"]);
    expect([good.stdout, good.stderr, good.status.status]).toEqual(["out\n", "err\n", "Success"]);
    const bad = await exec(["sh", "-c", "exit 42"]);
    expect(bad.status).toMatchObject({ status: "Failure", reason: "NonZeroExitCode" });
    expect(bad.status.details?.causes).toEqual([{ reason: "ExitCode", message: "42" }]);
    expect((await exec(["head", "-n", "1"], Readable.from(["typed\n"]))).stdout).toBe("typed\n");
  });

  test("log, to its end and followed", async () => {
    expect(await core.readNamespacedPodLog({ namespace, name: "box" })).toBe("started\n");
    const followed = new PassThrough();
    const text = collect(followed);
    const stop = await new k8s.Log(config).log(namespace, "box", "web", followed, { follow: true });
    expect(
      await eventually(
        async () => text(),
        (t) => t !== "",
      ),
    ).toBe("started\n");
    stop.abort();
  });

  test("port-forward", async () => {
    const forward = new k8s.PortForward(config);
    const listener = createServer((socket) => void forward.portForward(namespace, "box", [8080], socket, null, socket));
    await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
    const { port } = listener.address() as AddressInfo;
    const page = await new Promise<string>((resolve, reject) => {
      get({ host: "127.0.0.1", port, path: "/", headers: { Connection: "close" } }, (res) => {
        let body = "";
        res.on("data", (d: Buffer) => (body += d.toString())).on("end", () => resolve(body));
      }).on("error", reject);
    });
    expect(page).toBe("hello\n");
    listener.close();
  });
});

describe("leader election", () => {
  /** As client-go's: who writes the Lease leads, until it has not renewed for as long as it promised. */
  async function tryToLead(me: string, now: Date): Promise<boolean> {
    const leases = config.makeApiClient(k8s.CoordinationV1Api);
    const at = { namespace, name: "leader" };
    const renewTime = new k8s.V1MicroTime(now);
    const spec = { holderIdentity: me, leaseDurationSeconds: 15, renewTime };
    const lease = await leases.readNamespacedLease(at).catch(() => undefined);
    if (!lease) {
      const body = { metadata: { name: at.name }, spec: { ...spec, acquireTime: renewTime, leaseTransitions: 0 } };
      return leases.createNamespacedLease({ namespace, body }).then(
        () => true,
        () => false,
      );
    }
    const {
      holderIdentity = "",
      leaseDurationSeconds = 0,
      renewTime: renewed,
      leaseTransitions = 0,
    } = lease.spec ?? {};
    const expired = now.getTime() - new Date(renewed ?? 0).getTime() > leaseDurationSeconds * 1000;
    if (holderIdentity !== me && !expired) return false;
    const transitions = holderIdentity === me ? leaseTransitions : leaseTransitions + 1;
    const body = { metadata: lease.metadata ?? {}, spec: { ...spec, leaseTransitions: transitions } };
    return leases.replaceNamespacedLease({ ...at, body }).then(
      () => true,
      () => false,
    );
  }

  test("through a Lease: one of ten leads, keeps it, and is followed when it falls silent", async () => {
    const start = new Date("2030-01-01T00:00:00Z");
    const later = (seconds: number) => new Date(start.getTime() + seconds * 1000);
    const candidates = Array.from({ length: 10 }, (_, i) => `candidate-${i}`);
    const lead = async (who: readonly string[], now: Date) =>
      (await Promise.all(who.map(async (me) => ((await tryToLead(me, now)) ? [me] : [])))).flat();
    const [first = "", ...more] = await lead(candidates, start);
    expect(more).toEqual([]);
    expect(await lead(candidates, later(10))).toEqual([first]);
    const rivals = candidates.filter((c) => c !== first);
    expect(await lead(rivals, later(20))).toEqual([]);
    const [second = "", ...others] = await lead(rivals, later(30));
    expect([rivals.includes(second), others]).toEqual([true, []]);
    const lease = await config.makeApiClient(k8s.CoordinationV1Api).readNamespacedLease({ namespace, name: "leader" });
    expect([lease.spec?.holderIdentity, lease.spec?.leaseTransitions]).toEqual([second, 1]);
  });
});
