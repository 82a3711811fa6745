import { describe, expect, test } from "@jest/globals";
import type { ApiObject } from "../../../api/object.ts";
import { namespaces } from "../../../api/kinds/core/namespace.ts";
import { pods } from "../../../api/kinds/core/pod.ts";
import type { Pod } from "../../../api/generated/types.ts";
import { admit, request, viewOf } from "../testing/requests.ts";
import { podSecurity } from "./plugin.ts";
import { describe as describeAll, type Level, violations } from "./policy.ts";

const LABEL = "pod-security.kubernetes.io/";

/** One that every level lets pass. */
const good = (container: object = {}, spec: object = {}): Pod => ({
  metadata: { name: "web", namespace: "default" },
  spec: {
    securityContext: { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } },
    ...spec,
    containers: [
      {
        name: "c",
        image: "i",
        ...container,
        securityContext: {
          allowPrivilegeEscalation: false,
          capabilities: { drop: ["ALL"] },
          ...(container as { securityContext?: object }).securityContext,
        },
      },
    ],
  },
});
const set = (securityContext: object) => good({ securityContext });
const inSpec = (spec: object) => good({}, spec);
const bare: Pod = {
  metadata: { name: "web", namespace: "default" },
  spec: { containers: [{ name: "a" }, { name: "b" }] },
};

function said(level: Level, pod: Pod, minor?: number): string {
  return describeAll(violations({ level, minor }, { metadata: pod.metadata, spec: pod.spec ?? { containers: [] } }));
}

describe("the standards", () => {
  test.each<[Level, string, Pod, string]>([
    ["privileged", "anything goes", set({ privileged: true }), ""],
    ["baseline", "nothing special", bare, ""],
    ["restricted", "all that is asked for", good(), ""],
    [
      "baseline",
      "privileged",
      set({ privileged: true }),
      'privileged (container "c" must not set securityContext.privileged=true)',
    ],
    [
      "baseline",
      "host namespaces",
      inSpec({ hostNetwork: true, hostPID: true }),
      "host namespaces (hostNetwork=true, hostPID=true)",
    ],
    [
      "baseline",
      "host ports",
      good({
        ports: [
          { containerPort: 80, hostPort: 8080 },
          { containerPort: 81, hostPort: 443 },
        ],
      }),
      'hostPort (container "c" uses hostPorts 443, 8080)',
    ],
    [
      "baseline",
      "host paths",
      inSpec({ volumes: [{ name: "v", hostPath: { path: "/" } }] }),
      'hostPath volumes (volume "v")',
    ],
    [
      "baseline",
      "capabilities",
      set({ capabilities: { add: ["SYS_ADMIN", "CHOWN", "NET_RAW"] } }),
      'non-default capabilities (container "c" must not include "NET_RAW", "SYS_ADMIN" in securityContext.capabilities.add)',
    ],
    [
      "baseline",
      "probes of other hosts",
      good({ livenessProbe: { httpGet: { port: 1, host: "10.0.0.1" } } }),
      'probe or lifecycle host (container "c" uses probe or lifecycle host "10.0.0.1")',
    ],
    [
      "baseline",
      "SELinux",
      inSpec({ securityContext: { seLinuxOptions: { type: "spc_t", user: "u" } } }),
      'seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: type "spc_t"; user may not be set)',
    ],
    [
      "baseline",
      "AppArmor",
      set({ appArmorProfile: { type: "Unconfined" } }),
      'forbidden AppArmor profile (container "c" must not set AppArmor profile type to "Unconfined")',
    ],
    [
      "baseline",
      "sysctls",
      inSpec({ securityContext: { sysctls: [{ name: "kernel.msgmax", value: "1" }] } }),
      "forbidden sysctls (kernel.msgmax)",
    ],
    [
      "restricted",
      "a Pod nobody has thought about",
      bare,
      'allowPrivilegeEscalation != false (containers "a", "b" must set securityContext.allowPrivilegeEscalation=false), ' +
        'unrestricted capabilities (containers "a", "b" must set securityContext.capabilities.drop=["ALL"]), ' +
        'runAsNonRoot != true (pod or containers "a", "b" must set securityContext.runAsNonRoot=true), ' +
        'seccompProfile (pod or containers "a", "b" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")',
    ],
    [
      "restricted",
      "root in the Pod and in a container",
      good(
        { securityContext: { runAsNonRoot: false, runAsUser: 0 } },
        { securityContext: { runAsNonRoot: false, seccompProfile: { type: "Localhost" } } },
      ),
      'runAsNonRoot != true (pod and container "c" must not set securityContext.runAsNonRoot=false), ' +
        'runAsUser=0 (container "c" must not set runAsUser=0)',
    ],
    [
      "restricted",
      "volumes, in place of baseline's check",
      inSpec({
        volumes: [
          { name: "v", hostPath: { path: "/" } },
          { name: "w", nfs: { server: "s", path: "/" } },
          { name: "x", emptyDir: {} },
        ],
      }),
      'restricted volume types (volumes "v", "w" use restricted volume types "hostPath", "nfs")',
    ],
    [
      "restricted",
      "seccomp off, in place of baseline's check",
      set({ seccompProfile: { type: "Unconfined" } }),
      'seccompProfile (container "c" must not set securityContext.seccompProfile.type to "Unconfined")',
    ],
  ])("%s: %s", (level, _, pod, expected) => {
    expect(said(level, pod)).toBe(expected);
  });

  test("an older version of a level has the checks of its time", () => {
    const probing = good({ livenessProbe: { tcpSocket: { port: 1, host: "h" } } });
    expect(said("baseline", probing, 33)).toBe("");
    expect(said("baseline", probing, 34)).not.toBe("");
    const reserved = inSpec({ securityContext: { sysctls: [{ name: "net.ipv4.tcp_rmem", value: "1" }] } });
    expect([26, 31, 32].map((minor) => said("baseline", reserved, minor) === "")).toEqual([false, false, true]);
  });
});

