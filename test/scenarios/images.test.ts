import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Container, Pod, PodSpec } from "../../pkg/api/generated/types.ts";
import { pods } from "../../pkg/api/kinds/core/pod.ts";
import type { DeepReadonly } from "../../pkg/util/types.ts";
import { ready, TestCluster } from "../harness/cluster.ts";
import { eventually, run } from "../harness/process.ts";
import { TestRegistry } from "../harness/registry.ts";
import { BUSYBOX_IMAGE, ensureTestImages } from "../images/images.ts";

/** Images of real Pods: from registries that want passwords, hang or lack them, and without any registry. */
const base = BUSYBOX_IMAGE;
let cluster: TestCluster;
let open: TestRegistry;
let secret: TestRegistry;
const pulled: string[] = [];

beforeAll(async () => {
  await ensureTestImages();
  [open, secret] = await Promise.all([TestRegistry.start(), TestRegistry.start({ user: "ann", password: "pa:ss" })]);
  const gc = ["--image-gc-high-threshold", "1", "--image-gc-low-threshold", "0", "--minimum-image-ttl-duration", "2"];
  cluster = await TestCluster.start({ args: [...gc, "--image-pull-progress-deadline", "2"] });
}, 600_000);
afterAll(async () => {
  await cluster?.remove();
  await Promise.all([open?.close(), secret?.close()]);
  if (pulled.length > 0) await run("docker", ["rmi", "-f", ...pulled]);
});

async function published(registry: TestRegistry, name: string, bytes?: number) {
  const image = await registry.publish(name, { base, ...(bytes !== undefined && { bytes }) });
  pulled.push(image.image);
  return image;
}

async function create(name: string, image: string, spec: Partial<PodSpec> = {}, c: Partial<Container> = {}) {
  const containers = [{ name: "app", image, command: ["sleep", "3600"], ...c }];
  const pod = { metadata: { name }, spec: { terminationGracePeriodSeconds: 0, containers, ...spec } };
  await cluster.client.resource<Pod>(pods, "default").create(pod);
}

const waiting = (pod: DeepReadonly<Pod>) => pod.status?.containerStatuses?.[0]?.state?.waiting;

/** The event messages of a Pod with this reason, once there is one. */
async function said(pod: string, reason: string): Promise<string[]> {
  const selector = `involvedObject.name=${pod},reason=${reason}`;
  const args = ["get", "events", "--field-selector", selector, "-o", "jsonpath={.items[*].message}{'\\n'}"];
  const out = await eventually(
    () => cluster.kubectlOk(args),
    (text) => text.trim() !== "",
  );
  return out.split("\n").filter(Boolean);
}

async function dockerSecret(name: string, password: string): Promise<void> {
  const login = [`--docker-server=${secret.host}`, "--docker-username=ann", `--docker-password=${password}`];
  await cluster.kubectlOk(["create", "secret", "docker-registry", name, ...login]);
}

