/** Volumes as containers see them, and whom their files belong to. */
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Container, Volume, VolumeMount } from "../api/generated/types.ts";
import { checkHostPath } from "./host-path.ts";
import { mountsOf } from "./mounts.ts";
import { groupMode, mayChangeOwners, setGroup } from "./ownership.ts";
import { podOf } from "./testing/harness.ts";
import { prepareVolumes } from "./volumes.ts";

let root: string;
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "mk-mounts-")));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const prepare = (pod: ReturnType<typeof podOf>, data: Record<string, string> = {}) =>
  prepareVolumes(root, {
    pod,
    lookup: () => ({ metadata: { name: "x" }, data }),
    token: () => Promise.resolve("token"),
    hostIP: "",
    allocatable: {},
  });

async function mounted(c: Partial<Container>, volumes: readonly Volume[], more: object = {}) {
  const pod = podOf("web", [c], { volumes: [...volumes] });
  await prepare(pod);
  const [container] = pod.spec?.containers ?? [];
  const env = () => new Map([["POD", "web-0"]]);
  const of = { dataDir: root, pod, container: container ?? { name: "" }, env, nodeMemory: 0, recursiveReadOnly: false };
  return mountsOf({ ...of, ...more });
}

const mount = (m: Partial<VolumeMount>) => ({ volumeMounts: [{ name: "v", mountPath: "/v", ...m }] });
const disk: readonly Volume[] = [{ name: "v", emptyDir: {} }];
const memory: readonly Volume[] = [{ name: "v", emptyDir: { medium: "Memory" } }];
const at = (...below: string[]) => join(root, "pods", "web-uid", "volumes", "v", ...below);

describe("a mount", () => {
  test.each<[Partial<VolumeMount>, below: string[], more: object]>([
    [{}, [], {}],
    [{ readOnly: true }, [], { readOnly: true }],
    [{ mountPath: "relative" }, [], { containerPath: "/relative" }],
    [{ subPath: "a/b" }, ["a", "b"], {}],
    [{ subPathExpr: "logs/$(POD)" }, ["logs", "web-0"], {}],
    [{ mountPropagation: "None" }, [], {}],
    [{ mountPropagation: "HostToContainer" }, [], { propagation: "HostToContainer" }],
    [{ mountPropagation: "Bidirectional" }, [], { propagation: "Bidirectional" }],
    [{ readOnly: true, recursiveReadOnly: "IfPossible" }, [], { readOnly: true }],
  ])("%j", async (m, below, more) => {
    const { mounts } = await mounted(mount(m), disk);
    expect(mounts).toEqual([{ hostPath: at(...below), containerPath: "/v", readOnly: false, ...more }]);
  });

  test.each(["Enabled", "IfPossible"])(
    "read-only all the way down, where the runtime can: %s",
    async (recursiveReadOnly) => {
      const { mounts } = await mounted(mount({ readOnly: true, recursiveReadOnly }), disk, { recursiveReadOnly: true });
      expect(mounts[0]).toMatchObject({ readOnly: true, recursiveReadOnly: true });
    },
  );

  test.each<[string, Partial<VolumeMount>, readonly Volume[]]>([
    ['cannot find volume "v" to mount into container "c0"', {}, []],
    ['missing value for "NONE"', { subPathExpr: "$(NONE)" }, disk],
    ["unable to provision SubPath `a/../..`: must not contain '..'", { subPath: "a/../.." }, disk],
    ["error SubPath `/etc` must not be an absolute path", { subPathExpr: "/etc" }, disk],
    ["recursive read-only mount is not supported", { readOnly: true, recursiveReadOnly: "Enabled" }, disk],
    ["no subPath of a volume in memory", { subPath: "a" }, memory],
  ])("refused: %s", (message, m, volumes) => expect(mounted(mount(m), volumes)).rejects.toThrow(message));

  test("in memory is of a volume that the sandbox holds", async () => {
    expect(await mounted(mount({ readOnly: true }), memory)).toEqual({
      mounts: [],
      memoryMounts: [
        { volume: { name: "mk_web-uid_v", type: "tmpfs", options: "mode=0777" }, containerPath: "/v", readOnly: true },
      ],
    });
  });

  test("of a place that a link hides leads nowhere, and a directory of the node is no exception", async () => {
    mkdirSync(join(root, "dir"));
    symlinkSync("/etc", join(root, "dir", "out"));
    const volumes = [{ name: "v", hostPath: { path: join(root, "dir") } }];
    await expect(mounted(mount({ subPath: "out" }), volumes)).rejects.toThrow(
      'failed to prepare subPath for volumeMount "v" of container "c0"',
    );
  });

  test("of a part is as open as the whole", async () => {
    await mounted(mount({ subPath: "a" }), disk);
    expect(statSync(at("a")).mode & 0o777).toBe(0o777);
  });
});