const namespace = (labels: Record<string, string>): ApiObject => ({
  metadata: { name: "default", labels: Object.fromEntries(Object.entries(labels).map(([k, v]) => [LABEL + k, v])) },
});
const inNamespace = (labels: Record<string, string>, ...all: Pod[]) =>
  viewOf([namespaces, namespace(labels)], ...all.map((p) => [pods, p] as const));

describe("the plugin", () => {
  const open = set({ privileged: true });
  const broken = 'privileged (container "c" must not set securityContext.privileged=true)';

  test("refuses what breaks the enforced level", async () => {
    const view = inNamespace({ enforce: "baseline", "enforce-version": "v1.30" });
    expect(await admit(podSecurity, request({ plural: "pods", object: open }), view)).toBe(
      `pods "web" is forbidden: violates PodSecurity "baseline:v1.30": ${broken}`,
    );
  });

  test.each<[string, Record<string, string>, string[]]>([
    ["the level to warn of", { warn: "baseline" }, [`would violate PodSecurity "baseline:latest": ${broken}`]],
    ["no level", {}, []],
    ["an audit level only", { audit: "restricted" }, []],
  ])("warns by %s", async (_, labels, expected) => {
    const r = request({ plural: "pods", object: open });
    expect(await admit(podSecurity, r, inNamespace(labels))).toBeUndefined();
    expect(r.warnings).toEqual(expected);
  });

  test("a workload is told what its Pods will run into", async () => {
    const template = { metadata: {}, spec: open.spec };
    const deployment = { metadata: { name: "d", namespace: "default" }, spec: { template } } as ApiObject;
    const r = request({ group: "apps", plural: "deployments", object: deployment });
    expect(await admit(podSecurity, r, inNamespace({ enforce: "baseline" }))).toBeUndefined();
    expect(r.warnings).toEqual([`would violate PodSecurity "baseline:latest": ${broken}`]);
  });

  test("a running Pod may be labelled, but not get another image", async () => {
    const view = inNamespace({ enforce: "baseline" });
    const asked = (object: Pod) => request({ plural: "pods", operation: "UPDATE", old: open, object });
    const labelled = { ...open, metadata: { ...open.metadata, labels: { a: "b" } } };
    const patched = good({ image: "j", securityContext: { privileged: true } });
    expect(await admit(podSecurity, asked(labelled), view)).toBeUndefined();
    expect(await admit(podSecurity, asked(patched), view)).toContain("violates PodSecurity");
  });

  test("a namespace that gets stricter learns what would not pass", async () => {
    const pod = (name: string, from: Pod) => ({ ...from, metadata: { ...from.metadata, name } });
    const view = inNamespace(
      {},
      pod("b", open),
      pod("a", open),
      pod("c", good({}, { hostIPC: true })),
      pod("d", good()),
    );
    const r = request({
      plural: "namespaces",
      namespaced: false,
      operation: "UPDATE",
      old: namespace({}),
      object: namespace({ enforce: "baseline" }),
    });
    expect(await admit(podSecurity, r, view)).toBeUndefined();
    expect(r.warnings).toEqual([
      'existing pods in namespace "default" violate the new PodSecurity enforce level "baseline:latest"',
      "a (and 1 other pod): privileged",
      "c: host namespaces",
    ]);
  });

  test("labels that mean nothing are refused", async () => {
    const object = namespace({ enforce: "strict", "warn-version": "1.2" });
    const r = request({ plural: "namespaces", kind: "Namespace", namespaced: false, object });
    expect(await admit(podSecurity, r, viewOf())).toBe(
      'Namespace "default" is invalid: [metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: "strict": must be one of privileged, baseline, restricted, ' +
        'metadata.labels[pod-security.kubernetes.io/warn-version]: Invalid value: "1.2": must be "latest" or "v1.x"]',
    );
  });
});
