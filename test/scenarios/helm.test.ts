import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ensureTestTools, helms } from "../../cmd/dev/test-tools.mjs";
import { TestCluster } from "../harness/cluster.ts";
import { type Finished, run } from "../harness/process.ts";

/**
 * The chart that `helm create` makes, through its whole life, by Helm 3 old and new (three-way merges, JSON) and by Helm 4
 * (server-side apply, protobuf for its own Secrets).
 */
let cluster: TestCluster;

beforeAll(async () => {
  await ensureTestTools();
  cluster = await TestCluster.start();
}, 600_000);
afterAll(() => cluster?.remove());

/** What the chart brings beside its templates: a kind of its own, and an object of it. */
const crd = (group: string) => `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: orders.${group} }
spec:
  group: ${group}
  scope: Namespaced
  names: { plural: orders, singular: order, kind: Order }
  versions:
    - name: v1
      served: true
      storage: true
      schema: { openAPIV3Schema: { type: object, properties: { spec: { type: object, properties: { count: { type: integer } } } } } }
`;
const order = (group: string) => `
apiVersion: ${group}/v1
kind: Order
metadata: { name: {{ .Release.Name }}-order }
spec: { count: {{ .Values.replicaCount }} }
`;

describe.each(Object.keys(helms))("helm %s", (minor) => {
  const namespace = `helm${minor.replace(".", "")}`;
  const group = `${namespace}.example.com`;
  const image = ["--set", "image.repository=busybox,image.tag=1.36"];
  let dir: string;

  const helm = (...args: string[]): Promise<Finished> =>
    run(helms[minor] ?? "", ["--kubeconfig", cluster.kubeconfig, "-n", namespace, ...args], {
      env: { ...cluster.env, HOME: dir },
      cwd: dir,
    });
  const ok = async (...args: string[]): Promise<string> => {
    const done = await helm(...args);
    if (done.code !== 0) throw new Error(`helm ${args.join(" ")}: ${done.stdout}${done.stderr}`);
    return done.stdout;
  };
  const json = async <T>(...args: string[]): Promise<T> => JSON.parse(await ok(...args, "-o", "json")) as T;
  const kubectl = (...args: string[]) => cluster.kubectlOk(["-n", namespace, ...args]);
  const history = () =>
    json<{ revision: number; status: string; description: string }[]>("history", "shop").then((rows) =>
      rows.map((r) => `${r.revision} ${r.status} ${r.description}`),
    );

  beforeAll(async () => {
    dir = join(cluster.home, namespace);
    mkdirSync(dir);
    await ok("create", "shop");
    mkdirSync(join(dir, "shop/crds"));
    writeFileSync(join(dir, "shop/crds/crd.yaml"), crd(group));
    writeFileSync(join(dir, "shop/templates/order.yaml"), order(group));
  });

  test("renders and validates against the cluster", async () => {
    expect(await ok("lint", "shop")).toMatch(/1 chart\(s\) linted, 0 chart\(s\) failed/);
    const validate = minor === "3.12" ? "--validate" : "--dry-run=server";
    await kubectl("create", "namespace", namespace);
    writeFileSync(join(dir, "crd.yaml"), crd(group));
    await kubectl("apply", "-f", join(dir, "crd.yaml"));
    expect(await ok("template", "shop", "./shop", validate, ...image)).toMatch(
      /kind: Deployment[\s\S]*image: "busybox:1.36"/,
    );
    await kubectl("delete", "-f", join(dir, "crd.yaml"));
  });

  test("installs", async () => {
    expect(await ok("install", "shop", "./shop", ...image)).toMatch(/STATUS: deployed\nREVISION: 1\n/);
    expect(await json("list")).toMatchObject([{ name: "shop", namespace, revision: "1", status: "deployed" }]);
    expect(await kubectl("get", "deploy,svc,sa,orders." + group, "-l", "", "-o", "name")).toMatch(
      /deployment.apps\/shop\nservice\/shop\n[\s\S]*serviceaccount\/shop\norder\.\S+\/shop-order\n/,
    );
    expect(await kubectl("get", "deploy", "shop", "-o", "jsonpath={.metadata.labels}")).toMatch(
      /"app.kubernetes.io\/managed-by":"Helm"/,
    );
    expect((await helm("install", "shop", "./shop")).stderr).toMatch(/cannot re-?use a name that is still in use/);
  });

  test("upgrades; what does not change is not written", async () => {
    expect(await ok("upgrade", "shop", "./shop", ...image, "--set", "replicaCount=3")).toMatch(/REVISION: 2\n/);
    const state = () =>
      kubectl("get", "deploy,svc", "-o", "jsonpath={.items[*].spec.replicas} {.items[*].metadata.resourceVersion}");
    const before = await state();
    expect(before).toMatch(/^3 /);
    expect(await kubectl("get", "orders." + group, "shop-order", "-o", "jsonpath={.spec.count}")).toBe("3");
    expect(await ok("upgrade", "shop", "./shop", "--reuse-values")).toMatch(/REVISION: 3\n/);
    // A controller may have counted since; what Helm wrote has not changed.
    const generation = await kubectl("get", "deploy", "shop", "-o", "jsonpath={.metadata.generation}");
    expect(Number(generation)).toBe(2);
    expect(await ok("get", "values", "shop")).toMatch(/replicaCount: 3/);
    expect(await ok("get", "manifest", "shop")).toMatch(/kind: Service\n/);
    expect(await ok("status", "shop")).toMatch(/STATUS: deployed\nREVISION: 3\n/);
  });

  test("rolls back, and remembers", async () => {
    expect(await ok("rollback", "shop", "1")).toMatch(/Rollback was a success! Happy Helming!/);
    expect(await kubectl("get", "deploy", "shop", "-o", "jsonpath={.spec.replicas}")).toBe("1");
    expect(await history()).toEqual([
      "1 superseded Install complete",
      "2 superseded Upgrade complete",
      "3 superseded Upgrade complete",
      "4 deployed Rollback to 1",
    ]);
    const secrets = await kubectl("get", "secrets", "-l", "owner=helm", "-L", "name,status,version", "--no-headers");
    const rows = secrets
      .trim()
      .split("\n")
      .map((row) => row.split(/\s+/));
    expect(rows.map(([name, type, , , ...labels]) => [name, type, ...labels])).toEqual(
      ["superseded", "superseded", "superseded", "deployed"].map((status, i) => [
        `sh.helm.release.v1.shop.v${i + 1}`,
        "helm.sh/release.v1",
        "shop",
        status,
        String(i + 1),
      ]),
    );
  });

  test("a chart that the server refuses fails with the server's words", async () => {
    const refused = await helm("upgrade", "shop", "./shop", ...image, "--set", "service.port=99999");
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(
      /spec.ports\[0\].port: Invalid value: 99999: must be between 1 and 65535, inclusive/,
    );
    expect((await history()).at(-1)).toMatch(/^5 failed /);
    expect(await ok("rollback", "shop", "4")).toMatch(/Rollback was a success/);
  });

  test("uninstalls all it has installed", async () => {
    expect(await ok("uninstall", "shop", "--keep-history")).toMatch(/release "shop" uninstalled/);
    expect(await json("list", "--uninstalled")).toMatchObject([{ name: "shop", status: "uninstalled" }]);
    expect(await ok("uninstall", "shop")).toMatch(/release "shop" uninstalled/);
    expect(await json("list")).toEqual([]);
    expect(await kubectl("get", "deploy,svc,secret,orders." + group, "-o", "name")).toBe("");
  });
});
