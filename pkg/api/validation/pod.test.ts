import { describe, expect, test } from "@jest/globals";
import { deepClone, type Mutable } from "../equal.ts";
import type { Container, Pod, PodSpec } from "../generated/types.ts";
import { setPodDefaults } from "../kinds/core/pod-defaults.ts";
import { invalid } from "../status.ts";
import { validatePod } from "./pod.ts";
import { validatePodUpdate } from "./pod-update.ts";

/** A defaulted Pod of one container, changed by `spec` and `container` before defaulting. */
function podWith(spec: Partial<PodSpec>, container: Partial<Container> = {}): Pod {
  const pod: Pod = {
    metadata: { name: "web", namespace: "default" },
    spec: { containers: [{ name: "app", image: "nginx", ...container }], ...spec },
  };
  const copy = deepClone(pod) as Mutable<Pod>;
  setPodDefaults(copy);
  return copy;
}

/** The lines a client reads. */
function lines(errors: ReturnType<typeof validatePod>): string[] {
  const causes = invalid({ group: "", kind: "Pod" }, "web", errors).details?.causes ?? [];
  return causes.map((c) => `${c.field}: ${c.message}`);
}

test("a Pod of one container is valid", () => {
  expect(validatePod(podWith({}))).toEqual([]);
});

test("a Pod that uses most of what there is, is valid", () => {
  const pod = podWith(
    {
      volumes: [
        { name: "config", configMap: { name: "c", items: [{ key: "a", path: "b/c" }] } },
        { name: "tmp" },
        { name: "host", hostPath: { path: "/var/log", type: "Directory" } },
        {
          name: "all",
          projected: { sources: [{ serviceAccountToken: { path: "token" } }, { secret: { name: "s" } }] },
        },
        { name: "pod", downwardAPI: { items: [{ path: "labels", fieldRef: { fieldPath: "metadata.labels" } }] } },
      ],
      initContainers: [
        { name: "setup", image: "busybox" },
        { name: "sidecar", image: "busybox", restartPolicy: "Always", livenessProbe: { exec: { command: ["true"] } } },
      ],
      tolerations: [{ operator: "Exists" }, { key: "a/b", value: "c", effect: "NoSchedule" }],
      nodeSelector: { "kubernetes.io/os": "linux" },
      hostAliases: [{ ip: "::1", hostnames: ["a.b"] }],
    },
    {
      env: [
        { name: "A", value: "1" },
        { name: "B", valueFrom: { fieldRef: { fieldPath: "metadata.labels['app']" } } },
        { name: "C", valueFrom: { resourceFieldRef: { resource: "limits.cpu" } } },
      ],
      envFrom: [{ prefix: "X_", secretRef: { name: "s" } }],
      ports: [{ name: "http", containerPort: 80, hostPort: 8080 }, { containerPort: 81 }],
      volumeMounts: [
        { name: "config", mountPath: "/etc/c" },
        { name: "tmp", mountPath: "/tmp", subPath: "a" },
      ],
      resources: { limits: { cpu: "1", memory: "1Gi", "nvidia.com/gpu": "1" }, requests: { cpu: "100m" } },
      readinessProbe: { httpGet: { port: "http" } },
      lifecycle: { preStop: { sleep: { seconds: 1 } } },
    },
  );
  expect(lines(validatePod(pod))).toEqual([]);
});

