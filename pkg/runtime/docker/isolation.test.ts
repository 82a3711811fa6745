import { expect, test } from "@jest/globals";
import type { ContainerSecurity, Mount } from "../isolation.ts";
import type { ContainerConfig, SandboxConfig } from "../runtime.ts";
import { containerBody, sandboxBody } from "./config.ts";
import { bindMount, securityBody } from "./isolation.ts";
import { label } from "./labels.ts";

const plain = { Privileged: false, ReadonlyRootfs: false };

test.each<[ContainerSecurity, object]>([
  [{}, {}],
  [
    { privileged: true, readOnlyRootFilesystem: true },
    { Privileged: true, ReadonlyRootfs: true },
  ],
  [
    { groups: ["1"], capabilitiesAdd: ["A"], capabilitiesDrop: ["B"] },
    { GroupAdd: ["1"], CapAdd: ["A"], CapDrop: ["B"] },
  ],
  [{ noNewPrivileges: true, seccomp: "unconfined" }, { SecurityOpt: ["no-new-privileges", "seccomp=unconfined"] }],
  [{ seccomp: { profile: '{"a":1}' } }, { SecurityOpt: ['seccomp={"a":1}'] }],
  [
    { appArmor: "mine", seLinux: { level: "s0", type: "t" } },
    { SecurityOpt: ["apparmor=mine", "label=level:s0", "label=type:t"] },
  ],
  [{ unmaskedProc: true }, { MaskedPaths: [], ReadonlyPaths: [] }],
])("security %j", (security, body) => expect(securityBody(security)).toEqual({ ...plain, ...body }));

test.each<[Partial<Mount>, readOnly: boolean, options: object]>([
  [{}, false, { Propagation: "rprivate" }],
  [{ readOnly: true, propagation: "HostToContainer" }, true, { Propagation: "rslave", ReadOnlyNonRecursive: true }],
  [{ propagation: "Bidirectional" }, false, { Propagation: "rshared" }],
  [{ readOnly: true, recursiveReadOnly: true }, true, { Propagation: "rprivate", ReadOnlyForceRecursive: true }],
])("mount %j", (m, readOnly, options) =>
  expect(bindMount({ hostPath: "/a:b", containerPath: "/c", readOnly: false, ...m })).toEqual({
    Type: "bind",
    Source: "/a:b",
    Target: "/c",
    ReadOnly: readOnly,
    BindOptions: options,
  }),
);

const labels = { [label.cluster]: "c", [label.node]: "n", [label.podUid]: "u", [label.container]: "main" };
const volume = { name: "mk_u_v", type: "tmpfs", options: "size=1" } as const;
const described = (target: string) => ({
  Type: "volume",
  Source: "mk_u_v",
  Target: target,
  ReadOnly: false,
  VolumeOptions: {
    NoCopy: true,
    Labels: { [label.cluster]: "c", [label.node]: "n", [label.podUid]: "u", [label.kind]: "volume" },
    DriverConfig: { Name: "local", Options: { type: "tmpfs", device: "tmpfs", o: "size=1" } },
  },
});

const sandbox = (o: Partial<SandboxConfig>) =>
  sandboxBody(
    {
      uid: "u",
      name: "web",
      namespace: "default",
      attempt: 0,
      hostname: "web",
      hostNetwork: false,
      ports: [],
      shareProcessNamespace: false,
      ...o,
    },
    { image: "pause", network: "bridge", labels, minOomScoreAdj: -1000 },
  ) as { HostConfig: object };

test("a sandbox holds the Pod's namespaces, their settings, and its volumes in memory", () => {
  expect(sandbox({}).HostConfig).toMatchObject({ IpcMode: "shareable", NetworkMode: "bridge" });
  expect(sandbox({ hostIPC: true, hostNetwork: true }).HostConfig).toMatchObject({
    IpcMode: "host",
    NetworkMode: "host",
  });
  const sysctls = { "net.ipv4.tcp_syncookies": "1" };
  expect(sandbox({ sysctls, memoryVolumes: [volume] }).HostConfig).toMatchObject({
    Sysctls: sysctls,
    Mounts: [described("/volumes/mk_u_v")],
  });
});

const container = (o: Partial<ContainerConfig>) =>
  containerBody(
    {
      podUid: "u",
      podName: "web",
      podNamespace: "default",
      sandboxId: "s",
      name: "main",
      attempt: 0,
      image: "app",
      env: [],
      mounts: [],
      resources: {},
      security: {},
      tty: false,
      stdin: false,
      specHash: "h",
      ...o,
    },
    { labels, minOomScoreAdj: -1000 },
  ) as { HostConfig: object };

test.each<[Partial<ContainerConfig>, object]>([
  [{}, { NetworkMode: "container:s", IpcMode: "container:s", Mounts: [] }],
  [
    { hostIPC: true, hostPID: true },
    { IpcMode: "host", PidMode: "host" },
  ],
  [{ shareProcessNamespace: true }, { PidMode: "container:s" }],
  [{ memoryMounts: [{ volume, containerPath: "/m", readOnly: false }] }, { Mounts: [described("/m")] }],
  [
    { blockDevices: [{ hostPath: "/dev/loop0", containerPath: "/dev/xvda", permissions: "r" }] },
    { Devices: [{ PathOnHost: "/dev/loop0", PathInContainer: "/dev/xvda", CgroupPermissions: "r" }] },
  ],
])("a container with %j", (o, body) => expect(container(o).HostConfig).toMatchObject(body));
