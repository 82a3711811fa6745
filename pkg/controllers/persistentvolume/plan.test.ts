import { describe, expect, it, test } from "@jest/globals";
import fc from "fast-check";
import type {
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  PersistentVolumeClaimSpec,
  PersistentVolumeSpec,
  StorageClass,
} from "../../api/generated/types.ts";
import { makeKey, nameOf } from "../../api/object.ts";
import { planClaim, planVolume } from "./plan.ts";
import type { Plan, World } from "./steps.ts";

const GIB = 2 ** 30;

function claim(name: string, spec: Partial<PersistentVolumeClaimSpec> = {}, more: object = {}): PersistentVolumeClaim {
  return {
    metadata: { name, namespace: "default", uid: `uid-${name}`, resourceVersion: "1", ...more },
    spec: {
      accessModes: ["ReadWriteOnce"],
      resources: { requests: { storage: "1Gi" } },
      storageClassName: "",
      ...spec,
    },
    status: { phase: "Pending" },
  };
}

function volume(name: string, spec: Partial<PersistentVolumeSpec> = {}, phase = "Available"): PersistentVolume {
  return {
    metadata: { name, uid: `uid-${name}`, resourceVersion: "1" },
    spec: {
      accessModes: ["ReadWriteOnce"],
      capacity: { storage: "1Gi" },
      hostPath: { path: `/data/${name}` },
      persistentVolumeReclaimPolicy: "Retain",
      ...spec,
    },
    status: { phase },
  };
}

const refTo = (c: PersistentVolumeClaim, uid = c.metadata.uid) => ({
  namespace: "default",
  name: nameOf(c),
  ...(uid && { uid }),
});
const waiting: StorageClass = {
  metadata: { name: "standard" },
  provisioner: "mini-kube.io/hostpath",
  volumeBindingMode: "WaitForFirstConsumer",
};
const external: StorageClass = { metadata: { name: "cloud" }, provisioner: "acme.com/disk" };
const node: Node = {
  metadata: {
    name: "n1",
    labels: { "kubernetes.io/hostname": "n1" },
    annotations: { "mini-kube.io/volumes-directory": "/v" },
  },
};

class Fake implements World {
  readonly pvs = new Map<string, PersistentVolume>();
  readonly pvcs = new Map<string, PersistentVolumeClaim>();
  readonly all: readonly StorageClass[];
  machines: readonly Node[] = [node];

  constructor(o: { volumes?: PersistentVolume[]; claims?: PersistentVolumeClaim[]; classes?: StorageClass[] }) {
    for (const v of o.volumes ?? []) this.pvs.set(nameOf(v), v);
    for (const c of o.claims ?? []) this.pvcs.set(makeKey("default", nameOf(c)), c);
    this.all = o.classes ?? [waiting, external];
  }
  volume = (name: string) => this.pvs.get(name);
  volumes = () => [...this.pvs.values()];
  claim = (namespace: string, name: string) => this.pvcs.get(makeKey(namespace, name));
  class = (name: string) => this.all.find((c) => nameOf(c) === name);
  classes = () => this.all;
  node = (name: string) => this.machines.find((n) => nameOf(n) === name);
  nodes = () => this.machines;
  now = () => Date.UTC(2026, 0, 1);

  /** Does what a plan says; whether there was anything to do. */
  apply({ write }: Plan): boolean {
    if (!write) return false;
    if ("claim" in write) this.pvcs.set(makeKey("default", nameOf(write.claim)), write.claim as PersistentVolumeClaim);
    else if (write.type === "deleteVolume") this.pvs.delete(nameOf(write.volume));
    else this.pvs.set(nameOf(write.volume), write.volume as PersistentVolume);
    return true;
  }

  /** Until nobody has anything to do. */
  settle(order: (keys: string[]) => string[] = (keys) => keys): void {
    for (let round = 0; round < 100; round++) {
      let busy = false;
      for (const key of order([...this.pvcs.keys(), ...this.pvs.keys()])) {
        const [pvc, pv] = [this.pvcs.get(key), this.pvs.get(key)];
        if (pvc) busy = this.apply(planClaim(pvc, this)) || busy;
        if (pv) busy = this.apply(planVolume(pv, this)) || busy;
      }
      if (!busy) return;
    }
    throw new Error("it never ends");
  }
}

