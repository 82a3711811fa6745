/** What may be written through pods/ephemeralcontainers and pods/resize. */
import { describe, expect, test } from "@jest/globals";
import type { EphemeralContainer, Pod, ResourceRequirements } from "../../generated/types.ts";
import { complaints, created, decoded, writePart } from "../testing/writes.ts";
import { pods } from "./pod.ts";

const requests = { cpu: "100m", memory: "64Mi" };
const pod = (status: Partial<NonNullable<Pod["status"]>> = {}): Pod => {
  const o = created(pods, {
    metadata: { name: "web", labels: { app: "web" } },
    spec: {
      initContainers: [
        { name: "setup", image: "busybox", resizePolicy: [{ resourceName: "cpu", restartPolicy: "RestartContainer" }] },
      ],
      containers: [
        { name: "app", image: "nginx", resources: { requests } },
        { name: "log", image: "fluentd" },
      ],
    },
  });
  return { ...o, status: { ...o.status, ...status } };
};

/** As a client writes it: defaults are filled in before the part is taken. */
function write(part: string, old: Pod, change: (o: Pod) => void) {
  return writePart(pods, part, old, (o) => {
    change(o);
    Object.assign(o, decoded(pods, { ...o }));
  });
}

describe("ephemeral containers", () => {
  const debug = { name: "debug", image: "busybox", targetContainerName: "app", stdin: true };
  const adding =
    (...list: EphemeralContainer[]) =>
    (o: Pod) => {
      if (o.spec) o.spec.ephemeralContainers = list;
    };
  const CANNOT = "cannot be set for an Ephemeral Container";
  const AT = "spec.ephemeralContainers";

  test("come, and nothing else changes", () => {
    const old = pod();
    const { next, errors } = write("ephemeralcontainers", old, (o) => {
      adding(debug)(o);
      o.metadata.labels = { app: "other" };
      if (o.spec?.containers[0]) o.spec.containers[0].image = "apache";
    });
    expect(errors).toEqual([]);
    expect(next.spec?.ephemeralContainers).toMatchObject([{ ...debug, imagePullPolicy: "Always" }]);
    const { ephemeralContainers: _, ...spec } = { ...next.spec };
    expect({ ...next, spec }).toEqual(old);
  });

  test.each<[string, EphemeralContainer[], string[]]>([
    ["one taken away", [], [`${AT}: Forbidden: existing ephemeral containers "debug" may not be removed\n`]],
    [
      "one changed",
      [{ ...debug, image: "alpine" }],
      [`${AT}: Forbidden: existing ephemeral containers "debug" may not be changed\ndebug.image`],
    ],
    ["the others before it", [{ name: "more", image: "busybox" }, debug], []],
    ["a name twice", [debug, { name: "app", image: "busybox" }], [`${AT}[1].name: Duplicate value: "app"`]],
    ["no image", [debug, { name: "b" }], [`${AT}[1].image: Required value`]],
    [
      "a target that is none",
      [debug, { name: "b", image: "b", targetContainerName: "c" }],
      [`${AT}[1].targetContainerName: Not found: "c"`],
    ],
    [
      "what a service needs",
      [debug, { name: "b", image: "b", ports: [{ containerPort: 1 }], resources: { limits: { cpu: "1" } } }],
      [`${AT}[1].ports: Forbidden: ${CANNOT}`, `${AT}[1].resources: Forbidden: ${CANNOT}`],
    ],
  ])("%s", (_, list, expected) => {
    const old = write("ephemeralcontainers", pod(), adding(debug)).next;
    expect(write("ephemeralcontainers", old, adding(...list)).errors).toEqual(expected);
  });

  test("are not there from the start", () => {
    const o = pod();
    adding(debug)(o);
    expect(complaints(pods, decoded(pods, { ...o }))).toEqual([
      "spec.ephemeralContainers: Forbidden: cannot be set on create",
    ]);
  });
});

describe("a resize", () => {
  const to = (resources: ResourceRequirements) => (o: Pod) => {
    if (o.spec?.containers[0]) o.spec.containers[0].resources = resources;
  };
  const APP = "spec.containers[0].resources";
  const running = (resources?: ResourceRequirements) => ({
    containerStatuses: [
      {
        name: "app",
        image: "",
        imageID: "",
        ready: true,
        restartCount: 0,
        state: { running: {} },
        ...(resources && { resources }),
      },
    ],
  });

  test("changes cpu and memory, and nothing else", () => {
    const old = pod();
    const bigger = { requests: { cpu: "200m", memory: "128Mi" } };
    const { next, errors } = write("resize", old, (o) => {
      to(bigger)(o);
      if (o.spec) o.spec.terminationGracePeriodSeconds = 1;
      if (o.spec?.containers[1]) o.spec.containers[1].image = "vector";
      o.metadata.annotations = { a: "b" };
    });
    expect(errors).toEqual([]);
    expect(next.spec?.containers[0]?.resources).toEqual(bigger);
    to({ requests })(next);
    expect(next).toEqual(old);
  });

  test.each<[string, Pod, (o: Pod) => void, string[]]>([
    [
      "takes no request away",
      pod(),
      to({ requests: { cpu: "1" } }),
      [`${APP}.requests: Forbidden: resource requests cannot be removed`],
    ],
    [
      "makes it no other class of Pod",
      pod(),
      to({}),
      [
        'spec: Invalid value: "Burstable": Pod QOS Class may not change as a result of resizing',
        `${APP}.requests: Forbidden: resource requests cannot be removed`,
      ],
    ],
    [
      "is of cpu and memory only",
      pod(),
      to({ requests: { ...requests, "ephemeral-storage": "1Gi" } }),
      ["spec: Forbidden: only cpu and memory resources are mutable"],
    ],
    [
      "adds no container",
      pod(),
      (o) => o.spec?.containers.push({ name: "more", image: "nginx" }),
      ["spec.containers: Forbidden: containers may not be added or removed on resize"],
    ],
    [
      "renames none",
      pod(),
      (o) => Object.assign(o.spec?.containers[1] ?? {}, { name: "logs" }),
      ["spec.containers[1].name: Forbidden: containers may not be renamed or reordered on resize"],
    ],
    [
      "is nothing for a container that ran and would have to again",
      pod(),
      (o) => Object.assign(o.spec?.initContainers?.[0] ?? {}, { resources: { requests } }),
      [
        "spec.initContainers[0]: Forbidden: non-sidecar init containers with a resize policy of RestartContainer cannot be resized",
      ],
    ],
    [
      "wants a node that can",
      pod(running()),
      to({ requests: { cpu: "1", memory: "64Mi" } }),
      ["spec: Forbidden: Pod running on node without support for resize"],
    ],
    ["finds a node that can", pod(running({ requests })), to({ requests: { cpu: "1", memory: "64Mi" } }), []],
  ])("%s", (_, old, change, expected) => {
    expect(write("resize", old, change).errors).toEqual(expected);
  });
});

test("an eviction is a call", () => {
  expect(pods.subresources["eviction"]).toEqual({
    type: "call",
    input: { group: "policy", version: "v1", kind: "Eviction", schema: "Eviction" },
  });
});
