import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { deployments } from "../api/kinds/apps/deployment.ts";
import { configMaps } from "../api/kinds/core/configmap.ts";
import { namespaces } from "../api/kinds/core/namespace.ts";
import { services } from "../api/kinds/core/service.ts";
import type { ApiObject } from "../api/object.ts";
import { MemoryStore } from "../store/memory.ts";
import { seededRandom, systemClock } from "../util/clock.ts";
import { silent } from "../util/log.ts";
import { type KeyPair, createCa, issueCert } from "../util/pki.ts";
import { toYaml } from "../util/yaml.ts";
import { type HttpListener, listen } from "./http.ts";
import { ApiServer } from "./server.ts";

const resources = [namespaces, configMaps, services, deployments];

const configMap = (data: object) => ({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "c" }, data });

const deployment = (replicas?: number, image = "nginx") => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "web" },
  spec: {
    ...(replicas !== undefined && { replicas }),
    selector: { matchLabels: { app: "web" } },
    template: { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "web", image }] } },
  },
});

const owners = (o: ApiObject) =>
  (o.metadata.managedFields ?? []).map((e) =>
    [e.manager, e.operation, ...(e.subresource ? [e.subresource] : [])].join(" "),
  );

const directory = mkdtempSync(join(tmpdir(), "apply-"));
let listener: HttpListener;
let real: ApiServer;
const realStore = new MemoryStore();
const run = promisify(execFile);

const kubectl = async (...args: string[]) => {
  const options = { env: { PATH: process.env["PATH"], HOME: directory } };
  const { stdout, stderr } = await run("kubectl", ["--kubeconfig", join(directory, "kubeconfig"), ...args], options);
  return stdout + stderr;
};
const file = (name: string, o: object) => {
  writeFileSync(join(directory, name), toYaml(o));
  return join(directory, name);
};

const raw = async (path: string) => JSON.parse(await kubectl("get", "--raw", path)) as ApiObject;
const clientMinor = async () => {
  const { clientVersion } = JSON.parse(await kubectl("version", "--client", "-o", "json")) as {
    clientVersion: { minor: string };
  };
  return Number.parseInt(clientVersion.minor, 10);
};

beforeAll(async () => {
  const now = systemClock.now();
  const ca = await createCa("test-ca", now);
  const issue = (commonName: string, usage: "client" | "server", organizations: string[] = []) =>
    issueCert(ca, { commonName, organizations, ips: ["127.0.0.1"], usages: [usage] }, now);
  const admin: KeyPair = await issue("admin", "client", ["system:masters"]);
  real = await ApiServer.open({
    store: realStore,
    clock: systemClock,
    random: seededRandom(1),
    log: silent,
    resources,
  });
  const tls = { ...(await issue("apiserver", "server")), clientCa: ca.cert };
  listener = await listen(real, {
    host: "127.0.0.1",
    port: 0,
    tls,
    agentTls: { ...admin, ca: ca.cert },
    log: silent,
  });
  const b64 = (pem: string) => Buffer.from(pem).toString("base64");
  const cluster = { server: listener.url, "certificate-authority-data": b64(ca.cert) };
  const user = { "client-certificate-data": b64(admin.cert), "client-key-data": b64(admin.key) };
  file("kubeconfig", {
    apiVersion: "v1",
    kind: "Config",
    "current-context": "t",
    clusters: [{ name: "t", cluster }],
    users: [{ name: "t", user }],
    contexts: [{ name: "t", context: { cluster: "t", user: "t" } }],
  });
});

afterAll(async () => {
  await listener.close();
  await real.close();
  await realStore.close();
  rmSync(directory, { recursive: true });
});

test("applies, meets a conflict, forces it, and shows who owns what", async () => {
  const v1 = file("v1.yaml", configMap({ a: "1" }));
  const v2 = file("v2.yaml", configMap({ a: "2" }));
  expect(await kubectl("apply", "--server-side", "-f", v1)).toBe("configmap/c serverside-applied\n");
  expect(await kubectl("apply", "--server-side", "-f", v1)).toBe("configmap/c serverside-applied\n");
  await expect(kubectl("apply", "--server-side", "--field-manager=other", "-f", v2)).rejects.toThrow(
    /Apply failed with 1 conflict: conflict with "kubectl": \.data\.a/,
  );
  await kubectl("apply", "--server-side", "--field-manager=other", "--force-conflicts", "-f", v2);
  expect(await kubectl("get", "cm", "c", "-o", "jsonpath={.data.a}")).toBe("2");
  expect(owners(await raw("/api/v1/namespaces/default/configmaps/c"))).toEqual(["other Apply"]);
});

test("moves a Deployment from client-side to server-side apply, and removes what is applied no more", async () => {
  const two = { ...deployment(2), metadata: { name: "web", labels: { a: "1", b: "2" } } };
  const one = { ...deployment(2, "nginx:2"), metadata: { name: "web", labels: { a: "1" } } };
  const before = file("before.yaml", two);
  const after = file("after.yaml", one);
  expect(await kubectl("apply", "-f", before)).toBe("deployment.apps/web created\n");
  expect(await kubectl("apply", "view-last-applied", "deployment/web", "-o", "json")).toContain('"b": "2"');
  await expect(kubectl("diff", "--server-side", "-f", after)).rejects.toMatchObject({ code: 1 });
  expect(await kubectl("apply", "--server-side", "-f", after)).toContain("deployment.apps/web serverside-applied\n");
  const labels = await kubectl("get", "deployment", "web", "-o", "jsonpath={.metadata.labels}");
  // Since 1.26 kubectl itself makes what it applied on the client's side its own; before, nobody removes that.
  const moves = (await clientMinor()) >= 26;
  expect(JSON.parse(labels)).toEqual(moves ? { a: "1" } : { a: "1", b: "2" });
  expect(await kubectl("diff", "--server-side", "-f", after)).toBe("");
  expect(await kubectl("apply", "view-last-applied", "deployment/web", "-o", "json")).toContain("nginx:2");
  const all = owners(await raw("/apis/apps/v1/namespaces/default/deployments/web"));
  expect(all).toEqual(["kubectl Apply", moves ? "kubectl-last-applied Apply" : "kubectl-client-side-apply Update"]);
  expect(await kubectl("apply", "-f", after)).toContain("deployment.apps/web");
});

test("moves a Service, which keeps the address that the server gave it", async () => {
  const spec = { selector: { app: "web" }, ports: [{ port: 80 }] };
  const service = { apiVersion: "v1", kind: "Service", metadata: { name: "web" }, spec };
  const before = file("service.yaml", service);
  const after = file("service-after.yaml", { ...service, spec: { ...spec, selector: { app: "next" } } });
  await kubectl("apply", "-f", before);
  const address = () => kubectl("get", "service", "web", "-o", "jsonpath={.spec.clusterIP}");
  const given = await address();
  expect(given).toMatch(/^10\./);
  await kubectl("apply", "--server-side", "-f", before);
  await kubectl("apply", "--server-side", "-f", after);
  expect(await address()).toBe(given);
  expect(await kubectl("get", "service", "web", "-o", "jsonpath={.spec.selector.app}")).toBe("next");
});