describe("which volume a claim gets", () => {
  const asked = claim("c");
  const selector = { matchLabels: { tier: "fast" } };
  test.each<[what: string, c: PersistentVolumeClaim, volumes: PersistentVolume[], gets: string | undefined]>([
    [
      "the smallest that is big enough",
      asked,
      [volume("a", { capacity: { storage: "9Gi" } }), volume("b"), volume("z")],
      "b",
    ],
    ["none that is too small", asked, [volume("a", { capacity: { storage: "1023Mi" } })], undefined],
    ["none without its access mode", asked, [volume("a", { accessModes: ["ReadOnlyMany"] })], undefined],
    ["one that can do more", asked, [volume("a", { accessModes: ["ReadWriteMany", "ReadWriteOnce"] })], "a"],
    ["none of another class", asked, [volume("a", { storageClassName: "x" })], undefined],
    ["none of another mode", asked, [volume("a", { volumeMode: "Block" })], undefined],
    ["none that its selector does not mean", claim("c", { selector }), [volume("a")], undefined],
    [
      "none that has failed",
      asked,
      [volume("a", { claimRef: { namespace: "x", name: "y", uid: "z" } }, "Failed")],
      undefined,
    ],
    ["none that is another's", asked, [volume("a", { claimRef: { namespace: "default", name: "d" } })], undefined],
    [
      "its own before a better one",
      asked,
      [volume("a", { claimRef: refTo(asked, ""), capacity: { storage: "9Gi" } }), volume("b")],
      "a",
    ],
    [
      "not what an earlier claim of its name had",
      asked,
      [volume("a", { claimRef: refTo(asked, "old") }, "Released")],
      undefined,
    ],
    [
      "the one it names",
      claim("c", { volumeName: "b" }),
      [volume("a"), volume("b", { capacity: { storage: "9Gi" } })],
      "b",
    ],
  ])("%s", (_, c, volumes, gets) => {
    const w = new Fake({ claims: [c], volumes });
    w.settle();
    const after = w.claim("default", "c");
    expect([after?.spec?.volumeName, after?.status?.phase]).toEqual(
      gets ? [gets, "Bound"] : [c.spec?.volumeName, "Pending"],
    );
    expect(gets && w.volume(gets)?.status?.phase).toBe(gets && "Bound");
  });
});

describe("what a claim is told", () => {
  const byHand = (spec: Partial<PersistentVolumeClaimSpec>) => claim("c", spec);
  const other = volume("v", { claimRef: { namespace: "default", name: "x", uid: "y" } }, "Bound");
  test.each<[PersistentVolumeClaim, PersistentVolume[], string]>([
    [byHand({}), [], "FailedBinding: no persistent volumes available for this claim and no storage class is set"],
    [
      byHand({ storageClassName: "standard" }),
      [],
      "WaitForFirstConsumer: waiting for first consumer to be created before binding",
    ],
    [byHand({ storageClassName: "nope" }), [], 'ProvisioningFailed: storageclass.storage.k8s.io "nope" not found'],
    [byHand({ volumeName: "v" }), [other], 'FailedBinding: volume "v" already bound to a different claim.'],
    [
      byHand({ volumeName: "v" }),
      [volume("v", { capacity: { storage: "1Mi" } })],
      'VolumeMismatch: Cannot bind to requested volume "v": requested PV is too small',
    ],
  ])("%#", (c, volumes, text) => {
    const { event, write } = planClaim(c, new Fake({ claims: [c], volumes }));
    expect(`${event?.reason}: ${event?.message}`).toBe(text);
    expect(write).toBeUndefined();
  });

  it("asks an external provisioner, by the annotations it looks for", () => {
    const w = new Fake({ claims: [byHand({ storageClassName: "cloud" })] });
    w.settle();
    const [now] = [...w.pvcs.values()];
    expect(now?.metadata.annotations).toMatchObject({ "volume.kubernetes.io/storage-provisioner": "acme.com/disk" });
    expect(now && planClaim(now, w).event?.reason).toBe("ExternalProvisioning");
  });
});

