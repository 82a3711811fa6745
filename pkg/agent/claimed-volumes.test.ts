/** A Pod's claims as an agent sees them: what is mounted where, what is refused, and what a container cannot trick it into. */
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PersistentVolumeSpec, Pod } from "../api/generated/types.ts";
import { insideOf } from "./claimed-volumes.ts";
import { Harness, NODE } from "./testing/harness.ts";
import { mountsOf } from "./mounts.ts";

let root: string;
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "mk-claims-")));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const dataDir = () => join(root, "agent");
const harness = () => new Harness({ agent: { dataDir: dataDir() } });

interface Given {
  readonly spec?: PersistentVolumeSpec;
  readonly claim?: object;
  readonly owner?: string;
  readonly annotations?: Record<string, string>;
}

function put(h: Harness, { spec, claim = {}, owner = "claim-uid", annotations = {} }: Given): void {
  h.api.put("persistentvolumeclaims", {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: {
      name: "data",
      namespace: "default",
      uid: "claim-uid",
      annotations: { "pv.kubernetes.io/bind-completed": "yes" },
    },
    spec: { volumeName: "pv" },
    status: { phase: "Bound" },
    ...claim,
  } as never);
  h.api.put("persistentvolumes", {
    apiVersion: "v1",
    kind: "PersistentVolume",
    metadata: { name: "pv", uid: "pv-uid", annotations },
    spec: { claimRef: { namespace: "default", name: "data", uid: owner }, ...spec },
  } as never);
}

const volumes = [{ name: "vol", persistentVolumeClaim: { claimName: "data" } }];
const mounts = (more: object = {}) => [{ volumeMounts: [{ name: "vol", mountPath: "/data", ...more }] }];
const created = (h: Harness) =>
  [...h.runtime.world.containers.values()].flatMap((c) => c.config.mounts.filter((m) => m.containerPath === "/data"));

test("a claim is its volume's directory; a Pod that goes leaves what is in it", async () => {
  const path = join(root, "disk");
  mkdirSync(path);
  writeFileSync(join(path, "kept"), "x");
  await using h = harness();
  put(h, { spec: { hostPath: { path } } });
  h.create("web", mounts({ readOnly: true }), { volumes });
  h.start();
  await h.untilRunning("web");
  expect(created(h)).toEqual([{ hostPath: path, containerPath: "/data", readOnly: true }]);
  expect(readlinkSync(join(dataDir(), "pods", "web-uid", "volumes", "vol"))).toBe(path);
  h.api.deletePod("default", "web", 0);
  await h.until(() => !existsSync(join(dataDir(), "pods", "web-uid")), 60_000);
  expect(existsSync(join(path, "kept"))).toBe(true);
});

test("one that we make is made by the first Pod, for any user to write to", async () => {
  const path = join(root, "volumes", "pv");
  await using h = harness();
  const annotations = { "pv.kubernetes.io/provisioned-by": "mini-kube.io/hostpath" };
  put(h, { spec: { hostPath: { path, type: "DirectoryOrCreate" } }, annotations });
  h.create("web", mounts({ subPath: "a/b" }), { volumes });
  h.start();
  await h.untilRunning("web");
  expect(created(h)).toEqual([{ hostPath: join(path, "a/b"), containerPath: "/data", readOnly: false }]);
  expect(statSync(path).mode & 0o777).toBe(0o777);
});

describe("what is refused says why, and runs once it can", () => {
  const elsewhere = {
    required: { nodeSelectorTerms: [{ matchFields: [{ key: "metadata.name", operator: "In", values: ["n2"] }] }] },
  };
  const whole = (why: string) => `error processing PVC default/data: ${why}`;
  test.each<[what: string, given: () => Given, message: string]>([
    ["not bound", () => ({ claim: { status: { phase: "Pending" } } }), whole("PVC is not bound")],
    ["another's volume", () => ({ owner: "other" }), whole("PV pv is bound to another PVC")],
    [
      "a kind that is not mounted",
      () => ({ spec: { nfs: { server: "s", path: "/" } } }),
      'MountVolume.SetUp failed for volume "vol" : PersistentVolume pv is of type nfs; only hostPath and local are mounted here',
    ],
    [
      "a device as a directory",
      () => ({ spec: { volumeMode: "Block", local: { path: "/dev/sdx" } } }),
      "volume vol has volumeMode Block, but is specified in volumeMounts",
    ],
    [
      "on another node",
      () => ({ spec: { hostPath: { path: root }, nodeAffinity: elsewhere } }),
      'MountVolume.NodeAffinity check failed for volume "vol" : no matching NodeSelectorTerms',
    ],
    [
      "not there",
      () => ({ spec: { local: { path: join(root, "none") } } }),
      'MountVolume.SetUp failed for volume "vol" : hostPath ',
    ],
  ])("%s", async (_, given, message) => {
    await using h = harness();
    put(h, given());
    h.create("web", mounts(), { volumes });
    h.start();
    await h.until(() => h.events("FailedMount").length > 0, 60_000);
    expect(h.events("FailedMount")[0]).toContain(message);
    expect(h.runtime.world.containers.size).toBe(0);
    put(h, { spec: { hostPath: { path: root } } });
    await h.untilRunning("web");
  });

  test("not there at all", async () => {
    await using h = harness();
    h.create("web", mounts(), { volumes });
    h.start();
    await h.until(() => h.events("FailedMount").length > 0, 60_000);
    expect(h.events("FailedMount")[0]).toContain(whole("failed to fetch PVC from API server: "));
  });
});

