/** Programs that read a file take part in discovery: nginx follows a Service, in a Pod by a Template and on the host by the CLI. */
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { readFileSync, writeFileSync } from "node:fs";
import http from "node:http";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { Pod } from "../../pkg/api/generated/types.ts";
import { customResourceDefinitions } from "../../pkg/api/kinds/apiextensions/customresourcedefinition.ts";
import { configMaps } from "../../pkg/api/kinds/core/configmap.ts";
import { pods } from "../../pkg/api/kinds/core/pod.ts";
import type { DeepReadonly } from "../../pkg/util/types.ts";
import { ready, root, TestCluster } from "../harness/cluster.ts";
import { eventually, PATIENCE_MS } from "../harness/process.ts";
import { ensureNginxImage } from "../images/nginx.ts";

let cluster: TestCluster;

beforeAll(async () => {
  await ensureNginxImage();
  cluster = await TestCluster.start();
  await cluster.until(cluster.client.resource(customResourceDefinitions), {
    name: "templates.mini-kube.io",
    done: (crd) => crd.status?.conditions?.some((c) => c.type === "Established" && c.status === "True") ?? false,
  });
  await cluster.kubectlOk(["apply", "-f", join(root, "manifests/nginx-template.yaml")]);
  for (const name of ["web", "nginx"])
    await cluster.kubectlOk(["rollout", "status", `deploy/${name}`, "--timeout=90s"]);
});
afterAll(() => cluster?.remove());

async function nginx(): Promise<DeepReadonly<Pod>> {
  const { items } = await cluster.client.resource(pods, "default").list({ labelSelector: "app=nginx" });
  const found = items.find(ready);
  if (!found) throw new Error("nginx is not ready");
  return found;
}

function get(host: string, agent: http.Agent): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const req = http.get({ host, port: 8080, agent, timeout: 10_000 }, (res) => {
      text(res).then((body) => resolve({ status: res.statusCode ?? 0, body: body.trim() }), reject);
    });
    req.on("error", reject).on("timeout", () => req.destroy(new Error("no answer")));
  });
}

test("the Deployment grows, is rolled out and shrinks: nginx follows, and no request fails", async () => {
  const host = (await nginx()).status?.podIP ?? "";
  // A reload of nginx closes connections that are kept; one for each request meets every moment of it.
  const agent = new http.Agent({ keepAlive: false });
  // The Service's first Pods were ready a moment ago: nginx may have to hear of them, and for a moment more its old workers
  // answer beside the new ones, that nobody is ready.
  let well = 0;
  await eventually(
    async () => (well = (await get(host, agent)).status === 200 ? well + 1 : 0),
    () => well === 20,
  );
  const statuses = new Map<number | string, number>();
  let seen = new Set<string>();
  let going = true;
  const load = async () => {
    while (going) {
      const { status, body } = await get(host, agent).catch((error: Error) => ({ status: error.message, body: "" }));
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      seen.add(body);
    }
  };
  const workers = Array.from({ length: 4 }, load);
  const until = async (holds: () => boolean) => {
    const deadline = AbortSignal.timeout(PATIENCE_MS);
    while (!holds()) {
      deadline.throwIfAborted();
      await get(host, agent).then(({ body }) => seen.add(body));
    }
  };
  try {
    await cluster.kubectlOk(["scale", "deploy/web", "--replicas=4"]);
    await until(() => seen.size >= 4);
    await cluster.kubectlOk(["rollout", "restart", "deploy/web"]);
    await cluster.kubectlOk(["rollout", "status", "deploy/web", "--timeout=90s"]);
    await cluster.kubectlOk(["scale", "deploy/web", "--replicas=1"]);
    await cluster.kubectlOk(["wait", "deploy/web", "--for=jsonpath={.status.replicas}=1", "--timeout=60s"]);
    seen = new Set();
    await get(host, agent);
  } finally {
    going = false;
    await Promise.all(workers);
    agent.destroy();
  }
  expect([...statuses.keys()]).toEqual([200]);
  expect(statuses.get(200)).toBeGreaterThan(100);
  expect(await cluster.kubectlOk(["get", "template", "nginx", "--no-headers"])).toMatch(/^nginx +nginx-conf +True /);
  const { metadata } = await nginx();
  const told = ["get", "events", `--field-selector=involvedObject.name=${metadata.name},reason=Reloaded`, "-o", "name"];
  expect(await cluster.kubectlOk(told)).not.toBe("");
});

test("a template with an error keeps what was in force, and says where it is", async () => {
  const before = await cluster.client.resource(configMaps, "default").get("nginx-conf");
  const broken = { spec: { data: { "default.conf": "server {\n  listen {{ port }};\n}" } } };
  const saved = await cluster.kubectlOk(["get", "template", "nginx", "-o", "jsonpath={.spec.data}"]);
  await cluster.kubectlOk(["patch", "template", "nginx", "--type=merge", "-p", JSON.stringify(broken)]);
  await cluster.kubectlOk(["wait", "template/nginx", "--for=condition=Ready=false", "--timeout=20s"]);
  const described = await cluster.kubectlOk(["describe", "template", "nginx"]);
  expect(described).toMatch(/TemplateError .*default\.conf:2:13: undefined variable: port/);
  expect((await cluster.client.resource(configMaps, "default").get("nginx-conf")).data).toEqual(before.data);
  const mended = JSON.stringify({ spec: { data: JSON.parse(saved) as unknown } });
  await cluster.kubectlOk(["patch", "template", "nginx", "--type=merge", "-p", mended]);
  await cluster.kubectlOk(["wait", "template/nginx", "--for=condition=Ready", "--timeout=20s"]);
  expect(await cluster.kubectlOk(["explain", "template.spec.watch.resource"])).toMatch(/PLURAL\.GROUP/);
  const wrong = await cluster.kubectl(["patch", "template", "nginx", "--type=merge", "-p", '{"spec":{"output":null}}']);
  expect(wrong.stderr).toMatch(/spec\.output: Required value/);
});

test("mini-kube template keeps a file of this machine up to date, and reloads who reads it", async () => {
  const [template, file, reloads] = ["web.tmpl", "web.conf", "reloads"].map((name) => join(cluster.home, name));
  const source =
    '{% assign b = endpointslices | endpoints: "web", "http" %}{% for e in b %}server {{ e.address }};\n{% endfor %}';
  writeFileSync(template ?? "", source);
  const words = [
    "template",
    "-f",
    template,
    "-o",
    file,
    "-w",
    "endpointslices",
    "--reload",
    `{ cat ${file}; echo; } >> ${reloads}`,
  ];
  const following = cluster.cliRunning(words.map(String));
  await following.until(/changed/);
  await cluster.kubectlOk(["scale", "deploy/web", "--replicas=3"]);
  await cluster.kubectlOk(["rollout", "status", "deploy/web", "--timeout=60s"]);
  // Whoever reads the file has done so after its last change; an empty line ends what it read.
  const last = await eventually(
    async () =>
      readFileSync(reloads ?? "", "utf8")
        .split(/^\n/m)
        .at(-2),
    (read) => read?.match(/^server 1[\d.]+;$/gm)?.length === 3,
  );
  expect(last).toMatch(/^(server 1[\d.]+;\n){3}$/);
  expect(readFileSync(file ?? "", "utf8")).toBe(last);
});