describe("containers", () => {
  test.each<[string, Partial<Container>, string]>([
    ["name", { name: "" }, "spec.containers[0].name: Required value"],
    [
      "bad name",
      { name: "A_b" },
      'spec.containers[0].name: Invalid value: "A_b": a lowercase RFC 1123 label must consist',
    ],
    ["image", { image: "" }, "spec.containers[0].image: Required value"],
    [
      "image with space",
      { image: " nginx" },
      'spec.containers[0].image: Invalid value: " nginx": must not have leading or trailing whitespace',
    ],
    [
      "pull policy",
      { imagePullPolicy: "Sometimes" },
      'spec.containers[0].imagePullPolicy: Unsupported value: "Sometimes": supported values: "Always", "IfNotPresent", "Never"',
    ],
    [
      "port",
      { ports: [{ containerPort: 70000 }] },
      "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
    ],
    ["no port", { ports: [{ containerPort: 0 }] }, "spec.containers[0].ports[0].containerPort: Required value"],
    [
      "port name",
      { ports: [{ containerPort: 1, name: "80" }] },
      'ports[0].name: Invalid value: "80": must contain at least one letter (a-z)',
    ],
    [
      "port name twice",
      {
        ports: [
          { containerPort: 1, name: "a" },
          { containerPort: 2, name: "a" },
        ],
      },
      'spec.containers[0].ports[1].name: Duplicate value: "a"',
    ],
    [
      "host port twice",
      {
        ports: [
          { containerPort: 1, hostPort: 9 },
          { containerPort: 2, hostPort: 9 },
        ],
      },
      'spec.containers[0].ports[1].hostPort: Duplicate value: "TCP//9"',
    ],
    [
      "protocol",
      { ports: [{ containerPort: 1, protocol: "tcp" }] },
      'protocol: Unsupported value: "tcp": supported values: "SCTP", "TCP", "UDP"',
    ],
    [
      "env name",
      { env: [{ name: "A=B" }] },
      'spec.containers[0].env[0].name: Invalid value: "A=B": a valid environment variable name',
    ],
    [
      "env source",
      { env: [{ name: "A", valueFrom: {} }] },
      'spec.containers[0].env[0].valueFrom: Invalid value: "": must specify one of',
    ],
    [
      "env value and source",
      { env: [{ name: "A", value: "x", valueFrom: { secretKeyRef: { name: "s", key: "k" } } }] },
      "may not be specified when `value` is not empty",
    ],
    [
      "env field",
      { env: [{ name: "A", valueFrom: { fieldRef: { fieldPath: "spec.foo" } } }] },
      'valueFrom.fieldRef.fieldPath: Unsupported value: "spec.foo": supported values: "metadata.name"',
    ],
    [
      "mount",
      { volumeMounts: [{ name: "x", mountPath: "/x" }] },
      'spec.containers[0].volumeMounts[0].name: Not found: "x"',
    ],
    [
      "negative",
      { resources: { requests: { cpu: "-1" } } },
      'spec.containers[0].resources.requests[cpu]: Invalid value: "-1": must be greater than or equal to 0',
    ],
    [
      "no quantity",
      { resources: { limits: { memory: "lots" } } },
      'spec.containers[0].resources.limits[memory]: Invalid value: "lots": quantities must match',
    ],
    [
      "request above limit",
      { resources: { limits: { cpu: "1" }, requests: { cpu: "2" } } },
      'spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1',
    ],
    [
      "extended without limit",
      { resources: { requests: { "a.b/gpu": "1" } } },
      "spec.containers[0].resources.limits: Required value: Limit must be set for non overcommitable resources",
    ],
    [
      "half a gpu",
      { resources: { limits: { "a.b/gpu": "500m" } } },
      'resources.limits[a.b/gpu]: Invalid value: "500m": must be an integer',
    ],
    [
      "unknown resource",
      { resources: { limits: { gpu: "1" } } },
      'resources.limits[gpu]: Invalid value: "gpu": must be a standard resource type or fully qualified',
    ],
    [
      "probe without handler",
      { livenessProbe: {} },
      "spec.containers[0].livenessProbe: Required value: must specify a handler type",
    ],
    [
      "probe with two",
      { livenessProbe: { exec: { command: ["a"] }, tcpSocket: { port: 1 } } },
      "spec.containers[0].livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type",
    ],
    [
      "liveness needs one success",
      { livenessProbe: { exec: { command: ["a"] }, successThreshold: 2 } },
      "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1",
    ],
    [
      "probe port",
      { readinessProbe: { tcpSocket: { port: 0 } } },
      "readinessProbe.tcpSocket.port: Invalid value: 0: must be between 1 and 65535, inclusive",
    ],
    [
      "restart policy",
      { restartPolicy: "Sometimes" },
      'spec.containers[0].restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "Never", "OnFailure"',
    ],
    [
      "restart rules without a policy",
      { restartPolicyRules: [{ action: "Restart", exitCodes: { operator: "In", values: [42] } }] },
      "spec.containers[0].restartPolicy: Required value: must specify restartPolicy when restart rules are used",
    ],
    [
      "restart rule",
      {
        restartPolicy: "Never",
        restartPolicyRules: [{ action: "Reboot", exitCodes: { operator: "Like" } }, { action: "Restart" }],
      },
      'spec.containers[0].restartPolicyRules[0].action: Unsupported value: "Reboot": supported values: "Restart"\nspec.containers[0].restartPolicyRules[0].exitCodes.operator: Unsupported value: "Like": supported values: "In", "NotIn"\nspec.containers[0].restartPolicyRules[1].exitCodes: Required value: must be specified',
    ],
    [
      "stop signal of an unknown system",
      { lifecycle: { stopSignal: "SIGUSR1" } },
      "spec.containers[0].lifecycle.stopSignal: Forbidden: may not be set for containers with empty `spec.os.name`",
    ],
    [
      "a sleep longer than the grace",
      { lifecycle: { preStop: { sleep: { seconds: 31 } } } },
      "spec.containers[0].lifecycle.preStop.sleep: Invalid value: 31: must be non-negative and less than terminationGracePeriodSeconds (30)",
    ],
  ])("%s", (_, container, message) => {
    expect(lines(validatePod(podWith({}, container))).join("\n")).toContain(message);
  });
});

