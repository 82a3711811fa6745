import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { ensureTestTools, kubectls } from "../../cmd/dev/test-tools.mjs";
import { TestCluster } from "../harness/cluster.ts";
import { run } from "../harness/process.ts";

/** What users get wrong in manifests, and the words `kubectl apply` has for each: those of Kubernetes, to be searched for. */
let cluster: TestCluster;

beforeAll(async () => {
  await ensureTestTools();
  cluster = await TestCluster.start();
  await cluster.kubectlOk(["create", "namespace", "strict"]);
  await cluster.kubectlOk(["label", "ns", "strict", "pod-security.kubernetes.io/enforce=restricted"]);
  await cluster.kubectlOk(["create", "namespace", "small"]);
  await cluster.kubectlOk(["create", "quota", "q", "--hard=configmaps=1,pods=1,requests.memory=1Gi", "-n", "small"]);
}, 600_000);
afterAll(() => cluster?.remove());

const object = (kind: string, rest: string, apiVersion = "v1", name = "x") =>
  `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: { name: ${name} }\n${rest}\n`;
const pod = (container: string, rest = "") => object("Pod", `spec: { containers: [{ ${container} }]${rest} }`);
const template = (labels: string) =>
  `template: { metadata: { labels: { ${labels} } }, spec: { containers: [{ name: c, image: i }] } }`;

const WRONG: readonly (readonly [what: string, manifest: string, says: RegExp, namespace?: string])[] = [
  ["a mistyped field", pod("name: c, imagee: nginx"), /unknown field "spec.containers\[0\].imagee"/],
  [
    "a number for a string",
    object("ConfigMap", "data: { port: 80 }"),
    /cannot unmarshal number into Go struct field ConfigMap.data of type string/,
  ],
  [
    "a string for a number",
    pod('name: c, image: i, ports: [{ containerPort: "http" }]'),
    /containerPort[\s\S]*(int32|integer)/,
  ],
  ["no such kind", object("Pood", ""), /no matches for kind "Pood" in version "v1"/],
  [
    "no such version",
    object("Deployment", "", "apps/v1beta1"),
    /no matches for kind "Deployment" in version "apps\/v1beta1"/,
  ],
  ["no such namespace", object("ConfigMap", ""), /namespaces "nowhere" not found/, "nowhere"],
  [
    "a name with capitals",
    object("ConfigMap", "", "v1", "MyApp"),
    /The ConfigMap "MyApp" is invalid: metadata.name: Invalid value: "MyApp": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.'/,
  ],
  [
    "a label that is none",
    "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: x, labels: { a: 'b c' } }\n",
    /metadata.labels: Invalid value: "b c": a valid label must be/,
  ],
  ["a container without image", pod("name: c"), /The Pod "x" is invalid: spec.containers\[0\].image: Required value/],
  [
    "two containers of one name",
    object("Pod", "spec: { containers: [{ name: c, image: i }, { name: c, image: i }] }"),
    /spec.containers\[1\].name: Duplicate value: "c"/,
  ],
  [
    "a mount of no volume",
    pod("name: c, image: i, volumeMounts: [{ name: data, mountPath: /d }]"),
    /spec.containers\[0\].volumeMounts\[0\].name: Not found: "data"/,
  ],
  [
    "a limit below the request",
    pod("name: c, image: i, resources: { requests: { memory: 2Gi }, limits: { memory: 1Gi } }"),
    /spec.containers\[0\].resources.requests: Invalid value: "2Gi": must be less than or equal to memory limit of 1Gi/,
  ],
  [
    "a quantity that is none",
    pod("name: c, image: i, resources: { limits: { memory: lots } }"),
    /quantities must match the regular expression/,
  ],
  [
    "a wrong policy",
    pod("name: c, image: i", ", restartPolicy: Sometimes"),
    /spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"/,
  ],
  [
    "a selector that misses the template",
    object("Deployment", `spec: { selector: { matchLabels: { app: a } }, ${template("app: b")} }`, "apps/v1"),
    /spec.template.metadata.labels: Invalid value: .*`selector` does not match template `labels`/,
  ],
  ["no selector", object("Deployment", `spec: { ${template("app: b")} }`, "apps/v1"), /spec.selector: Required value/],
  [
    "a schedule that is none",
    object(
      "CronJob",
      `spec: { schedule: "every day", jobTemplate: { spec: { template: { spec: { restartPolicy: Never, containers: [{ name: c, image: i }] } } } } }`,
      "batch/v1",
    ),
    /spec.schedule: Invalid value: "every day"/,
  ],
  [
    "a Job that restarts for ever",
    object("Job", `spec: { ${template("app: b")} }`, "batch/v1"),
    /spec.template.spec.restartPolicy: (Required value: valid values: "OnFailure", "Never"|Unsupported value: "Always": supported values: "OnFailure", "Never")/,
  ],
  [
    "a port beyond all",
    object("Service", "spec: { ports: [{ port: 70000 }] }"),
    /spec.ports\[0\].port: Invalid value: 70000: must be between 1 and 65535, inclusive/,
  ],
  [
    "two ports without names",
    object("Service", "spec: { ports: [{ port: 1 }, { port: 2 }] }"),
    /spec.ports\[0\].name: Required value/,
  ],
  ["a Secret that is not base64", object("Secret", "data: { a: 'not base64!' }"), /illegal base64 data at input byte/],
  [
    "an ingress without a backend",
    object(
      "Ingress",
      "spec: { rules: [{ host: a.example, http: { paths: [{ path: /, pathType: Prefix, backend: {} }] } }] }",
      "networking.k8s.io/v1",
    ),
    /spec.rules\[0\].http.paths\[0\].backend: Invalid value: "": resource or service backend is required/,
  ],
  [
    "a role that grants nothing known",
    object("Role", "rules: [{ resources: [pods] }]", "rbac.authorization.k8s.io/v1"),
    /rules\[0\].verbs: Required value/,
  ],
  [
    "a Pod against the namespace's security level",
    pod("name: c, image: i, securityContext: { privileged: true }"),
    /pods "x" is forbidden: violates PodSecurity "restricted:latest": [\s\S]*privileged/,
    "strict",
  ],
  [
    "a Pod against the quota",
    pod("name: c, image: i, resources: { requests: { memory: 2Gi } }"),
    /pods "x" is forbidden: exceeded quota: q, requested: requests.memory=2Gi, used: requests.memory=0, limited: requests.memory=1Gi/,
    "small",
  ],
];

describe.each(["1.27", "1.36"])("kubectl %s apply", (minor) => {
  test.each(WRONG)("%s", async (what, manifest, says, namespace = "default") => {
    const file = join(cluster.home, `${what.replaceAll(/\W/g, "-")}.yaml`);
    writeFileSync(file, manifest);
    const args = ["--kubeconfig", cluster.kubeconfig, "-n", namespace, "apply", "-f", file];
    const done = await run(kubectls[minor] ?? "", args, { env: { ...cluster.env, HOME: join(cluster.home, minor) } });
    expect(done.stderr).toMatch(says);
    expect(done.code).toBe(1);
  });
});