describe("from a registry", () => {
  test("by tag and by digest: imageID is the digest in the registry", async () => {
    const { image, repository, digest } = await published(open, "app:1");
    await create("tag", image);
    const pod = await cluster.untilPod("tag", ready);
    expect(pod.status?.containerStatuses?.[0]?.imageID).toBe(`${repository}@${digest}`);
    expect((await said("tag", "Pulled"))[0]).toMatch(
      /^Successfully pulled image "127\.0\.0\.1:\d+\/app:1" in \S+\. Image size: \d+ bytes\.$/,
    );
    await create("digest", `${repository}@${digest}`);
    const byDigest = await cluster.untilPod("digest", ready);
    expect(byDigest.status?.containerStatuses?.[0]?.imageID).toBe(`${repository}@${digest}`);
  });

  test("Pods that want the same image at once share one pull", async () => {
    const { image } = await published(open, "shared:1", 200_000);
    open.bytesPerSecond = 200_000;
    const names = ["shared-a", "shared-b", "shared-c"];
    await Promise.all(names.map((name) => create(name, image)));
    await Promise.all(names.map((name) => cluster.untilPod(name, ready)));
    open.bytesPerSecond = Infinity;
    expect(open.requests.filter((r) => r.endsWith("/shared/manifests/1"))).toHaveLength(1);
  });

  test("a long pull tells how far it is", async () => {
    const { image } = await published(open, "large:1", 3_000_000);
    open.bytesPerSecond = 180_000;
    await create("large", image);
    await cluster.untilPod("large", ready);
    open.bytesPerSecond = Infinity;
    const all = (await said("large", "Pulling")).join("\n");
    expect(all).toMatch(/Pulling image "\S+\/large:1": (2[5-9]|[3-9]\d)%, [\d.]+ of 3\.0 MB, \d+ of \d+ layers done/);
  });

  test("an image that is not there: ErrImagePull, then ImagePullBackOff with the registry's words", async () => {
    await create("absent", `${open.host}/nothing:1`);
    const failed = await cluster.untilPod("absent", (p) => waiting(p)?.reason === "ErrImagePull");
    expect(waiting(failed)?.message).toMatch(/manifest unknown/);
    const backOff = await cluster.untilPod("absent", (p) => waiting(p)?.reason === "ImagePullBackOff");
    expect(waiting(backOff)?.message).toMatch(/^Back-off pulling image "\S+": ErrImagePull: .*manifest unknown/);
  });

  test("a registry that hangs is given up, meanwhile others are pulled from; when it is well again, so is the Pod", async () => {
    const hanging = await TestRegistry.start();
    try {
      const stuck = await published(hanging, "stuck:1", 100_000);
      hanging.bytesPerSecond = 0;
      await create("stuck", stuck.image);
      await create("beside", (await published(open, "beside:1")).image);
      await cluster.untilPod("beside", ready);
      const failed = await cluster.untilPod("stuck", (p) => waiting(p)?.reason === "ErrImagePull");
      expect(waiting(failed)?.message).toBe(`pull of ${stuck.image}: no progress for 2 s`);
      hanging.bytesPerSecond = Infinity;
      await cluster.untilPod("stuck", ready);
    } finally {
      await hanging.close();
    }
  });
});

describe("pull secrets", () => {
  let image: string;
  beforeAll(async () => {
    ({ image } = await published(secret, "team/app:1"));
    await dockerSecret("wrong", "nonsense");
    await dockerSecret("right", "pa:ss");
  });

  test("none, one that is missing, a wrong one: the Pod says what the registry says", async () => {
    await create("no-secret", image);
    await create("lost-secret", image, { imagePullSecrets: [{ name: "lost" }] });
    await create("wrong-secret", image, { imagePullSecrets: [{ name: "wrong" }] });
    for (const name of ["no-secret", "lost-secret", "wrong-secret"]) {
      const pod = await cluster.untilPod(name, (p) => waiting(p)?.reason === "ErrImagePull");
      expect(waiting(pod)?.message).toMatch(/no basic auth credentials|unauthorized|authentication required/i);
    }
    expect(await said("lost-secret", "FailedToRetrieveImagePullSecret")).toEqual([
      "Unable to retrieve some image pull secrets (lost); attempting to pull the image may not succeed.",
    ]);
  });

  test("several are tried in turn; those of the ServiceAccount count as the Pod's own", async () => {
    await create("two-secrets", image, { imagePullSecrets: [{ name: "wrong" }, { name: "right" }] });
    await cluster.untilPod("two-secrets", ready);
    await cluster.kubectlOk(["create", "serviceaccount", "puller"]);
    const patch = JSON.stringify({ imagePullSecrets: [{ name: "right" }] });
    await cluster.kubectlOk(["patch", "serviceaccount", "puller", "-p", patch]);
    await create("by-account", image, { serviceAccountName: "puller" }, { imagePullPolicy: "Always" });
    const pod = await cluster.untilPod("by-account", ready);
    expect(pod.spec?.imagePullSecrets).toEqual([{ name: "right" }]);
  });
});

test("images that were pulled go when nobody uses them and the disk is full enough; those of the machine stay", async () => {
  const { image } = await published(open, "passing:1");
  await create("passing", image);
  await cluster.untilPod("passing", ready);
  const there = () => run("docker", ["image", "inspect", image]).then((r) => r.code === 0);
  expect(await there()).toBe(true);
  await cluster.kubectlOk(["delete", "pod", "passing"]);
  expect(await eventually(there, (yes) => !yes)).toBe(false);
  expect((await run("docker", ["image", "inspect", base])).code).toBe(0);
});

