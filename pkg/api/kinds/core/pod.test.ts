import { describe, expect, test } from "@jest/globals";
import { deepClone } from "../../equal.ts";
import type { Binding, Pod } from "../../generated/types.ts";
import type { RequestContext } from "../../resource.ts";
import { pods } from "./pod.ts";

const context: RequestContext = { now: Date.UTC(2026, 0, 1), user: { name: "u", groups: [] } };

function minimal(): Pod {
  return { metadata: { name: "web" }, spec: { containers: [{ name: "app", image: "nginx:1" }] } };
}

function defaulted(pod: Pod): Pod {
  pods.setDefaults?.(pod);
  return pod;
}

describe("defaults", () => {
  test("of a minimal Pod are Kubernetes'", () => {
    expect(defaulted(minimal()).spec).toEqual({
      containers: [
        {
          name: "app",
          image: "nginx:1",
          imagePullPolicy: "IfNotPresent",
          resources: {},
          terminationMessagePath: "/dev/termination-log",
          terminationMessagePolicy: "File",
        },
      ],
      dnsPolicy: "ClusterFirst",
      enableServiceLinks: true,
      restartPolicy: "Always",
      schedulerName: "default-scheduler",
      securityContext: {},
      terminationGracePeriodSeconds: 30,
    });
  });

  test("are idempotent", () => {
    const once = defaulted({
      metadata: { name: "x" },
      spec: {
        hostNetwork: true,
        containers: [{ name: "a", image: "a", ports: [{ containerPort: 1 }], resources: { limits: { cpu: "1000m" } } }],
        volumes: [{ name: "v" }, { name: "s", secret: { secretName: "s" } }],
      },
    });
    expect(defaulted(deepClone(once) as Pod)).toEqual(once);
  });

  test("of the parts", () => {
    const pod = defaulted({
      metadata: { name: "x" },
      spec: {
        serviceAccount: "robot",
        hostNetwork: true,
        tolerations: [{ operator: "Exists" }],
        containers: [
          {
            name: "a",
            image: "a",
            ports: [{ containerPort: 80 }],
            resources: { limits: { cpu: "0.5", memory: "1024Mi" }, requests: { cpu: "100m" } },
            livenessProbe: { httpGet: { port: 80 } },
            env: [{ name: "N", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } }],
          },
        ],
        volumes: [{ name: "v" }, { name: "c", configMap: { name: "c" } }],
      },
    });
    expect(pod.spec).toMatchObject({
      serviceAccountName: "robot",
      tolerations: [{ operator: "Exists" }],
      containers: [
        {
          imagePullPolicy: "Always",
          ports: [{ containerPort: 80, hostPort: 80, protocol: "TCP" }],
          resources: { limits: { cpu: "500m", memory: "1Gi" }, requests: { cpu: "100m", memory: "1Gi" } },
          livenessProbe: {
            httpGet: { path: "/", port: 80, scheme: "HTTP" },
            failureThreshold: 3,
            periodSeconds: 10,
            successThreshold: 1,
            timeoutSeconds: 1,
          },
          env: [{ valueFrom: { fieldRef: { apiVersion: "v1" } } }],
        },
      ],
      volumes: [
        { name: "v", emptyDir: {} },
        { name: "c", configMap: { defaultMode: 420 } },
      ],
    });
  });
});

test("a new Pod is Pending, whatever its author says", () => {
  const pod = defaulted({ ...minimal(), status: { phase: "Running" } });
  pods.prepareForCreate?.(pod, context);
  expect(pod.status).toEqual({ phase: "Pending", qosClass: "BestEffort" });
});

test("a gated Pod says so", () => {
  const pod = minimal();
  if (pod.spec) pod.spec.schedulingGates = [{ name: "a/b" }];
  pods.prepareForCreate?.(pod, context);
  expect(pod.status?.conditions).toMatchObject([{ type: "PodScheduled", status: "False", reason: "SchedulingGated" }]);
});

