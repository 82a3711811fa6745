/** A Deployment's life on real Docker, driven by the real kubectl as docs/rollouts.md tells it. */
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { join } from "node:path";
import { ensureHelloImage } from "../../cmd/dev/hello-image.mjs";
import { root, TestCluster } from "../harness/cluster.ts";
import { Load } from "../harness/load.ts";
import { eventually } from "../harness/process.ts";
import { ensureTestImages } from "../images/images.ts";

let cluster: TestCluster;

beforeAll(async () => {
  await ensureTestImages();
  await ensureHelloImage();
  cluster = await TestCluster.start();
});
afterAll(() => cluster?.remove());

const k = (command: string) => cluster.kubectlOk(command.split(" "));
const rolledOut = () => k("rollout status deployment/web --timeout=80s");
const get = (what: string, path: string) => cluster.kubectlOk(["get", ...what.split(" "), "-o", `jsonpath=${path}`]);
const page = "{.spec.template.spec.containers[0].env[?(@.name=='PAGE')].value}";

/** What a client of the Service sees, request by request, each on a connection of its own. */
async function loadOn(service: string, concurrency = 4): Promise<Load> {
  const ip = await get(`service ${service}`, "{.spec.clusterIP}");
  return new Load({ url: `http://${ip}/`, concurrency });
}

test("created, changed under traffic without a failed request, undone, scaled, restarted, paused, given up", async () => {
  await k(`apply -f ${join(root, "manifests/rolling-update.yaml")}`);
  expect(await rolledOut()).toMatch(/deployment "web" successfully rolled out\n$/);

  await using load = await loadOn("web");
  await load.more(50);
  await cluster.kubectlOk(["set", "env", "deployment/web", "PAGE=the second version"]);
  await cluster.kubectlOk([
    "annotate",
    "deployment/web",
    "--overwrite",
    "kubernetes.io/change-cause=the second version",
  ]);
  expect(await rolledOut()).toMatch(/successfully rolled out/);
  const seen = await load.stop();
  expect(seen.failures).toEqual([]);
  expect(Object.keys(seen.answers).toSorted()).toEqual(["the first version", "the second version"]);

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
});

test("blue-green: all requests move at once, there and back, and none fails", async () => {
  await k(`apply -f ${join(root, "manifests/blue-green.yaml")}`);
  for (const version of ["blue", "green"]) await k(`rollout status deployment/shop-${version} --timeout=80s`);
  await using preview = await loadOn("shop-preview", 1);
  await using load = await loadOn("shop");
  await load.more(50);
  await preview.more(10);
  const before = load.report();
  expect([Object.keys(before.answers), Object.keys(preview.report().answers)]).toEqual([["blue"], ["green"]]);
  for (const version of ["green", "blue"]) {
    const patch = JSON.stringify({ spec: { selector: { version } } });
    await cluster.kubectlOk(["patch", "service", "shop", "-p", patch]);
    await eventually(
      async () => {
        const { answers } = load.report();
        await load.more(50);
        return Object.entries(load.report().answers).filter(([page, count]) => count > (answers[page] ?? 0));
      },
      (growing) => growing.length === 1 && growing[0]?.[0] === version,
    );
  }
  const { failures, answers } = await load.stop();
  expect(failures).toEqual([]);
  expect(Object.keys(answers).toSorted()).toEqual(["blue", "green"]);
  await k(`delete --wait=false -f ${join(root, "manifests/blue-green.yaml")}`);
});

test("canary: its share of the Pods is its share of the requests, and none fails as it grows and goes", async () => {
  await k(`apply -f ${join(root, "manifests/canary.yaml")}`);
  for (const track of ["stable", "canary"]) await k(`rollout status deployment/api-${track} --timeout=120s`);
  await using load = await loadOn("api");
  await load.more(1_000);
  const { answers, sent } = load.report();
  // One of ten Pods: within five standard deviations.
  const share = (answers.canary ?? 0) / sent;
  expect(Math.abs(share - 0.1)).toBeLessThan(5 * Math.sqrt((0.1 * 0.9) / sent));
  await k("scale deployment/api-canary --replicas=3");
  await k("rollout status deployment/api-canary --timeout=80s");
  await k("scale deployment/api-canary --replicas=0");
  await eventually(
    () => k("get pods -l track=canary -o name"),
    (names) => names.trim() === "",
  );
  const gone = load.report().answers.canary ?? 0;
  await load.more(200);
  const after = await load.stop();
  expect(after.failures).toEqual([]);
  expect(after.answers.canary).toBe(gone);
});
