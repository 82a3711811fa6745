/** A Deployment's life on real Docker, driven by the real kubectl as docs/rollouts.md tells it. */
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { join } from "node:path";
import { ensureHelloImage } from "../../cmd/dev/hello-image.mjs";
import type { EndpointSlice } from "../../pkg/api/generated/types.ts";
import { endpointSlices } from "../../pkg/api/kinds/discovery/endpointslice.ts";
import type { DeepReadonly } from "../../pkg/util/types.ts";
import { root, TestCluster } from "../harness/cluster.ts";
import { eventually } from "../harness/process.ts";
import { ensureTestImages } from "../images/images.ts";

const LIMIT = 180_000;
let cluster: TestCluster;

beforeAll(async () => {
  await ensureTestImages();
  await ensureHelloImage();
  cluster = await TestCluster.start();
}, LIMIT);
afterAll(() => cluster?.remove(), LIMIT);

const k = (command: string) => cluster.kubectlOk(command.split(" "), { deadline: 90_000 });
const rolledOut = () => k("rollout status deployment/web --timeout=80s");
const get = (what: string, path: string) => cluster.kubectlOk(["get", ...what.split(" "), "-o", `jsonpath=${path}`]);
const page = "{.spec.template.spec.containers[0].env[?(@.name=='PAGE')].value}";

/** A client that balances by itself: every request goes to an address that is ready at that moment. */
class Visitor {
  readonly pages = new Set<string>();
  readonly failures: string[] = [];
  requests = 0;
  readonly #stop = new AbortController();
  readonly #slices = new Map<string, DeepReadonly<EndpointSlice>>();
  #done: Promise<unknown> | undefined;

  start(): void {
    this.#done = Promise.allSettled([this.#watch(), this.#visit()]);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }

  async #watch(): Promise<void> {
    const slices = cluster.client.resource<EndpointSlice>(endpointSlices, "default");
    const o = { labelSelector: "kubernetes.io/service-name=web" };
    for await (const { type, object } of slices.watch(o, this.#stop.signal)) {
      if (type === "DELETED") this.#slices.delete(object.metadata.name ?? "");
      else if (type !== "BOOKMARK") this.#slices.set(object.metadata.name ?? "", object);
    }
  }

  async #visit(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const ready = [...this.#slices.values()].flatMap((s) => s.endpoints ?? []).filter((e) => e.conditions?.ready);
      const address = ready[this.requests % Math.max(1, ready.length)]?.addresses[0];
      if (address === undefined) {
        if (this.requests > 0) this.failures.push("nobody is ready");
        await new Promise((resolve) => setImmediate(resolve));
        continue;
      }
      this.requests++;
      try {
        const answer = await fetch(`http://${address}:8080/`, { signal: AbortSignal.timeout(5_000) });
        this.pages.add((await answer.text()).trim());
      } catch (error) {
        this.failures.push(`${address}: ${String(error)}`);
      }
    }
  }
}

test(
  "created, changed under traffic without a failed request, undone, scaled, restarted, paused, given up",
  async () => {
    await k(`apply -f ${join(root, "manifests/rolling-update.yaml")}`);
    expect(await rolledOut()).toMatch(/deployment "web" successfully rolled out\n$/);

    const visitor = new Visitor();
    visitor.start();
    await cluster.kubectlOk(["set", "env", "deployment/web", "PAGE=the second version"]);
    await cluster.kubectlOk([
      "annotate",
      "deployment/web",
      "--overwrite",
      "kubernetes.io/change-cause=the second version",
    ]);
    expect(await rolledOut()).toMatch(/successfully rolled out/);
    await visitor.stop();
    expect(visitor.failures).toEqual([]);
    expect([...visitor.pages].toSorted()).toEqual(["the first version", "the second version"]);
    expect(visitor.requests).toBeGreaterThan(50);

    const history = await k("rollout history deployment/web");
    expect(history).toMatch(/REVISION +CHANGE-CAUSE\n1 +the first version\n2 +the second version\n/);
    expect(await k("rollout history deployment/web --revision=1")).toMatch(/PAGE:\s+the first version/);

    expect(await k("rollout undo deployment/web")).toMatch(/deployment.apps\/web rolled back/);
    await rolledOut();
    expect(await get("deployment web", page)).toBe("the first version");
    expect(await k("rollout history deployment/web")).toMatch(/\n2 +the second version\n3 +the first version\n/);
    expect((await get("rs -l app=web", "{.items[*].metadata.name}")).split(" ")).toHaveLength(2);
    expect((await cluster.kubectl(["rollout", "undo", "deployment/web", "--to-revision=9"])).stderr).toMatch(
      /unable to find specified revision 9/,
    );
    await k("rollout undo deployment/web --to-revision=2");
    await rolledOut();
    expect(await get("deployment web", page)).toBe("the second version");

    await k("scale deployment/web --replicas=5");
    await rolledOut();
    expect(await k("get deployment web --no-headers")).toMatch(/^web +5\/5 +5 +5 /);

    await k("scale deployment/web --replicas=1");
    await rolledOut();
    const uids = () => get("pods -l app=web", "{.items[*].metadata.uid}");
    const isOne = (text: string) => text !== "" && !text.includes(" ");
    const old = await eventually(uids, isOne);
    await k("rollout restart deployment/web");
    await rolledOut();
    const restarted = await eventually(uids, isOne);
    expect([isOne(old), isOne(restarted), restarted === old]).toEqual([true, true, false]);

    await k("rollout pause deployment/web");
    await cluster.kubectlOk(["set", "env", "deployment/web", "PAGE=later"]);
    expect((await cluster.kubectl(["rollout", "undo", "deployment/web"])).stderr).toMatch(/paused/);
    expect(await get("deployment web", "{.status.updatedReplicas}")).toBe("");
    await k("rollout resume deployment/web");
    await rolledOut();
    expect(await get("deployment web", "{.status.updatedReplicas}")).toBe("1");

    await cluster.kubectlOk(["patch", "deployment", "web", "-p", '{"spec":{"progressDeadlineSeconds":2}}']);
    await k("set image deployment/web web=127.0.0.1:1/no/such:image");
    const stuck = await cluster.kubectl(["rollout", "status", "deployment/web", "--timeout=60s"]);
    expect(stuck.stderr).toMatch(/deployment "web" exceeded its progress deadline/);
    expect(await get("deployment web", "{.status.availableReplicas}")).toBe("1");
    await k("rollout undo deployment/web");
    await rolledOut();
    const told = await k("describe deployment web");
    expect(told).toMatch(/ScalingReplicaSet .* deployment-controller +Scaled up replica set web-\w+ from 0 to 1/);
    expect(told).toMatch(/Progressing +True +NewReplicaSetAvailable/);
  },
  LIMIT,
);
