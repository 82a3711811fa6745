import { describe, expect, test } from "@jest/globals";
import type { ApiObject } from "../../api/object.ts";
import { limitRanges } from "../../api/kinds/core/limitrange.ts";
import { serviceAccounts } from "../../api/kinds/core/serviceaccount.ts";
import { ingressClasses } from "../../api/kinds/networking/ingressclass.ts";
import { runtimeClasses } from "../../api/kinds/node/runtimeclass.ts";
import { priorityClasses } from "../../api/kinds/scheduling/priorityclass.ts";
import { storageClasses } from "../../api/kinds/storage/storageclass.ts";
import type { Pod } from "../../api/generated/types.ts";
import { seededRandom } from "../../util/clock.ts";
import type { AdmissionPlugin } from "../admission.ts";
import { claimResize } from "./claim-resize.ts";
import { defaultIngressClass, defaultStorageClass } from "./default-classes.ts";
import { defaultTolerationSeconds } from "./default-tolerations.ts";
import { limitRanger } from "./limit-ranger.ts";
import { namespaceLifecycle } from "./namespace-lifecycle.ts";
import { taintNodesByCondition } from "./node-taints.ts";
import { priority } from "./priority.ts";
import { runtimeClass } from "./runtime-class.ts";
import { serviceAccount } from "./service-account.ts";
import { admit, type Asked, type Placed, request, viewOf } from "./testing/requests.ts";

const pod = (spec: object = {}, metadata: object = {}): Pod => ({
  metadata: { name: "web", namespace: "default", ...metadata },
  spec: { containers: [{ name: "c" }], ...spec },
});
const named = (name: string, rest: object = {}): ApiObject => ({ metadata: { name }, ...rest });
const here = (name: string, rest: object = {}): ApiObject => ({ metadata: { name, namespace: "default" }, ...rest });
const limited = (requests: object | undefined, limits?: object) =>
  pod({ containers: [{ name: "c", resources: { ...(requests && { requests }), ...(limits && { limits }) } }] });
const accounts = serviceAccount({ random: seededRandom(1), mountToken: true });

type Row = readonly [
  what: string,
  plugin: AdmissionPlugin,
  asked: Asked,
  cluster: readonly Placed[],
  expected: string | object,
];

const range = (...limits: object[]) => [limitRanges, here("r", { spec: { limits } })] as const;
const FORBIDDEN = 'pods "web" is forbidden: ';