describe("binding", () => {
  const binding: Binding = { metadata: { name: "web", annotations: { a: "b" } }, target: { kind: "Node", name: "n1" } };

  function bind(pod: Pod, b: Binding = binding): void {
    const sub = pods.subresources["binding"];
    if (sub?.type !== "action") throw new Error("binding is an action");
    sub.apply(pod, b, context);
  }

  test("assigns the node and says when", () => {
    const pod = minimal();
    bind(pod);
    expect(pod.spec?.nodeName).toBe("n1");
    expect(pod.metadata.annotations).toEqual({ a: "b" });
    expect(pod.status?.conditions).toEqual([
      { type: "PodScheduled", status: "True", lastTransitionTime: "2026-01-01T00:00:00Z" },
    ]);
  });

  test("happens once", () => {
    const pod = minimal();
    bind(pod);
    expect(() => bind(pod)).toThrow(
      'Operation cannot be fulfilled on pods/binding "web": pod web is already assigned to node "n1"',
    );
  });

  test.each<[string, Partial<Pod["metadata"]>, Partial<Binding>, string]>([
    [
      "a deleted Pod",
      { deletionTimestamp: "2026-01-01T00:00:00Z" },
      {},
      "pod web is being deleted, cannot be assigned to a host",
    ],
    [
      "another Pod of that name",
      { uid: "1" },
      { metadata: { uid: "2" } },
      "Precondition failed: UID in precondition: 2, UID in object meta: 1",
    ],
    ["no target", {}, { target: {} }, "target.name: Required value"],
    [
      "a strange target",
      {},
      { target: { kind: "Pod", name: "x" } },
      'target.kind: Unsupported value: "Pod": supported values: "Node", "<empty>"',
    ],
  ])("%s is refused", (_, meta, b, message) => {
    const pod = minimal();
    Object.assign(pod.metadata, meta);
    expect(() => bind(pod, { ...binding, ...b })).toThrow(message);
    expect(pod.spec?.nodeName).toBeUndefined();
  });
});

test.each<[string, Pod["spec"], string, number | undefined, number]>([
  ["as asked", { containers: [], nodeName: "n", terminationGracePeriodSeconds: 30 }, "Running", 5, 5],
  ["from the spec", { containers: [], nodeName: "n", terminationGracePeriodSeconds: 30 }, "Running", undefined, 30],
  ["negative means one", { containers: [], nodeName: "n", terminationGracePeriodSeconds: -1 }, "Running", undefined, 1],
  ["none before scheduling", { containers: [], terminationGracePeriodSeconds: 30 }, "Pending", 5, 0],
  ["none after the end", { containers: [], nodeName: "n", terminationGracePeriodSeconds: 30 }, "Failed", undefined, 0],
])("grace period: %s", (_, spec, phase, requested, expected) => {
  const pod: Pod = { metadata: { name: "x" }, ...(spec && { spec }), status: { phase } };
  expect(pods.gracePeriodSeconds?.(pod, requested)).toBe(expected);
});

test("a status write changes nothing but the status", () => {
  const old: Pod = { ...minimal(), status: { phase: "Pending", qosClass: "Burstable" } };
  const next: Pod = { ...minimal(), status: { phase: "Running" } };
  if (next.spec) next.spec.nodeName = "elsewhere";
  const sub = pods.subresources["status"];
  if (sub?.type !== "part") throw new Error("status is a part");
  sub.prepareForUpdate(next, old, context);
  expect(next).toEqual({ ...minimal(), status: { phase: "Running", qosClass: "Burstable" } });
});

test("what ended for good does not come back", () => {
  const status = (state: object): Pod => ({
    ...minimal(),
    spec: { containers: [], restartPolicy: "Never" },
    status: { containerStatuses: [{ name: "app", image: "", imageID: "", ready: false, restartCount: 0, state }] },
  });
  const sub = pods.subresources["status"];
  if (sub?.type !== "part") throw new Error("status is a part");
  const ended = status({ terminated: { exitCode: 1 } });
  expect(sub.validate?.(ended, ended)).toEqual([]);
  expect(sub.validate?.(status({ running: {} }), ended)).toMatchObject([
    { type: "Forbidden", field: "status.containerStatuses[0].state" },
  ]);
});