describe("a subPath", () => {
  const pod = (subPath: string) =>
    ({
      metadata: { name: "web", uid: "u" },
      spec: { containers: [{ name: "c", volumeMounts: [{ name: "vol", mountPath: "/x", subPath }] }], volumes },
    }) as Pod;

  test("never leaves its volume through a link that a container made", async () => {
    const [disk, secret] = [join(root, "disk"), join(root, "secret")];
    mkdirSync(join(disk, "ok"), { recursive: true });
    mkdirSync(secret);
    symlinkSync(secret, join(disk, "out"));
    symlinkSync("ok", join(disk, "in"));
    mkdirSync(join(dataDir(), "pods", "u", "volumes"), { recursive: true });
    symlinkSync(disk, join(dataDir(), "pods", "u", "volumes", "vol"));
    const mount = async (subPath: string) => {
      const p = pod(subPath);
      const [c] = p.spec?.containers ?? [];
      const of = { dataDir: dataDir(), env: () => new Map(), nodeMemory: 0, recursiveReadOnly: false };
      return (await mountsOf({ ...of, pod: p, container: c ?? { name: "" } })).mounts[0]?.hostPath;
    };
    expect(await mount("in/new")).toBe(join(disk, "ok", "new"));
    const refused = 'failed to prepare subPath for volumeMount "vol" of container "c"';
    await expect(mount("out")).rejects.toThrow(refused);
    await expect(mount("out/deeper")).rejects.toThrow(refused);
    await expect(mount("../secret")).rejects.toThrow("unable to provision SubPath `../secret`: must not contain '..'");
    await expect(mount("/etc")).rejects.toThrow("error SubPath `/etc` must not be an absolute path");
    expect(existsSync(join(secret, "deeper"))).toBe(false);
  });

  test("is made step by step", async () => {
    expect(await insideOf(root, "./a//b/")).toBe(join(root, "a", "b"));
    expect(statSync(join(root, "a", "b")).isDirectory()).toBe(true);
  });
});

describe("a volume whose time is over", () => {
  const annotations = { "pv.kubernetes.io/provisioned-by": "mini-kube.io/hostpath" };
  const volume = (name: string, path: string, spec: object, phase = "Released") =>
    ({
      apiVersion: "v1",
      kind: "PersistentVolume",
      metadata: { name, uid: `${name}-uid`, annotations, labels: { "mini-kube.io/node": NODE } },
      spec: { hostPath: { path }, persistentVolumeReclaimPolicy: "Delete", ...spec },
      status: { phase },
    }) as never;

  test("is removed, with what is in it; nothing else is", async () => {
    const own = join(dataDir(), "persistent-volumes");
    for (const name of ["over", "kept", "used", "away"]) mkdirSync(join(own, name, "files"), { recursive: true });
    const outside = join(root, "outside");
    mkdirSync(outside);
    await using h = harness();
    h.api.put("persistentvolumes", volume("over", join(own, "over"), {}));
    h.api.put("persistentvolumes", volume("kept", join(own, "kept"), { persistentVolumeReclaimPolicy: "Retain" }));
    h.api.put("persistentvolumes", volume("used", join(own, "used"), {}, "Bound"));
    h.api.put("persistentvolumes", volume("away", outside, {}));
    h.start();
    await h.until(() => h.api.get("persistentvolumes", undefined, "over") === undefined, 10_000);
    expect(existsSync(join(own, "over"))).toBe(false);
    await h.clock.advance(60_000);
    const left = ["kept", "used", "away"].map((name) => existsSync(join(own, name, "files")));
    expect([...left, existsSync(outside)]).toEqual([true, true, true, true]);
    const names = h.api.list("persistentvolumes").map((v) => v.metadata.name);
    expect(new Set(names)).toEqual(new Set(["kept", "used", "away"]));
  });
});
