import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { X509Certificate } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Node } from "../../pkg/api/generated/types.ts";
import type { DeepReadonly } from "../../pkg/util/types.ts";
import { TestCluster } from "../harness/cluster.ts";
import { eventually, runOk } from "../harness/process.ts";
import { ensureTestImages } from "../images/images.ts";

/** What an administrator does with a node, and a node with its cluster: with the real kubectl on real Docker. */
let cluster: TestCluster;
const kubectl = (...args: string[]) => cluster.kubectlOk(args);

const WEB = `
apiVersion: apps/v1
kind: ReplicaSet
metadata: { name: web }
spec:
  replicas: 2
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{ name: main, image: "busybox:1.36", command: [sleep, "3600"] }]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: { name: web }
spec: { maxUnavailable: 1, selector: { matchLabels: { app: web } } }
`;

beforeAll(async () => {
  await ensureTestImages();
  cluster = await TestCluster.start();
  writeFileSync(join(cluster.home, "web.yaml"), WEB);
  await kubectl("apply", "-f", join(cluster.home, "web.yaml"));
  await kubectl("wait", "--for=jsonpath={.status.readyReplicas}=2", "rs/web", "--timeout=60s");
});
afterAll(() => cluster?.remove());

const taints = (node: DeepReadonly<Node>) => (node.spec?.taints ?? []).map((t) => `${t.key}:${t.effect}`);
const readyReplicas = () => kubectl("get", "rs", "web", "-o", "jsonpath={.status.readyReplicas}");

describe("a node", () => {
  test("is Ready without a taint, and its Lease is renewed every two seconds", async () => {
    expect(taints(await cluster.untilNode((n) => taints(n).length === 0))).toEqual([]);
    const path = "jsonpath={.spec.leaseDurationSeconds} {.spec.renewTime};";
    const watch = cluster.kubectlRunning(["get", "lease", "node-1", "-n", "kube-node-lease", "-w", "-o", path]);
    const renewals = await watch.until(/(8 \S+Z;){3}/);
    watch.kill();
    const [, second = 0, third = 0] = renewals[0].split(";").map((r) => Date.parse(r.replace("8 ", "")));
    expect(third - second).toBeGreaterThanOrEqual(1_900);
    expect(third - second).toBeLessThan(8_000);
  });

  test("is cordoned, drained as far as the PodDisruptionBudget allows, and uncordoned", async () => {
    expect(await kubectl("cordon", "node-1")).toBe("node/node-1 cordoned\n");
    const cordoned = await cluster.untilNode((n) => taints(n).length > 0);
    expect(taints(cordoned)).toEqual(["node.kubernetes.io/unschedulable:NoSchedule"]);
    expect(await kubectl("get", "no", "--no-headers")).toMatch(/^node-1\s+Ready,SchedulingDisabled\s/);
    // There is no other node: the second Pod has to stay, for the first finds no place.
    const drain = await cluster.kubectl(["drain", "node-1", "--ignore-daemonsets", "--timeout=8s"]);
    expect(drain.code).toBe(1);
    expect(drain.stderr).toContain("Cannot evict pod as it would violate the pod's disruption budget.");
    expect(await readyReplicas()).toBe("1");
    expect(await kubectl("uncordon", "node-1")).toBe("node/node-1 uncordoned\n");
    await kubectl("wait", "--for=jsonpath={.status.readyReplicas}=2", "rs/web", "--timeout=60s");
    expect(taints(await cluster.untilNode((n) => taints(n).length === 0))).toEqual([]);
  });

  test("that was only told of takes no Pods: nobody has ever heard of it", async () => {
    writeFileSync(join(cluster.home, "ghost.yaml"), "apiVersion: v1\nkind: Node\nmetadata: { name: ghost }\n");
    await kubectl("create", "-f", join(cluster.home, "ghost.yaml"));
    const path = "jsonpath={.spec.taints[*].key}:{.spec.taints[*].effect}";
    expect(await kubectl("get", "node", "ghost", "-o", path)).toBe("node.kubernetes.io/not-ready:NoSchedule");
    await kubectl("scale", "rs/web", "--replicas=5");
    await kubectl("wait", "--for=jsonpath={.status.readyReplicas}=5", "rs/web", "--timeout=60s");
    const nodes = await kubectl("get", "pods", "-l", "app=web", "-o", "jsonpath={.items[*].spec.nodeName}");
    expect(new Set(nodes.split(" "))).toEqual(new Set(["node-1"]));
    await kubectl("delete", "node", "ghost");
  });
});

