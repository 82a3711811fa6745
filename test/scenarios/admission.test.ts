import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { writeFileSync } from "node:fs";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { systemClock } from "../../pkg/util/clock.ts";
import { createCa, issueCert } from "../../pkg/util/pki.ts";
import { TestCluster } from "../harness/cluster.ts";
import { ensureTestImages } from "../images/images.ts";

/** What the cluster's owner forbids, asks of programs, or lets go only one by one: as kubectl's user meets it. */

let cluster: TestCluster;
let hook: Server;
const kubectl = (...args: string[]) => cluster.kubectlOk(args);
/** What kubectl says when it is refused. */
const refusal = async (...args: string[]) => {
  const { code, stdout, stderr } = await cluster.kubectl(args);
  return code === 0 ? `not refused: ${stdout}` : stderr;
};

async function apply(yaml: string): Promise<string> {
  const file = join(cluster.home, "apply.yaml");
  writeFileSync(file, yaml);
  return kubectl("apply", "-f", file);
}

beforeAll(async () => {
  await ensureTestImages();
  cluster = await TestCluster.start();
});

afterAll(async () => {
  hook?.closeAllConnections();
  hook?.close();
  await cluster?.remove();
});

test("a quota is used up, refused and freed", async () => {
  await kubectl("create", "namespace", "small");
  await kubectl("create", "quota", "q", "--hard=pods=1", "-n", "small");
  await kubectl("run", "a", "--image=busybox:1.36", "-n", "small", "--", "sleep", "3600");
  expect(await refusal("run", "b", "--image=busybox:1.36", "-n", "small")).toBe(
    'Error from server (Forbidden): pods "b" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1\n',
  );
  await kubectl("delete", "pod", "a", "-n", "small", "--grace-period=1");
  await kubectl("wait", "quota/q", "-n", "small", "--for=jsonpath={.status.used.pods}=0", "--timeout=20s");
  await kubectl("run", "b", "--image=busybox:1.36", "-n", "small", "--", "sleep", "3600");
});

test("a restricted namespace refuses Pods and warns of workloads", async () => {
  await kubectl("create", "namespace", "strict");
  await kubectl("label", "namespace", "strict", "pod-security.kubernetes.io/enforce=restricted");
  expect(await refusal("run", "a", "--image=busybox:1.36", "-n", "strict")).toContain(
    'violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container "a" must set',
  );
  const { code, stderr } = await cluster.kubectl(["create", "deployment", "d", "--image=busybox:1.36", "-n", "strict"]);
  expect({ code, stderr }).toEqual({
    code: 0,
    stderr: expect.stringMatching(/^Warning: would violate PodSecurity "restricted:latest": /),
  });
});

test("a policy in CEL holds as soon as it is bound", async () => {
  await apply(`
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: { name: owned }
spec:
  matchConstraints:
    resourceRules: [{ apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps] }]
  validations:
    - expression: has(object.metadata.labels) && 'owner' in object.metadata.labels
      messageExpression: "'label owner is missing on ' + object.metadata.name"
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: { name: owned }
spec:
  policyName: owned
  validationActions: [Deny]
  matchResources: { namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: default } } }
`);
  expect(await refusal("create", "configmap", "c")).toContain(
    "ValidatingAdmissionPolicy 'owned' with binding 'owned' denied request: label owner is missing on c",
  );
  await kubectl("create", "configmap", "c", "-n", "kube-public");
  await kubectl("delete", "validatingadmissionpolicybinding", "owned");
  await kubectl("create", "configmap", "c");
});

test("a mutating webhook changes what is created, over HTTPS", async () => {
  const now = systemClock.now();
  const ca = await createCa("hook", now);
  const pair = await issueCert(ca, { commonName: "hook", ips: ["127.0.0.1"], usages: ["server"] }, now);
  hook = createServer(pair, (req, res) => {
    const chunks: Buffer[] = [];
    req.on("data", (chunk: Buffer) => chunks.push(chunk));
    req.on("end", () => {
      const { request } = JSON.parse(Buffer.concat(chunks).toString()) as { request: { uid: string } };
      const operations = [{ op: "add", path: "/data", value: { injected: "yes" } }];
      const patch = Buffer.from(JSON.stringify(operations)).toString("base64");
      const response = { uid: request.uid, allowed: true, patchType: "JSONPatch", patch };
      res.end(JSON.stringify({ kind: "AdmissionReview", apiVersion: "admission.k8s.io/v1", response }));
    });
  });
  await new Promise<void>((resolve) => hook.listen(0, "127.0.0.1", resolve));
  const { port } = hook.address() as AddressInfo;
  await apply(`
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: { name: inject }
webhooks:
  - name: inject.example.com
    clientConfig: { url: "https://127.0.0.1:${port}/", caBundle: ${Buffer.from(ca.cert).toString("base64")} }
    rules: [{ apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps] }]
    objectSelector: { matchExpressions: [{ key: plain, operator: DoesNotExist }] }
    admissionReviewVersions: [v1]
    sideEffects: None
`);
  await kubectl("create", "configmap", "changed");
  expect(await kubectl("get", "configmap", "changed", "-o", "jsonpath={.data}")).toBe('{"injected":"yes"}');
  hook.closeAllConnections();
  await new Promise((resolve) => hook.close(resolve));
  expect(await refusal("create", "configmap", "lost")).toContain(
    `failed calling webhook "inject.example.com": failed to call webhook: Post "https://127.0.0.1:${port}/?timeout=10s": dial tcp 127.0.0.1:${port}: connect: connection refused`,
  );
  await kubectl("delete", "mutatingwebhookconfiguration", "inject");
  await kubectl("create", "configmap", "found");
});

describe("drain", () => {
  test("takes no more Pods at once than their budget allows", async () => {
    await apply(`
apiVersion: apps/v1
kind: ReplicaSet
metadata: { name: web }
spec:
  replicas: 2
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{ name: main, image: "busybox:1.36", command: [sleep, "3600"] }]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: { name: web }
spec: { maxUnavailable: 1, selector: { matchLabels: { app: web } } }
`);
    await kubectl("wait", "rs/web", "--for=jsonpath={.status.readyReplicas}=2", "--timeout=40s");
    await kubectl("wait", "pdb/web", "--for=jsonpath={.status.disruptionsAllowed}=1", "--timeout=20s");
    const drained = await cluster.kubectl(["drain", "node-1", "--force", "--pod-selector=app=web", "--timeout=8s"]);
    // Nowhere else to go: the second Pod must stay until the first one's successor runs.
    expect(drained.code).not.toBe(0);
    expect(drained.stderr).toContain("Cannot evict pod as it would violate the pod's disruption budget.");
    expect(
      await kubectl("get", "pods", "-l", "app=web", "--field-selector=status.phase=Running", "-o", "name"),
    ).toMatch(/^pod\/web-\w+\n$/);
    await kubectl("uncordon", "node-1");
    await kubectl("wait", "rs/web", "--for=jsonpath={.status.readyReplicas}=2", "--timeout=40s");
  });
});