describe("a path of the host", () => {
  const places = () => {
    mkdirSync(join(root, "dir"));
    writeFileSync(join(root, "file"), "");
    symlinkSync("dir", join(root, "link"));
    return {
      dir: join(root, "dir"),
      file: join(root, "file"),
      link: join(root, "link"),
      none: join(root, "none/deep"),
    };
  };

  test.each<[place: keyof ReturnType<typeof places>, type: string]>([
    ["dir", "Directory"],
    ["link", "Directory"],
    ["file", "File"],
    ["file", ""],
    ["none", ""],
    ["none", "DirectoryOrCreate"],
    ["dir", "DirectoryOrCreate"],
    ["file", "FileOrCreate"],
  ])("%s is a %s", async (place, type) => {
    const path = places()[place];
    await checkHostPath(path, type);
    expect(statSync(path).isDirectory()).toBe(place !== "file");
  });

  test.each<[place: keyof ReturnType<typeof places>, type: string, why: string]>([
    ["none", "Directory", "hostPath PATH doesn't exist"],
    ["none", "Socket", "hostPath PATH doesn't exist"],
    ["file", "Directory", "hostPath type check failed: PATH is not a directory, it's a File"],
    ["dir", "File", "hostPath type check failed: PATH is not a file, it's a Directory"],
    ["dir", "FileOrCreate", "hostPath type check failed: PATH is not a file, it's a Directory"],
    ["file", "CharDevice", "hostPath type check failed: PATH is not a character device, it's a File"],
    ["file", "BlockDevice", "hostPath type check failed: PATH is not a block device, it's a File"],
    ["file", "Other", "Other is an invalid volume type"],
  ])("%s is no %s", async (place, type, why) => {
    const path = places()[place];
    await expect(checkHostPath(path, type)).rejects.toThrow(why.replace("PATH", path));
  });
});

describe("the group of a volume", () => {
  test.each([
    [0o644, false, false, 0o664],
    [0o400, false, true, 0o440],
    [0o755, true, false, 0o2775],
    [0o700, true, true, 0o2750],
    [0o4755, false, false, 0o4775],
  ])("may use a mode of %o", (mode, directory, readOnly, wanted) =>
    expect(groupMode(mode, { directory, readOnly })).toBe(wanted),
  );

  /** To whom a user may give files: root to anybody, others to themselves. */
  const gid = mayChangeOwners() ? 4321 : (process.getgid?.() ?? 0);
  const modeOf = (path: string) => [(statSync(path).mode & 0o7777).toString(8), statSync(path).gid];

  test("goes all the way down, and through no link", async () => {
    mkdirSync(join(root, "v", "deep"), { recursive: true });
    writeFileSync(join(root, "v", "deep", "file"), "", { mode: 0o600 });
    writeFileSync(join(root, "other"), "", { mode: 0o600 });
    symlinkSync(join(root, "other"), join(root, "v", "link"));
    chmodSync(join(root, "v"), 0o755);
    chmodSync(join(root, "v", "deep"), 0o755);
    await setGroup(join(root, "v"), gid, { readOnly: false, onRootMismatch: false });
    expect(modeOf(join(root, "v"))).toEqual(["2775", gid]);
    expect(modeOf(join(root, "v", "deep", "file"))).toEqual(["660", gid]);
    expect(modeOf(join(root, "other"))[0]).toBe("600");
  });

  test("is left as it is where the root is right already", async () => {
    mkdirSync(join(root, "v"));
    writeFileSync(join(root, "v", "file"), "", { mode: 0o600 });
    if (mayChangeOwners()) chownSync(join(root, "v"), 0, gid);
    chmodSync(join(root, "v"), 0o2775);
    await setGroup(join(root, "v"), gid, { readOnly: false, onRootMismatch: true });
    expect(modeOf(join(root, "v", "file"))[0]).toBe("600");
    chmodSync(join(root, "v"), 0o755);
    await setGroup(join(root, "v"), gid, { readOnly: false, onRootMismatch: true });
    expect(modeOf(join(root, "v", "file"))[0]).toBe("660");
  });

  test("may read what is written for it", async () => {
    const fsGroup = process.getgid?.() ?? 0;
    const volumes = [{ name: "v", secret: { secretName: "s", defaultMode: 0o400 } }];
    await prepare(podOf("web", [{}], { volumes, securityContext: { fsGroup } }), { key: "eA==" });
    const wanted = mayChangeOwners() ? "440" : "400";
    expect(modeOf(at("key"))).toEqual([wanted, fsGroup]);
  });
});
