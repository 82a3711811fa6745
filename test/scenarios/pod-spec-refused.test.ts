/** Pods that ask for what cannot be had: an event says why, and the rest of the node does not care. On real Docker. */
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { events as coreEvents } from "../../pkg/api/kinds/core/event.ts";
import { TestCluster } from "../harness/cluster.ts";
import { type PodParts, podOf } from "../harness/pod-parts.ts";
import { ensureTestImages } from "../images/images.ts";
import { PATIENCE_MS } from "../harness/process.ts";

let cluster: TestCluster;
/** On this machine, for hostPath volumes. */
let host: string;

beforeAll(async () => {
  await ensureTestImages();
  cluster = await TestCluster.start();
  host = mkdtempSync(join(tmpdir(), "mk-host-"));
  mkdirSync(join(host, "dir"));
  symlinkSync("/etc", join(host, "dir", "out"));
  await cluster.kubectlOk(["create", "configmap", "settings", "--from-literal=COLOR=red"]);
});
afterAll(async () => {
  await cluster?.remove();
  if (host) rmSync(host, { recursive: true, force: true });
});

/** The message of the first event of that reason. */
async function toldOf(pod: string, reason: string): Promise<string> {
  const events = cluster.client.resource(coreEvents, "default");
  const fieldSelector = `involvedObject.name=${pod},reason=${reason}`;
  for await (const { type, object } of events.watch({ fieldSelector }, AbortSignal.timeout(PATIENCE_MS)))
    if (type === "ADDED") return object.message ?? "";
  throw new Error(`${pod}: no event ${reason}\n${await cluster.kubectlOk(["describe", "pod", pod])}`);
}

const volume = (v: object, m: object = {}) => ({
  spec: { volumes: [{ name: "v", ...v }] },
  container: { volumeMounts: [{ name: "v", mountPath: "/v", ...m }] },
});
const env = (valueFrom: object) => ({ container: { env: [{ name: "E", valueFrom }] } });

test.each<[name: string, parts: () => PodParts, reason: string, message: string]>([
  [
    "key",
    () => env({ configMapKeyRef: { name: "settings", key: "x" } }),
    "Failed",
    "couldn't find key x in ConfigMap default/settings",
  ],
  ["map", () => env({ configMapKeyRef: { name: "none", key: "x" } }), "Failed", 'configmap "none" not found'],
  [
    "path",
    () => volume({ hostPath: { path: join(host, "no"), type: "Directory" } }),
    "FailedMount",
    `${join("/", "no")} doesn't exist`,
  ],
  [
    "type",
    () => volume({ hostPath: { path: join(host, "dir"), type: "Socket" } }),
    "FailedMount",
    "is not a socket file, it's a Directory",
  ],
  [
    "nfs",
    () => volume({ nfs: { server: "nfs.example", path: "/" } }),
    "FailedMount",
    "volume type nfs is not supported",
  ],
  [
    "escape",
    () => volume({ hostPath: { path: join(host, "dir") } }, { subPath: "out" }),
    "Failed",
    'failed to prepare subPath for volumeMount "v" of container "main"',
  ],
  [
    "seccomp",
    () => ({
      container: { securityContext: { seccompProfile: { type: "Localhost", localhostProfile: "none.json" } } },
    }),
    "Failed",
    "cannot load seccomp profile",
  ],
  [
    "root",
    () => ({ container: { securityContext: { runAsNonRoot: true } } }),
    "Failed",
    "container has runAsNonRoot and image will run as root",
  ],
  [
    "users",
    () => ({ spec: { hostUsers: false } }),
    "FailedCreatePodSandBox",
    "user namespaces of Pods are not supported by Docker",
  ],
  [
    "sysctl",
    () => ({ spec: { securityContext: { sysctls: [{ name: "kernel.msgmax", value: "1" }] } } }),
    "SysctlForbidden",
    'forbidden sysctl: "kernel.msgmax" not allowlisted',
  ],
])("%s", async (name, parts, reason, message) => {
  const pod = podOf(`bad-${name}`, parts());
  await cluster.kubectlOk(["apply", "-f", "-"], { input: JSON.stringify(pod) });
  expect(await toldOf(`bad-${name}`, reason)).toContain(message);
  const phase = await cluster.kubectlOk([
    "get",
    "pod",
    `bad-${name}`,
    "-o",
    "jsonpath={.status.phase} {.status.reason}",
  ]);
  expect(phase.trim()).toBe(reason === "SysctlForbidden" ? "Failed SysctlForbidden" : "Pending");
});
