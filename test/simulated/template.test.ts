/** Templates in a whole cluster: they follow objects, say what is wrong, and lend nobody rights. */
import { expect, test } from "@jest/globals";
import type { ConfigMap } from "../../pkg/api/generated/types.ts";
import { customResourceDefinitions } from "../../pkg/api/kinds/apiextensions/customresourcedefinition.ts";
import { configMaps } from "../../pkg/api/kinds/core/configmap.ts";
import { events } from "../../pkg/api/kinds/core/event.ts";
import { services } from "../../pkg/api/kinds/core/service.ts";
import { isReason } from "../../pkg/api/status.ts";
import { templateDefinition, type TemplateObject, templates } from "../../pkg/api/template/kind.ts";
import type { DeepReadonly } from "../../pkg/util/types.ts";
import { SimulatedCluster } from "../harness/simulated.ts";

const NAMES = "{% for s in services %}{{ s.metadata.name }}:{{ s.spec.ports[0].port }}\n{% endfor %}";
const template = (name: string, spec: Partial<TemplateObject["spec"]> = {}): TemplateObject => ({
  metadata: { name },
  spec: { watch: [{ resource: "services" }], output: { name: `${name}-out` }, data: { list: NAMES }, ...spec },
});

async function withTemplates(use: (c: SimulatedCluster) => Promise<void>): Promise<void> {
  await using c = await SimulatedCluster.start({ nodes: 1 });
  await c.client.resource(customResourceDefinitions).create(templateDefinition);
  const served = async () =>
    (await c.client.resource(customResourceDefinitions).get("templates.mini-kube.io")).status?.conditions?.some(
      (condition) => condition.type === "Established" && condition.status === "True",
    ) ?? false;
  await c.until(served, 10_000);
  await use(c);
}

const service = (c: SimulatedCluster, name: string, port: number) =>
  c.client.resource(services, "default").create({ metadata: { name }, spec: { ports: [{ port }] } });

async function output(c: SimulatedCluster, name: string): Promise<DeepReadonly<ConfigMap> | undefined> {
  try {
    return await c.client.resource(configMaps, "default").get(name);
  } catch (error) {
    if (isReason(error, "NotFound")) return undefined;
    throw error;
  }
}

const ready = async (c: SimulatedCluster, name: string) => {
  const { status } = await c.client.resource(templates, "default").get(name);
  return status?.conditions?.find((condition) => condition.type === "Ready");
};

test("an output follows the objects, and goes with its Template", () =>
  withTemplates(async (c) => {
    await service(c, "web", 80);
    await c.client.resource(templates, "default").create(template("t"));
    const says = (text: string) => async () => (await output(c, "t-out"))?.data?.list === text;
    await c.until(says("kubernetes:443\nweb:80\n"), 10_000);
    await service(c, "db", 5432);
    await c.until(says("db:5432\nkubernetes:443\nweb:80\n"), 10_000);
    expect(await ready(c, "t")).toMatchObject({ status: "True", reason: "Rendered" });
    await c.client.resource(templates, "default").delete("t");
    await c.until(async () => (await output(c, "t-out")) === undefined, 60_000);
  }));

test("an error keeps the old text, and is told with its line; a kind that comes later is seen", () =>
  withTemplates(async (c) => {
    const api = c.client.resource(templates, "default");
    await api.create(template("t"));
    await c.until(async () => (await output(c, "t-out")) !== undefined, 10_000);
    const before = await output(c, "t-out");
    await api.patch("t", "application/merge-patch+json", { spec: { data: { list: "x\n{{ nope }}" } } });
    await c.until(async () => (await ready(c, "t"))?.status === "False", 10_000);
    expect(await ready(c, "t")).toMatchObject({
      reason: "TemplateError",
      message: "list:2:4: undefined variable: nope",
    });
    await service(c, "db", 5432);
    await api.create(template("t2"));
    await c.until(async () => (await output(c, "t2-out"))?.data?.list?.startsWith("db:5432") === true, 10_000);
    expect(await output(c, "t-out")).toEqual(before);
    const told = (await c.client.resource(events, "default").list()).items.filter((e) => e.reason === "TemplateError");
    expect(told).toHaveLength(1);
    await api.create(template("odd", { watch: [{ resource: "widgets.acme.com" }], data: { n: "{{ widgets.size }}" } }));
    await c.until(async () => (await ready(c, "odd"))?.reason === "UnknownResource", 10_000);
  }));

test("what is there already is not touched", () =>
  withTemplates(async (c) => {
    await c.client.resource(configMaps, "default").create({ metadata: { name: "t-out" }, data: { mine: "1" } });
    await c.client.resource(templates, "default").create(template("t"));
    await c.until(async () => (await ready(c, "t"))?.reason === "OutputConflict", 10_000);
    expect((await output(c, "t-out"))?.data).toEqual({ mine: "1" });
  }));