describe("a volume made on a node", () => {
  const selected = { annotations: { "volume.kubernetes.io/selected-node": "n1" } };

  it("is there, where the scheduler wants it, and bound", () => {
    const w = new Fake({ claims: [claim("c", { storageClassName: "standard" }, selected)] });
    w.settle();
    expect(w.volumes()).toMatchObject([
      {
        metadata: { name: "pvc-uid-c", labels: { "mini-kube.io/node": "n1" } },
        spec: {
          hostPath: { path: "/v/pvc-uid-c", type: "DirectoryOrCreate" },
          capacity: { storage: "1Gi" },
          persistentVolumeReclaimPolicy: "Delete",
          claimRef: { name: "c", uid: "uid-c" },
        },
        status: { phase: "Bound" },
      },
    ]);
    expect(w.claim("default", "c")?.status).toEqual({
      phase: "Bound",
      accessModes: ["ReadWriteOnce"],
      capacity: { storage: "1Gi" },
    });
  });

  it("gives the node back where none can be made", () => {
    const w = new Fake({ claims: [claim("c", { storageClassName: "standard" }, selected)] });
    w.machines = [];
    w.settle();
    expect(w.claim("default", "c")?.metadata.annotations).not.toHaveProperty(["volume.kubernetes.io/selected-node"]);
    expect(w.volumes()).toEqual([]);
  });

  test.each<[string, Partial<PersistentVolumeClaimSpec>]>([
    ["block volumes", { volumeMode: "Block" }],
    ["Selector", { selector: { matchLabels: { a: "b" } } }],
    ["data sources", { dataSource: { kind: "PersistentVolumeClaim", name: "other" } }],
  ])("is refused with %s", (what, spec) => {
    const c = claim("c", { storageClassName: "standard", ...spec }, selected);
    const w = new Fake({ claims: [c] });
    w.settle();
    const now = w.claim("default", "c") ?? c;
    expect(planClaim(now, w).event?.message).toContain(what);
    expect(w.volumes()).toEqual([]);
  });
});

test("P1–P3, whoever is asked first, whatever comes and goes: one claim a volume, and what was let go stays so", () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 5 });
  fc.assert(
    fc.property(
      sizes,
      sizes,
      fc.array(fc.nat(4), { maxLength: 3 }),
      fc.infiniteStream(fc.nat()),
      (want, have, gone, die) => {
        const storage = (n: number) => String(n * GIB);
        const w = new Fake({
          claims: want.map((n, i) => claim(`c${i}`, { resources: { requests: { storage: storage(n) } } })),
          volumes: have.map((n, i) => volume(`v${i}`, { capacity: { storage: storage(n) } })),
        });
        const shuffle = (keys: string[]) =>
          keys
            .map((key) => [die.next().value ?? 0, key] as const)
            .toSorted(([a], [b]) => a - b)
            .map(([, key]) => key);
        w.settle(shuffle);
        const had = new Map([...w.pvs].map(([name, v]) => [name, v.spec?.claimRef?.uid]));
        for (const i of gone) w.pvcs.delete(`default/c${i}`);
        w.settle(shuffle);
        const owners = w.volumes().flatMap((v) => v.spec?.claimRef?.uid ?? []);
        expect(new Set(owners).size).toBe(owners.length);
        for (const c of w.pvcs.values()) {
          if (c.status?.phase !== "Bound") continue;
          const v = w.volume(c.spec?.volumeName ?? "");
          expect([v?.spec?.claimRef?.uid, v?.status?.phase]).toEqual([c.metadata.uid, "Bound"]);
        }
        const released = [...w.pvs.values()].filter((v) => v.status?.phase === "Released");
        for (const v of released) expect(v.spec?.claimRef?.uid).toBe(had.get(nameOf(v)));
        const free = w.volumes().filter((v) => v.status?.phase === "Available");
        const open = [...w.pvcs.values()].filter((c) => c.status?.phase !== "Bound");
        const size = (x: string | undefined) => Number(x ?? 0);
        for (const c of open) {
          for (const v of free) {
            expect(size(v.spec?.capacity?.["storage"])).toBeLessThan(size(c.spec?.resources?.requests?.["storage"]));
          }
        }
      },
    ),
  );
});