const rows: readonly Row[] = [
  [
    "LimitRange fills in what containers leave out, and says so",
    limitRanger,
    { plural: "pods", object: limited({ cpu: "100m" }) },
    [
      range({
        type: "Container",
        default: { cpu: "1", memory: "1Gi" },
        defaultRequest: { cpu: "500m", memory: "1Gi" },
      }),
    ],
    {
      metadata: {
        annotations: {
          "kubernetes.io/limit-ranger":
            "LimitRanger plugin set: memory request for container c; cpu, memory limit for container c",
        },
      },
      spec: {
        containers: [{ resources: { requests: { cpu: "100m", memory: "1Gi" }, limits: { cpu: "1", memory: "1Gi" } } }],
      },
    },
  ],
  [
    "LimitRange: too much for a container",
    limitRanger,
    { plural: "pods", object: limited({ cpu: "3" }, { cpu: "3000m" }) },
    [range({ type: "Container", max: { cpu: "2" } })],
    `${FORBIDDEN}maximum cpu usage per Container is 2, but limit is 3`,
  ],
  [
    "LimitRange: no limit where one is needed",
    limitRanger,
    { plural: "pods", object: limited({ cpu: "1" }) },
    [range({ type: "Container", max: { cpu: "2" } })],
    `${FORBIDDEN}maximum cpu usage per Container is 2.  No limit is specified`,
  ],
  [
    "LimitRange: several things at once",
    limitRanger,
    { plural: "pods", object: limited({ cpu: "10m" }, { memory: "2Gi" }) },
    [range({ type: "Container", min: { cpu: "50m", memory: "1Mi" }, max: { memory: "1Gi" } })],
    `${FORBIDDEN}[minimum cpu usage per Container is 50m, but request is 10m, minimum memory usage per Container is 1Mi.  No request is specified, maximum memory usage per Container is 1Gi, but limit is 2Gi]`,
  ],
  [
    "LimitRange: all containers together, init containers one by one",
    limitRanger,
    {
      plural: "pods",
      object: pod({
        initContainers: [{ name: "i", resources: { limits: { cpu: "1" } } }],
        containers: ["a", "b"].map((name) => ({ name, resources: { limits: { cpu: "1500m" } } })),
      }),
    },
    [range({ type: "Pod", max: { cpu: "2" } })],
    `${FORBIDDEN}maximum cpu usage per Pod is 2, but limit is 3`,
  ],
  [
    "LimitRange: too much above the request",
    limitRanger,
    { plural: "pods", object: limited({ cpu: "100m" }, { cpu: "250m" }) },
    [range({ type: "Container", maxLimitRequestRatio: { cpu: "2" } })],
    `${FORBIDDEN}cpu max limit to request ratio per Container is 2, but provided ratio is 2.500000`,
  ],
  [
    "LimitRange: a claim",
    limitRanger,
    {
      plural: "persistentvolumeclaims",
      object: here("data", { spec: { resources: { requests: { storage: "10Gi" } } } }),
    },
    [range({ type: "PersistentVolumeClaim", max: { storage: "5Gi" } })],
    'persistentvolumeclaims "data" is forbidden: maximum storage usage per PersistentVolumeClaim is 5Gi, but request is 10Gi',
  ],
  [
    "ServiceAccount: the default, with the token where nothing else is mounted",
    accounts,
    {
      plural: "pods",
      object: pod({
        initContainers: [
          { name: "i", volumeMounts: [{ name: "own", mountPath: "/var/run/secrets/kubernetes.io/serviceaccount" }] },
        ],
      }),
    },
    [],
    {
      spec: {
        serviceAccountName: "default",
        serviceAccount: "default",
        initContainers: [{ volumeMounts: [{ name: "own" }] }],
        containers: [
          {
            volumeMounts: [
              {
                name: expect.stringMatching(/^kube-api-access-[a-z0-9]{5}$/),
                readOnly: true,
                mountPath: "/var/run/secrets/kubernetes.io/serviceaccount",
              },
            ],
          },
        ],
        volumes: [
          {
            name: expect.stringMatching(/^kube-api-access-[a-z0-9]{5}$/),
            projected: {
              defaultMode: 420,
              sources: [
                { serviceAccountToken: { expirationSeconds: 3607, path: "token" } },
                { configMap: { name: "kube-root-ca.crt", items: [{ key: "ca.crt", path: "ca.crt" }] } },
                {
                  downwardAPI: {
                    items: [{ path: "namespace", fieldRef: { apiVersion: "v1", fieldPath: "metadata.namespace" } }],
                  },
                },
              ],
            },
          },
        ],
      },
    },
  ],
  [
    "ServiceAccount: pull secrets of the account; it wants no token",
    accounts,
    { plural: "pods", object: pod({ serviceAccountName: "robot" }) },
    [[serviceAccounts, here("robot", { imagePullSecrets: [{ name: "reg" }], automountServiceAccountToken: false })]],
    { spec: { imagePullSecrets: [{ name: "reg" }], containers: [{ name: "c" }] } },
  ],
  [
    "ServiceAccount: one that does not exist",
    accounts,
    { plural: "pods", object: pod({ serviceAccountName: "robot" }) },
    [],
    `${FORBIDDEN}error looking up service account default/robot: serviceaccount "robot" not found`,
  ],
  [
    "DefaultTolerationSeconds: beside what is tolerated already",
    defaultTolerationSeconds(300),
    { plural: "pods", object: pod({ tolerations: [{ key: "node.kubernetes.io/not-ready", operator: "Exists" }] }) },
    [],
    {
      spec: {
        tolerations: [
          { key: "node.kubernetes.io/not-ready", operator: "Exists" },
          { key: "node.kubernetes.io/unreachable", operator: "Exists", effect: "NoExecute", tolerationSeconds: 300 },
        ],
      },
    },
  ],
  [
    "TaintNodesByCondition: a new node has to say that it is ready",
    taintNodesByCondition,
    { plural: "nodes", object: named("n1", { spec: { taints: [{ key: "a", effect: "NoExecute" }] } }) },
    [],
    {
      spec: {
        taints: [
          { key: "a", effect: "NoExecute" },
          { key: "node.kubernetes.io/not-ready", effect: "NoSchedule" },
        ],
      },
    },
  ],
  [
    "TaintNodesByCondition: one that says so at once",
    taintNodesByCondition,
    { plural: "nodes", object: named("n1", { status: { conditions: [{ type: "Ready", status: "True" }] } }) },
    [],
    { metadata: { name: "n1" }, status: { conditions: [{ type: "Ready", status: "True" }] } },
  ],
  [
    "Priority: none named, no default",
    priority,
    { plural: "pods", object: pod() },
    [],
    { spec: { priority: 0, preemptionPolicy: "PreemptLowerPriority" } },
  ],
  [
    "Priority: the default is the lowest of those marked",
    priority,
    { plural: "pods", object: pod() },
    [
      [priorityClasses, named("a", { value: 20, globalDefault: true })],
      [priorityClasses, named("b", { value: 10, globalDefault: true, preemptionPolicy: "Never" })],
    ],
    { spec: { priority: 10, priorityClassName: "b", preemptionPolicy: "Never" } },
  ],
  [
    "Priority: the system's classes exist always",
    priority,
    { plural: "pods", object: pod({ priorityClassName: "system-node-critical" }) },
    [],
    { spec: { priority: 2000001000 } },
  ],
  [
    "Priority: a class nobody knows",
    priority,
    { plural: "pods", object: pod({ priorityClassName: "high" }) },
    [],
    `${FORBIDDEN}no PriorityClass with name high was found`,
  ],
  [
    "Priority: a number of one's own",
    priority,
    { plural: "pods", object: pod({ priorityClassName: "high", priority: 7 }) },
    [[priorityClasses, named("high", { value: 1000 })]],
    `${FORBIDDEN}the integer value of priority (7) must not be provided in pod spec; priority admission controller computed 1000 from the given PriorityClass name`,
  ],
  [
    "Priority: a second default",
    priority,
    {
      group: "scheduling.k8s.io",
      plural: "priorityclasses",
      namespaced: false,
      object: named("b", { value: 1, globalDefault: true }),
    },
    [[priorityClasses, named("a", { value: 20, globalDefault: true })]],
    'priorityclasses.scheduling.k8s.io "b" is forbidden: PriorityClass a is already marked as default. Only one default can exist',
  ],
  [
    "DefaultStorageClass: the youngest of those marked",
    defaultStorageClass,
    { plural: "persistentvolumeclaims", object: here("data", { spec: {} }) },
    ["2025-01-01T00:00:00Z", "2025-06-01T00:00:00Z"].map((creationTimestamp, i): Placed => [
      storageClasses,
      {
        metadata: {
          name: `s${i}`,
          creationTimestamp,
          annotations: { "storageclass.kubernetes.io/is-default-class": "true" },
        },
      },
    ]),
    { spec: { storageClassName: "s1" } },
  ],
  [
    "DefaultStorageClass: who wants none gets none",
    defaultStorageClass,
    { plural: "persistentvolumeclaims", object: here("data", { spec: { storageClassName: "" } }) },
    [
      [
        storageClasses,
        { metadata: { name: "s", annotations: { "storageclass.kubernetes.io/is-default-class": "true" } } },
      ],
    ],
    { spec: { storageClassName: "" } },
  ],
  [
    "DefaultIngressClass",
    defaultIngressClass,
    { group: "networking.k8s.io", plural: "ingresses", object: here("web", { spec: {} }) },
    [
      [
        ingressClasses,
        { metadata: { name: "n", annotations: { "ingressclass.kubernetes.io/is-default-class": "true" } } },
      ],
    ],
    { spec: { ingressClassName: "n" } },
  ],
  [
    "RuntimeClass: overhead, selector and tolerations",
    runtimeClass,
    { plural: "pods", object: pod({ runtimeClassName: "vm", nodeSelector: { a: "b" } }) },
    [
      [
        runtimeClasses,
        named("vm", {
          handler: "vm",
          overhead: { podFixed: { cpu: "100m" } },
          scheduling: { nodeSelector: { vm: "yes" }, tolerations: [{ key: "vm", operator: "Exists" }] },
        }),
      ],
    ],
    {
      spec: {
        overhead: { cpu: "100m" },
        nodeSelector: { a: "b", vm: "yes" },
        tolerations: [{ key: "vm", operator: "Exists" }],
      },
    },
  ],
  [
    "RuntimeClass: unknown",
    runtimeClass,
    { plural: "pods", object: pod({ runtimeClassName: "vm" }) },
    [],
    `${FORBIDDEN}pod rejected: RuntimeClass "vm" not found`,
  ],
  [
    "RuntimeClass: overhead without one",
    runtimeClass,
    { plural: "pods", object: pod({ overhead: { cpu: "1" } }) },
    [],
    `${FORBIDDEN}pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead`,
  ],
  [
    "NamespaceLifecycle",
    namespaceLifecycle,
    { operation: "DELETE", plural: "namespaces", namespaced: false, old: named("kube-system") },
    [],
    'namespaces "kube-system" is forbidden: this namespace may not be deleted',
  ],
];

