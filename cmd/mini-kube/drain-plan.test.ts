import { expect, test } from "@jest/globals";
import type { Pod, PodSpec } from "../../pkg/api/generated/types.ts";
import { nameOf } from "../../pkg/api/object.ts";
import { planDrain } from "./drain-plan.ts";

function pod(
  name: string,
  owner: string | undefined,
  more: Pick<Pod, "status"> & { volumes?: PodSpec["volumes"] } = {},
): Pod {
  const ownerReferences =
    owner === undefined ? [] : [{ apiVersion: "apps/v1", kind: owner, name: "o", uid: "u", controller: true }];
  const { volumes, ...rest } = more;
  return {
    metadata: { name, namespace: "default", ownerReferences },
    spec: { containers: [], ...(volumes && { volumes }) },
    ...rest,
  };
}

const mirror: Pod = {
  metadata: { name: "m", namespace: "kube-system", annotations: { "kubernetes.io/config.mirror": "x" } },
};
const data = { volumes: [{ name: "d", emptyDir: {} }] };
const done = { status: { phase: "Succeeded" } };

test("what others replace is moved; what belongs to the node stays", () => {
  const pods = [pod("a", "ReplicaSet"), pod("d", "DaemonSet"), mirror, pod("old", undefined, done)];
  const { evict, stay, refused } = planDrain(pods, { force: false, deleteEmptydirData: false });
  expect([evict.map(nameOf), stay.map(nameOf), refused]).toEqual([["a", "old"], ["d", "m"], undefined]);
});

test.each<[string, Pod[], object, string | undefined]>([
  [
    "nobody makes it again",
    [pod("a", undefined), pod("b", undefined)],
    {},
    "cannot delete Pods that declare no controller (use --force to override): default/a, default/b",
  ],
  ["nobody makes it again, and that is accepted", [pod("a", undefined)], { force: true }, undefined],
  [
    "its files would be lost",
    [pod("a", "ReplicaSet", data)],
    { force: true },
    "cannot delete Pods with local storage (use --delete-emptydir-data to override): default/a",
  ],
  ["its files may be lost", [pod("a", "ReplicaSet", data)], { deleteEmptydirData: true }, undefined],
  ["it has ended, with its files", [pod("a", undefined, { ...done, ...data })], {}, undefined],
])("%s", (_, pods, flags, refused) => {
  expect(planDrain(pods, { force: false, deleteEmptydirData: false, ...flags }).refused).toBe(refused);
});