describe("a certificate", () => {
  async function request(name: string, subject: string, signer: string): Promise<void> {
    const [key, csr] = [join(cluster.home, `${name}.key`), join(cluster.home, `${name}.csr`)];
    const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    await runOk("openssl", ["req", "-new", ...ec, "-keyout", key, "-subj", subject, "-out", csr]);
    const spec = {
      request: readFileSync(csr).toString("base64"),
      signerName: `kubernetes.io/${signer}`,
      usages: ["digital signature", "client auth"],
      expirationSeconds: 3600,
    };
    const manifest = {
      apiVersion: "certificates.k8s.io/v1",
      kind: "CertificateSigningRequest",
      metadata: { name },
      spec,
    };
    await cluster.kubectlOk(["create", "-f", "-"], { input: JSON.stringify(manifest) });
  }

  async function issued(name: string): Promise<string> {
    const certificate = () => kubectl("get", "csr", name, "-o", "jsonpath={.status.certificate}");
    const text = await eventually(certificate, (c) => c !== "");
    return Buffer.from(text, "base64").toString();
  }

  test("for a person is signed once somebody approves it, and opens the door to who it names", async () => {
    await request("ann", "/O=dev/CN=ann", "kube-apiserver-client");
    expect(await kubectl("get", "csr", "ann", "--no-headers")).toMatch(/\s60m\s+Pending\s*$/);
    expect(await kubectl("certificate", "approve", "ann")).toContain("approved");
    const pem = await issued("ann");
    const cert = new X509Certificate(pem);
    expect(cert.subject.split("\n")).toEqual(["O=dev", "CN=ann"]);
    const minutes = (Date.parse(cert.validTo) - Date.now()) / 60_000;
    expect(minutes).toBeGreaterThan(58);
    expect(minutes).toBeLessThanOrEqual(60);
    const file = join(cluster.home, "ann.crt");
    writeFileSync(file, pem);
    const [context, user] = ["--context=ann", "ann"];
    await kubectl(
      "config",
      "set-credentials",
      user,
      `--client-certificate=${file}`,
      `--client-key=${join(cluster.home, "ann.key")}`,
    );
    const used = (await kubectl("config", "view", "-o", "jsonpath={.contexts[0].context.cluster}")).trim();
    await kubectl("config", "set-context", "ann", `--cluster=${used}`, `--user=${user}`);
    expect(
      await kubectl(context, "auth", "whoami", "-o", "jsonpath={.status.userInfo.username} {.status.userInfo.groups}"),
    ).toBe('ann ["dev","system:authenticated"]');
  });

  test("for a node is approved by itself, and refused by its signer when it asks for more than a node gets", async () => {
    await request("node", "/O=system:nodes/CN=system:node:n9", "kube-apiserver-client-kubelet");
    expect(new X509Certificate(await issued("node")).subject).toBe("O=system:nodes\nCN=system:node:n9");
    const why = await kubectl("get", "csr", "node", "-o", "jsonpath={.status.conditions[0].message}");
    expect(why).toBe("Auto approving kubelet client certificate after SubjectAccessReview.");
    await request("greedy", "/O=system:masters/CN=system:node:n9", "kube-apiserver-client-kubelet");
    await kubectl("certificate", "approve", "greedy");
    await kubectl("wait", "--for=condition=Failed", "csr/greedy", "--timeout=20s");
    const said = await kubectl("get", "csr", "greedy", "-o", "jsonpath={.status.conditions[1].message}");
    expect(said).toBe("subject organization is not system:nodes");
  });
});
