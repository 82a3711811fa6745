import { expect, test } from "@jest/globals";
import { customResourceDefinitions } from "../../api/kinds/apiextensions/customresourcedefinition.ts";
import { roles } from "../../api/kinds/rbac/role.ts";
import { roleBindings } from "../../api/kinds/rbac/rolebinding.ts";
import { templateDefinition, templates } from "../../api/template/kind.ts";
import { Client } from "../../client/client.ts";
import { MemoryStore } from "../../store/memory.ts";
import { seededRandom, systemClock } from "../../util/clock.ts";
import { silent } from "../../util/log.ts";
import { ensurePolicy } from "../auth/ensure-policy.ts";
import { ApiServer } from "../server.ts";

const GROUP = "rbac.authorization.k8s.io";

test("who writes a Template may do all that it does", async () => {
  const store = new MemoryStore();
  const server = await ApiServer.open({ store, clock: systemClock, random: seededRandom(1), log: silent });
  const admin = new Client(server.transport(), "admin");
  const eve = new Client(server.transport({ name: "eve", groups: ["system:authenticated"] }), "eve");
  await ensurePolicy(admin, server.view);
  await admin.resource(customResourceDefinitions).create(templateDefinition);
  await expectServed();
  const watch = [{ resource: "endpointslices.discovery.k8s.io" }];
  const template = { metadata: { name: "t" }, spec: { watch, output: { name: "out" }, data: { k: "v" } } };
  const create = () =>
    eve
      .resource(templates, "default")
      .create(template)
      .then(
        () => "created",
        (error: Error) => error.message,
      );
  const may = (verbs: string[], apiGroup: string, resource: string) => ({
    verbs,
    apiGroups: [apiGroup],
    resources: [resource],
  });
  const rules = [
    may(["create"], "mini-kube.io", "templates"),
    may(["list", "watch"], "discovery.k8s.io", "endpointslices"),
  ];
  await admin.resource(roles, "default").create({ metadata: { name: "eve" }, rules: [] });
  await admin.resource(roleBindings, "default").create({
    metadata: { name: "eve" },
    roleRef: { apiGroup: GROUP, kind: "Role", name: "eve" },
    subjects: [{ kind: "User", apiGroup: GROUP, name: "eve" }],
  });
  const grant = (n: number) =>
    admin.resource(roles, "default").patch("eve", "application/merge-patch+json", {
      rules: [...rules, may(["create", "update"], "", "configmaps")].slice(0, n),
    });
  const refused = (what: string) =>
    `templates.mini-kube.io "t" is forbidden: user "eve" may not ${what} in namespace "default", as this Template would`;
  await grant(1);
  expect(await create()).toBe(refused("list endpointslices.discovery.k8s.io"));
  await grant(2);
  expect(await create()).toBe(refused("create configmaps"));
  await grant(3);
  expect(await create()).toBe("created");
  await server.close();
  await store.close();

  async function expectServed(): Promise<void> {
    for await (const { object } of admin.resource(customResourceDefinitions).watch({}, AbortSignal.timeout(60_000))) {
      if (object.status?.conditions?.some((c) => c.type === "Established" && c.status === "True")) return;
    }
    throw new Error("the kind was never served");
  }
});