test.each(["__proto__", "constructor", "beos"])("no signal is one of the system %j", (name) => {
  const pod = podWith({ os: { name } }, { lifecycle: { stopSignal: "SIGUSR1" } });
  expect(lines(validatePod(pod)).join("\n")).toContain('lifecycle.stopSignal: Unsupported value: "SIGUSR1"');
});

describe("spec", () => {
  const c = (name: string): Container => ({ name, image: "nginx" });

  test.each<[string, Partial<PodSpec>, string]>([
    ["no container", { containers: [] }, "spec.containers: Required value"],
    ["same name", { containers: [c("a"), c("a")] }, 'spec.containers[1].name: Duplicate value: "a"'],
    [
      "same name as init",
      { containers: [c("a")], initContainers: [c("a")] },
      'spec.initContainers[0].name: Duplicate value: "a"',
    ],
    [
      "init probe",
      { initContainers: [{ ...c("i"), readinessProbe: { exec: { command: ["a"] } } }] },
      "spec.initContainers[0].readinessProbe: Forbidden: may not be set for init containers without restartPolicy=Always",
    ],
    [
      "restart policy",
      { restartPolicy: "Maybe" },
      'spec.restartPolicy: Unsupported value: "Maybe": supported values: "Always", "OnFailure", "Never"',
    ],
    [
      "dns policy",
      { dnsPolicy: "None" },
      "spec.dnsConfig.nameservers: Required value: must provide at least one DNS nameserver",
    ],
    ["volume name", { volumes: [{ name: "A" }] }, 'spec.volumes[0].name: Invalid value: "A"'],
    ["volume twice", { volumes: [{ name: "a" }, { name: "a" }] }, 'spec.volumes[1].name: Duplicate value: "a"'],
    [
      "two sources",
      { volumes: [{ name: "a", emptyDir: {}, hostPath: { path: "/" } }] },
      "spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type",
    ],
    [
      "host path type",
      { volumes: [{ name: "a", hostPath: { path: "/", type: "dir" } }] },
      'spec.volumes[0].hostPath.type: Unsupported value: "dir"',
    ],
    ["secret name", { volumes: [{ name: "a", secret: {} }] }, "spec.volumes[0].secret.secretName: Required value"],
    [
      "mode",
      { volumes: [{ name: "a", configMap: { name: "c", defaultMode: 4095 } }] },
      "spec.volumes[0].configMap.defaultMode: Invalid value: 4095: must be a number between 0 and 0777 (octal)",
    ],
    [
      "path",
      { volumes: [{ name: "a", configMap: { name: "c", items: [{ key: "k", path: "../x" }] } }] },
      "must not contain '..'",
    ],
    ["node selector", { nodeSelector: { a: "-b" } }, 'spec.nodeSelector: Invalid value: "-b": a valid label must be'],
    [
      "deadline",
      { activeDeadlineSeconds: 0 },
      "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive",
    ],
    [
      "toleration",
      { tolerations: [{ operator: "Equal" }] },
      'spec.tolerations[0].operator: Invalid value: "Equal": operator must be Exists when `key` is empty',
    ],
    [
      "toleration seconds",
      { tolerations: [{ key: "a", operator: "Exists", tolerationSeconds: 1 }] },
      "effect must be 'NoExecute' when `tolerationSeconds` is set",
    ],
    [
      "host alias",
      { hostAliases: [{ ip: "1.2.3" }] },
      'spec.hostAliases[0].ip: Invalid value: "1.2.3": must be a valid IP address',
    ],
    [
      "affinity",
      {
        affinity: {
          nodeAffinity: {
            requiredDuringSchedulingIgnoredDuringExecution: {
              nodeSelectorTerms: [{ matchExpressions: [{ key: "a", operator: "in", values: ["b"] }] }],
            },
          },
        },
      },
      'matchExpressions[0].operator: Invalid value: "in": not a valid selector operator',
    ],
    [
      "topology key",
      { affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: "" }] } } },
      "spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Required value: can not be empty",
    ],
    [
      "weight",
      {
        affinity: {
          podAffinity: {
            preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 101, podAffinityTerm: { topologyKey: "a" } }],
          },
        },
      },
      "weight: Invalid value: 101: must be in the range 1-100",
    ],
    [
      "skew",
      { topologySpreadConstraints: [{ maxSkew: 0, topologyKey: "a", whenUnsatisfiable: "DoNotSchedule" }] },
      "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero",
    ],
    [
      "host network port",
      { hostNetwork: true, containers: [{ ...c("a"), ports: [{ containerPort: 80, hostPort: 81 }] }] },
      "hostPort: Invalid value: 81: must match `containerPort` when `hostNetwork` is true",
    ],
  ])("%s", (_, spec, message) => {
    expect(lines(validatePod(podWith(spec))).join("\n")).toContain(message);
  });
});