describe("without a registry", () => {
  test("build, see, use, copy, save and load with the CLI", async () => {
    const context = join(cluster.home, "context");
    mkdirSync(join(context, "www"), { recursive: true });
    writeFileSync(
      join(context, "Dockerfile"),
      `FROM ${base}\nARG WHO\nCOPY . /app\nRUN echo "hello $WHO" > /app/greeting\n`,
    );
    writeFileSync(join(context, ".dockerignore"), "*.key\n");
    writeFileSync(join(context, "private.key"), "secret");
    writeFileSync(join(context, "www", "index.html"), "page");
    const image = "mk-test/built:1";
    pulled.push(image);
    const built = await cluster.cli(["image", "build", context, "-t", image, "--build-arg", "WHO=world"]);
    expect(built.stdout).toBe(`${image} built on ${cluster.nodeName}\n`);
    expect(built.stderr).toMatch(/Step 4\/4 : RUN/);
    // Always: no registry has it, and it is here.
    const command = ["sh", "-c", "cat /app/greeting; ls /app /app/www; sleep 3600"];
    await create("built", image, {}, { command, imagePullPolicy: "Always" });
    await cluster.untilPod("built", ready);
    expect((await said("built", "Pulled"))[0]).toMatch(/was made on this machine: used as it is/);
    expect(await cluster.kubectlOk(["logs", "built"])).toBe(
      "hello world\n/app:\nDockerfile\ngreeting\nwww\n\n/app/www:\nindex.html\n",
    );
    expect(await cluster.cliOk(["images", "mk-test"])).toMatch(
      /^NODE +IMAGE +TAG +ID +SIZE +USED BY\nnode-1 +mk-test\/built +1 +[0-9a-f]{12} +[\d.]+[kM]B +default\/built\n$/,
    );
    const listed = JSON.parse(await cluster.cliOk(["images", "mk-test", "-o", "json"])) as object;
    expect(listed).toMatchObject({ nodes: [{ node: "node-1", images: [{ names: [image] }] }] });
    expect(await cluster.cliOk(["image", "copy", image])).toBe(`${image} is on the only node already\n`);

    const file = join(cluster.home, "image.tar");
    await run("docker", ["save", "-o", file, base]);
    expect((await cluster.cli(["image", "load", file])).stderr).toBe(`node-1: Loaded image: ${base}\n`);
  });

  test.each<[string, (home: string) => string[], RegExp]>([
    [
      "a file that is not there",
      (home) => ["image", "load", join(home, "none.tar")],
      /cannot read .*none\.tar: ENOENT/,
    ],
    ["no archive", (home) => ["image", "load", join(home, "kubeconfig")], /error: node node-1: .*(tar|EOF|archive)/i],
    ["no such node", () => ["image", "load", "-", "--node", "moon"], /no node moon; there are: node-1/],
    ["no such image", () => ["image", "copy", "nothing:1"], /no nothing:1 on any node; see: mini-kube images/],
    ["no Dockerfile", (home) => ["image", "build", join(home, "data"), "-t", "x"], /there is no Dockerfile in/],
    ["a bad name", (home) => ["image", "build", join(home, "context"), "-t", "X Y"], /invalid reference format/],
    ["no name", (home) => ["image", "build", join(home, "context")], /required option '-t, --tag/],
  ])("refused in words: %s", async (_, args, words) => {
    const { code, stderr } = await cluster.cli(args(cluster.home));
    expect(code).toBe(1);
    expect(stderr).toMatch(words);
  });
});

test("a RuntimeClass is the daemon's own runtime of that name; one that it lacks is named", async () => {
  for (const name of ["runc", "kata"]) {
    const runtimeClass = { apiVersion: "node.k8s.io/v1", kind: "RuntimeClass", metadata: { name }, handler: name };
    await cluster.kubectlOk(["create", "-f", "-"], { input: JSON.stringify(runtimeClass) });
  }
  await create("usual", base, { runtimeClassName: "runc" });
  await create("unusual", base, { runtimeClassName: "kata" });
  await cluster.untilPod("usual", ready);
  expect((await said("unusual", "FailedCreatePodSandBox")).join()).toMatch(/nknown .*runtime.*kata/);
});

test("a RuntimeClass that nobody has made is refused aloud", async () => {
  const overrides = JSON.stringify({ spec: { runtimeClassName: "gvisor" } });
  const { code, stderr } = await cluster.kubectl(["run", "sandboxed", `--image=${base}`, `--overrides=${overrides}`]);
  expect(code).toBe(1);
  expect(stderr).toMatch(/pod rejected: RuntimeClass "gvisor" not found/);
});
