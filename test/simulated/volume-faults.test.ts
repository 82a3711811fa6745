/**
 * Claims, Pods and Services come and go while the API fails at random; then all heals. Whatever happened: no volume has
 * two claims, no Pod runs on another's data, nothing is left over, and every endpoint is where its Pod is.
 */
import { afterAll, beforeAll, expect } from "@jest/globals";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { EndpointSlice, PersistentVolume, PersistentVolumeClaim, Service } from "../../pkg/api/generated/types.ts";
import { persistentVolumes } from "../../pkg/api/kinds/core/persistentvolume.ts";
import { persistentVolumeClaims } from "../../pkg/api/kinds/core/persistentvolumeclaim.ts";
import { services } from "../../pkg/api/kinds/core/service.ts";
import { endpointSlices } from "../../pkg/api/kinds/discovery/endpointslice.ts";
import { ApiError, conflict } from "../../pkg/api/status.ts";
import type { Call } from "../../pkg/client/transport.ts";
import { type Random, seededRandom } from "../../pkg/util/clock.ts";
import { isReady, SimulatedCluster } from "../harness/simulated.ts";
import { Dice } from "../harness/dice.ts";
import { testSeeds } from "../harness/seeds.ts";

const ROUNDS = 40;
const HEALING_MS = 1_800_000;
const labels = { app: "db" };
/** Nobody would make the Pods anew that are taken from a node which was not heard for a while. */
const tolerations = ["not-ready", "unreachable"].map((what) => ({
  key: `node.kubernetes.io/${what}`,
  operator: "Exists",
  effect: "NoExecute",
}));

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "mk-faults-"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

class Chaos {
  readonly #c: SimulatedCluster;
  readonly #dice: Dice;
  /** Names of claims, each with a Pod of its own. */
  readonly wanted = new Set<string>();
  #made = 0;

  constructor(c: SimulatedCluster, random: Random) {
    this.#c = c;
    this.#dice = new Dice(random);
  }

  async run(): Promise<void> {
    const moves: (() => Promise<void> | void)[] = [
      () => this.#create(),
      () => this.#create(),
      () => this.#remove(),
      () => this.#wire(),
      () => this.#restart(),
    ];
    for (let n = 0; n < ROUNDS; n++) {
      const move = moves[this.#dice.upTo(moves.length)];
      if (move) await move();
      await this.#c.clock.advance(this.#dice.upTo(2_000));
    }
    this.#c.wire.fault = () => {};
  }

  async #create(): Promise<void> {
    const name = `d${this.#made++}`;
    this.wanted.add(name);
    const resources = { requests: { storage: "1Gi" } };
    const claim = { metadata: { name }, spec: { accessModes: ["ReadWriteOnce"], resources } };
    await this.#c.client.resource<PersistentVolumeClaim>(persistentVolumeClaims, "default").create(claim);
    const volumes = [{ name: "v", persistentVolumeClaim: { claimName: name } }];
    await this.#c.create(name, [{ volumeMounts: [{ name: "v", mountPath: "/v" }] }], { labels, volumes, tolerations });
  }

  /** Claim and Pod in any order: the finalizer keeps what is in use. */
  async #remove(): Promise<void> {
    const [name] = [...this.wanted].slice(this.#dice.upTo(this.wanted.size || 1));
    if (name === undefined) return;
    this.wanted.delete(name);
    const both = [
      () => this.#c.delete(name, this.#dice.upTo(2) * 5),
      () => this.#c.client.resource(persistentVolumeClaims, "default").delete(name),
    ];
    if (this.#dice.random() < 0.5) both.reverse();
    for (const remove of both) await remove();
  }

  /** Refused, lost after it was done, or too late. */
  #wire(): void {
    const share = [0, 0.05, 0.2][this.#dice.upTo(3)] ?? 0;
    this.#c.wire.fault = (call: Call) => {
      if (this.#dice.random() >= (call.verb === "watch" ? share / 5 : share)) return;
      if (this.#dice.random() < 0.3) {
        return () => {
          throw new ApiError("ServiceUnavailable", "the answer is lost");
        };
      }
      if (call.verb === "update") throw conflict({ group: call.group, resource: call.resource }, call.name ?? "");
      throw new ApiError("ServiceUnavailable", "away");
    };
  }

  async #restart(): Promise<void> {
    await this.#c.stopApiServer();
    await this.#c.clock.advance(this.#dice.upTo(3_000));
    await this.#c.startApiServer();
  }
}

testSeeds("once faults stop, all is as it was asked to be", 6, async (seed) => {
  await using c = await SimulatedCluster.start({ nodes: 0, seed });
  const dirs = [1, 2, 3].map((n) => join(root, `${seed}`, `node-${n}`));
  for (const [n, dataDir] of dirs.entries()) c.addNode(`node-${n + 1}`, { dataDir });
  await c.untilNodesReady();
  await c.client
    .resource<Service>(services, "default")
    .create({ metadata: { name: "db" }, spec: { selector: labels, ports: [{ port: 80 }] } });
  const chaos = new Chaos(c, seededRandom(seed));
  await chaos.run();

  const state = async () => {
    const pvs = (await c.client.resource<PersistentVolume>(persistentVolumes).list()).items;
    const pvcs = (await c.client.resource<PersistentVolumeClaim>(persistentVolumeClaims, "default").list()).items;
    const slices = (
      await c.client.resource<EndpointSlice>(endpointSlices, "default").list({
        labelSelector: "kubernetes.io/service-name=db",
      })
    ).items;
    const pods = await c.pods();
    return {
      pods: pods.map((p) => `${p.metadata.name} ${isReady(p)}`),
      claims: pvcs.map((x) => `${x.metadata.name} ${x.status?.phase} ${x.spec?.volumeName}`),
      volumes: pvs.map((v) => `${v.spec?.claimRef?.name} ${v.status?.phase} ${v.metadata.name}`),
      directories: dirs.flatMap((d) =>
        existsSync(join(d, "persistent-volumes")) ? readdirSync(join(d, "persistent-volumes")) : [],
      ),
      endpoints: slices
        .flatMap((s) => s.endpoints ?? [])
        .map((e) => `${e.targetRef?.name} ${e.addresses[0]} ${e.conditions?.ready}`),
      addresses: pods.map((p) => `${p.metadata.name} ${p.status?.podIP} true`),
    };
  };
  const sorted = (of: readonly string[]) => of.toSorted((a, b) => (a < b ? -1 : 1)).join();
  const converged = async () => {
    const s = await state();
    const size = chaos.wanted.size;
    return (
      sorted(s.pods) === sorted([...chaos.wanted].map((name) => `${name} true`)) &&
      s.claims.length === size &&
      s.claims.every((x) => x.includes(" Bound pvc-")) &&
      sorted(s.volumes) === sorted(s.claims) &&
      s.directories.length === size &&
      sorted(s.endpoints) === sorted(s.addresses)
    );
  };
  await c.until(converged, HEALING_MS, 1_000).catch(async (error: Error) => {
    throw new Error(`${error.message}: ${JSON.stringify({ wanted: [...chaos.wanted], ...(await state()) }, null, 1)}`);
  });
  expect((await state()).volumes).toHaveLength(chaos.wanted.size);
});
