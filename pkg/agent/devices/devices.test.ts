import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { Container } from "../../api/generated/types.ts";
import type { DeviceIds } from "../../runtime/resources.ts";
import { podOf } from "../testing/harness.ts";
import { allocateDevices, NoDevice, type PodDevices } from "./allocate.ts";
import { capacityOf, DeviceListError, handOver, parseDeviceList } from "./devices.ts";
import { NVIDIA_GPU, nvidiaDevices } from "./discover.ts";

const GPU = "nvidia.com/gpu";
const list = (...ids: string[]) =>
  parseDeviceList(
    JSON.stringify({ [GPU]: ids.map((id) => ({ id, devices: [`/dev/null:/dev/${id}`], env: { IDS: id } })) }),
  );
const wants = (n: number): Partial<Container> => ({ resources: { limits: { [GPU]: String(n) } } });

test.each([
  ["no JSON", "{", "not JSON"],
  ["a list", "[]", "a device list is an object"],
  ["a name without a domain", '{"gpu":[]}', "gpu: not a name like"],
  ["no id", `{"${GPU}":[{}]}`, `${GPU}[0].id: a text is needed`],
  ["the same id twice", `{"${GPU}":[{"id":"a"},{"id":"a"}]}`, 'the id "a" is there twice'],
  ["a relative path", `{"${GPU}":[{"id":"a","devices":["null"]}]}`, `${GPU}[0].devices[0]: not HOST_PATH`],
  ["a number in env", `{"${GPU}":[{"id":"a","env":{"N":1}}]}`, `${GPU}[0].env: not an object of texts`],
])("a device list with %s is refused", (_, text, message) => {
  expect(() => parseDeviceList(text)).toThrow(DeviceListError);
  expect(() => parseDeviceList(text)).toThrow(message);
});

test("what a container is given of several devices", () => {
  const inventory = list("a", "b", "c");
  expect(capacityOf(inventory)).toEqual({ [GPU]: "3" });
  expect(handOver(inventory, { [GPU]: ["a", "c"] })).toEqual({
    allocated: { [GPU]: ["a", "c"] },
    mappings: ["a", "c"].map((id) => ({ hostPath: "/dev/null", containerPath: `/dev/${id}`, permissions: "rwm" })),
    env: [{ name: "IDS", value: "a,c" }],
  });
  expect(handOver(inventory, {})).toBeUndefined();
});

describe("GPUs of NVIDIA", () => {
  const dev = ["null", "nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm"];
  const smi = "GPU 0: NVIDIA A100 (UUID: GPU-11)\nGPU 1: NVIDIA A100 (UUID: GPU-22)\n";

  test("are asked of Docker by their ids where it has the driver for it", () => {
    const inventory = nvidiaDevices({ nvidiaSmi: smi, dev, hasHook: true });
    expect(handOver(inventory, { [NVIDIA_GPU]: ["GPU-11", "GPU-22"] })).toMatchObject({
      nvidia: ["GPU-11", "GPU-22"],
      mappings: [],
      env: [{ name: "NVIDIA_VISIBLE_DEVICES", value: "GPU-11,GPU-22" }],
    });
  });

  test("are device nodes where it has not", () => {
    const inventory = nvidiaDevices({ nvidiaSmi: undefined, dev, hasHook: false });
    const given = handOver(inventory, { [NVIDIA_GPU]: ["nvidia1"] });
    expect(given?.mappings.map((m) => m.hostPath)).toEqual(["/dev/nvidia1", "/dev/nvidiactl", "/dev/nvidia-uvm"]);
    expect(given?.env).toEqual([{ name: "NVIDIA_VISIBLE_DEVICES", value: "1" }]);
  });

  test("none", () => expect(nvidiaDevices({ nvidiaSmi: undefined, dev: ["null"], hasHook: true })).toEqual({}));
});

function fails(allocate: () => unknown): boolean {
  try {
    allocate();
    return false;
  } catch (error) {
    return error instanceof NoDevice;
  }
}

describe("allocation", () => {
  const ids = (d: PodDevices) => Object.fromEntries([...d].map(([name, x]) => [name, x[GPU]]));

  test("too few, in the kubelet's words", () => {
    const taken: DeviceIds[] = [{ [GPU]: ["a"] }];
    expect(() => allocateDevices(podOf("p", [wants(2)]), list("a", "b"), { taken })).toThrow(
      new NoDevice("requested number of devices unavailable for nvidia.com/gpu. Requested: 2, Available: 1"),
    );
  });

  test("what an init container had, the next ones use again; a sidecar keeps its own", () => {
    const container = (name: string, n: number, more: Partial<Container> = {}) => ({
      name,
      image: "app",
      ...wants(n),
      ...more,
    });
    const initContainers = [container("init", 2), container("side", 1, { restartPolicy: "Always" })];
    const given = allocateDevices(podOf("p", [wants(1)], { initContainers }), list("a", "b"), { taken: [] });
    expect(ids(given)).toEqual({ init: ["a", "b"], side: ["a"], c0: ["b"] });
  });

  test("what a container holds it keeps (V2)", () => {
    const held: PodDevices = new Map([["c0", { [GPU]: ["b"] }]]);
    expect(ids(allocateDevices(podOf("p", [wants(1), wants(1)]), list("a", "b"), { taken: [], held }))).toEqual({
      c0: ["b"],
      c1: ["a"],
    });
  });

  test("no two Pods, and no two main containers, ever hold one device (V1)", () => {
    const inventory = list("a", "b", "c", "d", "e");
    const pods = fc.array(fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 3 }), { maxLength: 6 });
    fc.assert(
      fc.property(pods, (wanted) => {
        const taken: DeviceIds[] = [];
        wanted.forEach((counts, n) => {
          const free = 5 - taken.flatMap((t) => t[GPU] ?? []).length;
          const sum = counts.reduce((a, b) => a + b, 0);
          const allocate = () => allocateDevices(podOf(`p${n}`, counts.map(wants)), inventory, { taken });
          const given = sum > free ? [] : [...allocate().values()];
          expect(sum > free && fails(allocate)).toBe(sum > free);
          taken.push(...given);
        });
        const all = taken.flatMap((t) => t[GPU] ?? []);
        expect(new Set(all).size).toBe(all.length);
      }),
    );
  });
});
