import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { apiVersionOf } from "../../pkg/api/object.ts";
import type { ResourceDef } from "../../pkg/api/resource.ts";
import { ApiError } from "../../pkg/api/status.ts";
import { resources } from "../../pkg/api/table.ts";
import { bodyOf } from "../../pkg/apiserver/answers.ts";
import type { Call } from "../../pkg/client/transport.ts";
import { TestApi } from "../harness/https.ts";
import { objectsOf, positions, wrap, wrongFor } from "./objects.ts";
import { runs } from "./runs.ts";

/**
 * What a client may send to every kind, made from the schema: whatever it is, the answer is a success or a refusal that
 * is the client's fault. A 500 is a bug of ours.
 */
let api: TestApi;
beforeAll(async () => void (api = await TestApi.start()));
afterAll(() => api.close());

const caller = { user: { name: "fuzz", groups: ["system:masters"] }, warn: () => {} };
const creatable = resources.filter((d) => d.verbs?.includes("create") ?? true);
const named = creatable.map((d) => [`${d.plural}.${apiVersionOf(d)}`, d] as const);

const addressOf = (def: ResourceDef) => ({
  group: def.group,
  version: def.version,
  resource: def.plural,
  ...(def.namespaced && { namespace: "default" }),
});

/** The refusal, or undefined for a success that can be shown in every form. */
async function refusal(call: Call): Promise<ApiError | undefined> {
  try {
    const answer = await api.server.handle(call, caller);
    for (const as of ["Object", "Table", "PartialObjectMetadata"] as const) {
      const form = { encoding: "json", as, version: "v1" } as const;
      JSON.stringify(bodyOf(answer, { form, include: "Metadata", now: api.server.clock.now() }));
    }
    return undefined;
  } catch (error) {
    if (error instanceof ApiError && error.code < 500) return error;
    if (error instanceof ApiError && likeKubernetes(error)) return undefined;
    // The stack of what was thrown tells where; the ApiError's only that it came here.
    throw error instanceof ApiError && error.cause instanceof Error ? error.cause : error;
  }
}

/** Kubernetes blames itself for an apply whose list items lack their keys, and clients know the text. */
const likeKubernetes = (e: ApiError) => /^failed to create (manager for|typed patch object)/.test(e.message);

function create(def: ResourceDef, body: unknown, dryRun = true): Promise<ApiError | undefined> {
  return refusal({ verb: "create", ...addressOf(def), body, params: dryRun ? { dryRun: "All" } : {} });
}

describe("a value of the wrong type is refused, wherever it is", () => {
  test("there is something to walk", () => {
    const total = creatable.reduce((n, d) => n + positions(d.schema).length, 0);
    expect(creatable.length).toBeGreaterThanOrEqual(8);
    expect(total).toBeGreaterThan(1_500);
  });

  test.each(named)("%s", async (_, def) => {
    const accepted: string[] = [];
    for (const { path, type } of positions(def.schema)) {
      for (const wrong of wrongFor(type)) {
        const body = { apiVersion: apiVersionOf(def), kind: def.kind, ...(wrap(path, wrong) as object) };
        const error = await create(def, body);
        if (error?.code !== 400)
          accepted.push(`${path.join(".")} = ${JSON.stringify(wrong)}: ${error?.code} ${error?.message}`);
      }
    }
    expect(accepted).toEqual([]);
  });
});

describe("objects that fit the schema and nothing else", () => {
  test.each(named)("%s: created, shown, updated, patched, never a 500", async (_, def) => {
    const at = addressOf(def);
    await fc.assert(
      fc.asyncProperty(objectsOf(def), objectsOf(def), async (first, second) => {
        const answers = [await create(def, first, false)];
        const patch = JSON.parse(JSON.stringify({ ...second, apiVersion: undefined, kind: undefined })) as unknown;
        if (def.virtual === undefined) {
          answers.push(await refusal({ verb: "update", ...at, name: "fuzz", body: structuredClone(second) }));
          for (const type of ["merge", "strategic-merge"] as const) {
            const patchType = `application/${type}-patch+json` as const;
            answers.push(await refusal({ verb: "patch", ...at, name: "fuzz", patchType, body: patch }));
          }
          const params = { fieldManager: "fuzz", force: "true" };
          const patchType = "application/apply-patch+yaml" as const;
          answers.push(await refusal({ verb: "patch", ...at, name: "fuzz", patchType, body: second, params }));
          answers.push(await refusal({ verb: "list", ...at }));
          const gone = { propagationPolicy: "Background", gracePeriodSeconds: 0 };
          answers.push(await refusal({ verb: "delete", ...at, name: "fuzz", body: gone }));
        }
        expect(answers.every((e) => e === undefined || e.code < 500)).toBe(true);
      }),
      runs(150),
    );
  });
});
