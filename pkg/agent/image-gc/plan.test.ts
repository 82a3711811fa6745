import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { ImageInfo } from "../../runtime/images.ts";
import type { Pulled } from "./ledger.ts";
import { type Disk, IMAGE_GC_DEFAULTS, type ImageGcSettings, planImageGc } from "./plan.ts";

const NOW = 1_000_000_000;
const MINUTE = 60_000;
const full: Disk = { total: 1000, available: 100 };
const roomy: Disk = { total: 1000, available: 500 };

const image = (name: string, sizeBytes = 100): ImageInfo => ({
  id: `id-${name}`,
  names: [`${name}:latest`],
  sizeBytes,
});
const old: Pulled = { names: [], pulledAt: NOW - 60 * MINUTE };

function plan(
  images: readonly ImageInfo[],
  pulled: Readonly<Record<string, Partial<Pulled>>>,
  o: { inUse?: string[]; disk?: Disk; settings?: Partial<ImageGcSettings> } = {},
) {
  const ledger = Object.entries(pulled).map(([n, p]): [string, Pulled] => [`id-${n}`, { ...old, names: [n], ...p }]);
  const input = { images, pulled: new Map(ledger), inUse: o.inUse ?? [], disk: o.disk ?? full, now: NOW };
  return planImageGc(input, { ...IMAGE_GC_DEFAULTS, ...o.settings });
}
const ids = (p: ReturnType<typeof plan>) => p.removals.map((r) => r.id.replace("id-", ""));

describe("what goes", () => {
  test("nothing while there is room", () => {
    expect(plan([image("a")], { a: {} }, { disk: roomy })).toEqual({ removals: [], bytesToFree: 0, usedPercent: 50 });
  });

  test("down to the low mark; never used ones first, then those not used for longest", () => {
    const pulled = { a: { usedAt: NOW - 10 }, b: { usedAt: NOW - 99 }, c: {}, d: { pulledAt: NOW - 99 * MINUTE } };
    const p = plan(
      ["a", "b", "c", "d"].map((n) => image(n)),
      pulled,
    );
    expect(ids(p)).toEqual(["d", "c", "b", "a"]);
    expect(p).toMatchObject({ bytesToFree: 100, usedPercent: 90 });
  });

  test.each<[string, ImageInfo, Partial<Pulled>, string[]]>([
    ["one in use, by whatever name", { ...image("app"), names: ["app:latest"] }, {}, ["docker.io/library/app"]],
    ["one in use, by its id", image("app"), {}, ["id-app"]],
    ["one that is young", image("app"), { pulledAt: NOW - MINUTE }, []],
    ["one that got a name from somebody else", { ...image("app"), names: ["app:latest", "mine:1"] }, {}, []],
  ])("not %s", (_, i, pulled, inUse) => {
    expect(ids(plan([i], { app: pulled }, { inUse }))).toEqual([]);
  });

  test("not what the agent has not pulled, however full the disk", () => {
    expect(ids(plan([image("mine")], {}, { disk: { total: 1000, available: 0 } }))).toEqual([]);
  });

  test("what was not used for too long, though there is room", () => {
    const pulled = { a: { usedAt: NOW - 50 * MINUTE }, b: { usedAt: NOW - MINUTE } };
    const p = plan([image("a"), image("b")], pulled, { disk: roomy, settings: { maximumAgeMs: 10 * MINUTE } });
    expect(p.removals).toEqual([{ id: "id-a", tags: ["a:latest"], sizeBytes: 100, reason: "Unused" }]);
  });

  test("an image that lost its tags to a newer one", () => {
    expect(ids(plan([{ ...image("app"), names: ["app@sha256:0"] }], { app: {} }))).toEqual(["app"]);
  });
});

test("whatever the disk and the images: only pulled ones, none in use, no more wanted than the low mark asks", () => {
  const names = fc.uniqueArray(fc.constantFrom<string>("a", "b", "c", "d", "e", "f"), { maxLength: 8 });
  const percent = fc.integer({ min: 0, max: 100 });
  fc.assert(
    fc.property(names, names, names, percent, percent, percent, (here, pulled, inUse, available, high, low) => {
      const disk = { total: 1000, available: available * 10 };
      const settings = { highPercent: high, lowPercent: low };
      const ours = Object.fromEntries(pulled.map((n) => [n, {}]));
      const p = plan(
        here.map((n) => image(n)),
        ours,
        { inUse, disk, settings },
      );
      for (const id of ids(p)) {
        expect(here.includes(id) && pulled.includes(id) && !inUse.includes(id)).toBe(true);
      }
      expect(disk.available + p.bytesToFree).toBeLessThanOrEqual(Math.max(disk.available, 10 * (100 - low)));
    }),
  );
});
