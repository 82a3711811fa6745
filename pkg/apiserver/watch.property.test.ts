import { expect, test } from "@jest/globals";
import fc from "fast-check";
import type { ApiObject, ObjectList } from "../api/object.ts";
import { isReason } from "../api/status.ts";
import { MemoryStore } from "../store/memory.ts";
import { seededRandom } from "../util/clock.ts";
import { FakeClock, settle } from "../util/fake-clock.ts";
import { silent } from "../util/log.ts";
import { ApiServer } from "./server.ts";

const configMaps = { group: "", version: "v1", resource: "configmaps", namespace: "default" };

/** `lag`: so many steps lie between the list and the watch that continues it. */
type Step = { op: "put" | "delete" | "watch" | "settle"; name: string; app: string; lag: number };

const step: fc.Arbitrary<Step> = fc.record({
  op: fc.constantFrom("put", "put", "put", "delete", "watch", "settle"),
  name: fc.constantFrom("a", "b", "c", "d"),
  app: fc.constantFrom("x", "y"),
  lag: fc.nat(6),
});

async function write(server: ApiServer, { op, name, app }: Step): Promise<void> {
  const api = server.transport();
  const body = { apiVersion: "v1", kind: "ConfigMap", metadata: { name, labels: { app } } };
  const optional = async (call: Promise<unknown>) => {
    await call.catch((error: unknown) => {
      if (!isReason(error, "NotFound", "AlreadyExists")) throw error;
    });
  };
  if (op === "delete") return optional(api.call({ verb: "delete", ...configMaps, name }));
  await optional(api.call({ verb: "create", ...configMaps, body }));
  return optional(api.call({ verb: "update", ...configMaps, name, body }));
}

/** name → resourceVersion, as a client knows it that listed once and then only watched. */
class Replica {
  readonly known = new Map<string, string>();
  readonly #abort = new AbortController();
  #done: Promise<void> = Promise.resolve();

  readonly params: Record<string, string>;
  #revision = "";

  constructor(params: Record<string, string>) {
    this.params = params;
  }

  async list(server: ApiServer): Promise<void> {
    const list = await listOf(server, this.params);
    for (const o of list.items) this.known.set(o.metadata.name ?? "", o.metadata.resourceVersion ?? "");
    this.#revision = list.metadata.resourceVersion ?? "";
  }

  watch(server: ApiServer): void {
    this.#done = this.#follow(server, { ...this.params, resourceVersion: this.#revision });
  }

  async #follow(server: ApiServer, params: Record<string, string>): Promise<void> {
    const watch = server.transport().watch({ verb: "watch", ...configMaps, params }, this.#abort.signal);
    for await (const { type, object } of watch) {
      const { name = "", resourceVersion = "" } = object.metadata;
      const isKnown = this.known.has(name);
      if (type === "ADDED" ? isKnown : !isKnown) throw new Error(`${type} of ${name}, known: ${isKnown}`);
      if (type === "DELETED") this.known.delete(name);
      else this.known.set(name, resourceVersion);
    }
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#done;
  }
}

const listOf = (server: ApiServer, params: Record<string, string>) =>
  server.transport().call({ verb: "list", ...configMaps, params }) as Promise<ObjectList<ApiObject>>;

test("list + watch, started anywhere, with or without selector, ends where a fresh list does (C2, R3)", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const store = new MemoryStore();
      const server = await ApiServer.open({ store, clock: new FakeClock(), random: seededRandom(1), log: silent });
      const replicas: { replica: Replica; watchAt: number }[] = [];
      for (const [i, s] of steps.entries()) {
        for (const { replica } of replicas.filter((r) => r.watchAt === i)) replica.watch(server);
        if (s.op === "settle") await settle(2);
        else if (s.op !== "watch") await write(server, s);
        else {
          for (const params of [{}, { labelSelector: `app=${s.app}` }, { fieldSelector: `metadata.name=${s.name}` }]) {
            const replica = new Replica(params);
            await replica.list(server);
            replicas.push({ replica, watchAt: i + 1 + s.lag });
          }
        }
      }
      for (const { replica } of replicas.filter((r) => r.watchAt >= steps.length)) replica.watch(server);
      await settle();
      for (const { replica } of replicas) {
        const { items } = await listOf(server, replica.params);
        const fresh = items.map((o) => [o.metadata.name, o.metadata.resourceVersion]);
        expect([...replica.known].sort(([a], [b]) => (a < b ? -1 : 1))).toEqual(fresh);
        await replica.stop();
      }
      await server.close();
      await store.close();
    }),
    { numRuns: 60 },
  );
});