const claim = (storage: string, phase = "Bound"): ApiObject =>
  here("data", { spec: { storageClassName: "s", resources: { requests: { storage } } }, status: { phase } });
const growing = (allowVolumeExpansion: boolean) => [
  [storageClasses, named("s", { provisioner: "p", allowVolumeExpansion })] as const,
];

test.each<[string, ApiObject, ApiObject, readonly Placed[], string | undefined]>([
  ["may", claim("1Gi"), claim("2Gi"), growing(true), undefined],
  ["may shrink as far as admission is concerned", claim("2Gi"), claim("1Gi"), [], undefined],
  [
    "may not, by its class",
    claim("1Gi"),
    claim("2Gi"),
    growing(false),
    "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize",
  ],
  [
    "may not before it is bound",
    claim("1Gi", "Pending"),
    claim("2Gi"),
    growing(true),
    "Only bound persistent volume claims can be expanded",
  ],
])("a claim that grows %s", async (_, old, object, cluster, why) => {
  const r = request({ plural: "persistentvolumeclaims", operation: "UPDATE", old, object });
  const expected = why && `persistentvolumeclaims "data" is forbidden: ${why}`;
  expect(await admit(claimResize, r, viewOf(...cluster))).toBe(expected);
});

describe("plugins", () => {
  test.each(rows)("%s", async (_, plugin, asked, cluster, expected) => {
    const r = request(asked);
    const refused = await admit(plugin, r, viewOf(...cluster));
    const wanted = typeof expected === "string" ? { refused: expected } : { refused: undefined, object: expected };
    expect({ refused, object: r.object }).toMatchObject(wanted);
  });

  test("an update that leaves out what a Pod was given keeps it", async () => {
    const old = pod({ priority: 5, preemptionPolicy: "Never" });
    const r = request({ plural: "pods", operation: "UPDATE", object: pod(), old });
    expect(await admit(priority, r, viewOf())).toBeUndefined();
    expect(r.object).toMatchObject({ spec: { priority: 5, preemptionPolicy: "Never" } });
  });
});
