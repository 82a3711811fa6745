import { describe, expect, test } from "@jest/globals";
import type { PodSecurityContext, PodSpec, SecurityContext } from "../api/generated/types.ts";
import type { ContainerSecurity } from "../runtime/isolation.ts";
import { sandboxConfig } from "./config.ts";
import { seccompProfileFile, securityOf } from "./security.ts";
import { podOf } from "./testing/harness.ts";

const of = (pod: PodSecurityContext, own: SecurityContext, more: object = {}) => {
  const p = podOf("web", [{ securityContext: own }], { securityContext: pod });
  return securityOf({ pod: p, container: p.spec?.containers[0] ?? { name: "" }, appArmor: true, ...more });
};

test.each<[PodSecurityContext, SecurityContext, ContainerSecurity]>([
  [{}, {}, {}],
  [{ runAsUser: 1, runAsGroup: 2 }, {}, { user: "1:2" }],
  [{ runAsUser: 1, runAsGroup: 2 }, { runAsUser: 3 }, { user: "3:2" }],
  [{ runAsUser: 1 }, { runAsGroup: 4 }, { user: "1:4" }],
  [{ supplementalGroups: [5, 6], fsGroup: 5 }, {}, { groups: ["5", "6"] }],
  [{ fsGroup: 7 }, {}, { groups: ["7"] }],
  [{}, { privileged: true, readOnlyRootFilesystem: true }, { privileged: true, readOnlyRootFilesystem: true }],
  [{}, { capabilities: { add: ["A"], drop: ["ALL"] } }, { capabilitiesAdd: ["A"], capabilitiesDrop: ["ALL"] }],
  [{}, { allowPrivilegeEscalation: false }, { noNewPrivileges: true }],
  [{}, { allowPrivilegeEscalation: true }, {}],
  [{ seccompProfile: { type: "Unconfined" } }, {}, { seccomp: "unconfined" }],
  [{ seccompProfile: { type: "Unconfined" } }, { seccompProfile: { type: "RuntimeDefault" } }, {}],
  [{ appArmorProfile: { type: "Localhost", localhostProfile: "mine" } }, {}, { appArmor: "mine" }],
  [
    { appArmorProfile: { type: "RuntimeDefault" } },
    { appArmorProfile: { type: "Unconfined" } },
    { appArmor: "unconfined" },
  ],
  [{ seLinuxOptions: { level: "s0:c1" } }, {}, { seLinux: { level: "s0:c1" } }],
  [{ seLinuxOptions: { level: "s0:c1" } }, { seLinuxOptions: { type: "t" } }, { seLinux: { type: "t" } }],
  [{}, { procMount: "Unmasked" }, { unmaskedProc: true }],
  [{}, { procMount: "Default" }, {}],
])("%j %j", (pod, own, security) => expect(of(pod, own)).toEqual(security));

test("a group alone goes with the image's user", () => {
  expect(of({ runAsGroup: 9 }, {}).user).toBe("0:9");
  expect(of({ runAsGroup: 9 }, {}, { imageUser: "nginx:nginx" }).user).toBe("nginx:9");
});

test("AppArmor is not spoken of where there is none", () => {
  expect(of({ appArmorProfile: { type: "Unconfined" } }, {}, { appArmor: false })).toEqual({});
});

test("a profile of this node is read before the container is described", () => {
  const seccompProfile = { type: "Localhost", localhostProfile: "audit.json" };
  const pod = podOf("web", [{}], { securityContext: { seccompProfile } });
  expect(seccompProfileFile(pod, { name: "c" })).toBe("audit.json");
  expect(of({ seccompProfile }, {}, { seccompProfile: "{}" })).toEqual({ seccomp: { profile: "{}" } });
  expect(() => of({ seccompProfile }, {})).toThrow("no seccomp profile audit.json");
});

describe("the sandbox", () => {
  const sandbox = (spec: Partial<PodSpec>) => sandboxConfig(podOf("web", [{}], spec), 0, { nodeMemory: 2 ** 30 });
  const plain = { hostname: "web", hostNetwork: false, ports: [], shareProcessNamespace: false };
  const memory = (emptyDir: object) => ({
    volumes: [
      { name: "m", emptyDir },
      { name: "d", emptyDir: {} },
    ],
  });
  const volume = (type: "tmpfs" | "hugetlbfs", options: string) => ({
    memoryVolumes: [{ name: "mk_web-uid_m", type, options }],
  });
  const limited = [{ name: "c", resources: { limits: { memory: "16Mi" } } }];

  test.each<[Partial<PodSpec>, object]>([
    [{}, {}],
    [
      { hostIPC: true, hostNetwork: true },
      { hostIPC: true, hostNetwork: true },
    ],
    [{ shareProcessNamespace: true }, { shareProcessNamespace: true }],
    [
      { securityContext: { sysctls: [{ name: "net/ipv4/tcp_rmem", value: "1 2 3" }] } },
      { sysctls: { "net.ipv4.tcp_rmem": "1 2 3" } },
    ],
    [memory({ medium: "Memory" }), volume("tmpfs", "size=1073741824,mode=0777")],
    [memory({ medium: "Memory", sizeLimit: "1Mi" }), volume("tmpfs", "size=1048576,mode=0777")],
    [
      { ...memory({ medium: "Memory", sizeLimit: "1Gi" }), containers: limited },
      volume("tmpfs", "size=16777216,mode=0777"),
    ],
    [
      { ...memory({ medium: "Memory", sizeLimit: "1Mi" }), securityContext: { fsGroup: 7 } },
      volume("tmpfs", "size=1048576,gid=7,mode=2777"),
    ],
    [memory({ medium: "HugePages-2Mi" }), volume("hugetlbfs", "pagesize=2097152,mode=0777")],
    [memory({ medium: "HugePages" }), volume("hugetlbfs", "mode=0777")],
  ])("of %j", (spec, more) => expect(sandbox(spec)).toMatchObject({ ...plain, ...more }));

  test("has nothing that was not asked for", () => {
    expect(Object.keys(sandbox({})).filter((k) => ["hostIPC", "sysctls", "memoryVolumes"].includes(k))).toEqual([]);
  });

  test("cannot have users of its own", () => {
    expect(() => sandbox({ hostUsers: false })).toThrow("user namespaces of Pods are not supported by Docker");
  });
});