describe("updates", () => {
  const change = (spec: Partial<PodSpec>, next: Partial<PodSpec>) =>
    lines(validatePodUpdate(podWith({ ...spec, ...next }), podWith(spec)));
  const c = (image: string, more: Partial<Container> = {}): Container => ({ name: "app", image, ...more });

  test.each<[string, Partial<PodSpec>, Partial<PodSpec>]>([
    ["nothing", {}, {}],
    ["an image", { containers: [c("a:1")] }, { containers: [c("a:2")] }],
    ["a toleration more", {}, { tolerations: [{ key: "x", operator: "Exists" }] }],
    ["a nearer deadline", { activeDeadlineSeconds: 10 }, { activeDeadlineSeconds: 5 }],
    ["grace from negative to 1", { terminationGracePeriodSeconds: -1 }, { terminationGracePeriodSeconds: 1 }],
    [
      "the same quantity",
      { containers: [c("a:1", { resources: { limits: { cpu: "1" } } })] },
      { containers: [c("a:1", { resources: { limits: { cpu: "1000m" } } })] },
    ],
    [
      "a gate less, and a selector more",
      { schedulingGates: [{ name: "a" }] },
      { schedulingGates: [], nodeSelector: { a: "b" } },
    ],
  ])("%s may change", (_, spec, next) => {
    expect(change(spec, next)).toEqual([]);
  });

  test.each<[string, Partial<PodSpec>, Partial<PodSpec>, string]>([
    [
      "a command",
      { containers: [c("a:1")] },
      { containers: [c("a:1", { command: ["x"] })] },
      "changed: spec.containers[0].command",
    ],
    [
      "the node",
      { nodeName: "a" },
      { nodeName: "b" },
      "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations)",
    ],
    [
      "the number of containers",
      {},
      { containers: [c("a"), { name: "b", image: "b" }] },
      "spec.containers: Forbidden: pod updates may not add or remove containers",
    ],
    [
      "a toleration less",
      { tolerations: [{ key: "x", operator: "Exists" }] },
      { tolerations: [] },
      "spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds",
    ],
    [
      "a later deadline",
      { activeDeadlineSeconds: 5 },
      { activeDeadlineSeconds: 6 },
      "must be less than or equal to previous value",
    ],
    [
      "a new gate",
      {},
      { schedulingGates: [{ name: "g" }] },
      "only deletion is allowed, but found new scheduling gate 'g'",
    ],
    ["a selector without a gate", {}, { nodeSelector: { a: "b" } }, "changed: spec.nodeSelector"],
  ])("%s may not", (_, spec, next, message) => {
    expect(change(spec, next).join("\n")).toContain(message);
  });
});
