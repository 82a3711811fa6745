import { expect, test } from "@jest/globals";
import type { Container, PodSpec } from "../api/generated/types.ts";
import { securityRefusal } from "./admit-security.ts";
import { sysctlsOf } from "./sysctls.ts";
import { podOf } from "./testing/harness.ts";

const sysctls = (name: string, more: Partial<PodSpec> = {}) => ({
  ...more,
  securityContext: { sysctls: [{ name, value: "1" }] },
});
const NO_APPARMOR = "Cannot enforce AppArmor: AppArmor is not enabled on the host";
const profile = (type: string) => ({ securityContext: { appArmorProfile: { type } } });

test.each<[Partial<PodSpec>, Partial<Container>, reason: string, message: string]>([
  [{ os: { name: "windows" } }, {}, "PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS"],
  [sysctls("kernel.msgmax"), {}, "SysctlForbidden", 'forbidden sysctl: "kernel.msgmax" not allowlisted'],
  [sysctls("net/core/somaxconn"), {}, "SysctlForbidden", 'forbidden sysctl: "net.core.somaxconn" not allowlisted'],
  [
    sysctls("net.ipv4.tcp_syncookies", { hostNetwork: true }),
    {},
    "SysctlForbidden",
    'forbidden sysctl: "net.ipv4.tcp_syncookies" not allowed with host net enabled',
  ],
  [
    sysctls("kernel.shm_rmid_forced", { hostIPC: true }),
    {},
    "SysctlForbidden",
    'forbidden sysctl: "kernel.shm_rmid_forced" not allowed with host ipc enabled',
  ],
  [profile("RuntimeDefault"), {}, "AppArmor", NO_APPARMOR],
  [{}, profile("Localhost"), "AppArmor", NO_APPARMOR],
  [
    { securityContext: { supplementalGroupsPolicy: "Strict" } },
    {},
    "SupplementalGroupsPolicyNotSupported",
    "SupplementalGroupsPolicy=Strict is not supported in this node for containers without runAsGroup",
  ],
])("refused: %j %j", (spec, container, reason, message) =>
  expect(securityRefusal(podOf("web", [container], spec), {})).toEqual({ reason, message }),
);

test.each<[Partial<PodSpec>, Partial<Container>, appArmor: boolean]>([
  [{}, {}, false],
  [{ os: { name: "linux" } }, {}, false],
  [sysctls("net.ipv4.ip_unprivileged_port_start"), {}, false],
  [sysctls("net/ipv4/tcp_syncookies"), {}, false],
  [sysctls("kernel.shm_rmid_forced", { hostNetwork: true }), {}, false],
  [profile("RuntimeDefault"), profile("Unconfined"), false],
  [profile("RuntimeDefault"), {}, true],
  [{ securityContext: { supplementalGroupsPolicy: "Strict", runAsGroup: 1 } }, {}, false],
  [{ securityContext: { supplementalGroupsPolicy: "Merge" } }, {}, false],
])("let in: %j %j", (spec, container, appArmor) =>
  expect(securityRefusal(podOf("web", [container], spec), { appArmor })).toBeUndefined(),
);

test("a sysctl of an interface may have a dot in its name", () => {
  const name = "net/ipv4/conf/eth0.1/forwarding";
  expect(sysctlsOf(podOf("web", [{}], sysctls(name)))).toEqual({ "net.ipv4.conf.eth0/1.forwarding": "1" });
});
