import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { type TestHost, TestHosts } from "../harness/hosts.ts";
import { eventually } from "../harness/process.ts";
import { ensureGlibcImage, GLIBC_IMAGE } from "../images/glibc.ts";

/** Names and policies on two machines: each answers and closes for its own Pods, and knows those of the other. */
let hosts: TestHosts;
let n1: TestHost;
let n2: TestHost;

const pod = (name: string, nodeName: string, labels: Record<string, string> = {}) => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, labels: { app: name, set: "all", ...labels } },
  spec: {
    nodeName,
    hostname: name,
    subdomain: "all",
    terminationGracePeriodSeconds: 0,
    containers: [{ name: "main", image: GLIBC_IMAGE, command: ["sh", "-c", "httpd -p 80; exec sleep 3600"] }],
  },
});
const headless = {
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "all" },
  spec: { clusterIP: "None", selector: { set: "all" } },
};
const policy = (ingress?: object[]) => ({
  apiVersion: "networking.k8s.io/v1",
  kind: "NetworkPolicy",
  metadata: { name: "p1" },
  spec: { podSelector: { matchLabels: { app: "p1" } }, ...(ingress && { ingress }) },
});

const apply = (...items: object[]) =>
  n1.kubectlOk(["apply", "-f", "-"], { input: JSON.stringify({ apiVersion: "v1", kind: "List", items }) });
const says = async (host: TestHost, name: string, script: string) =>
  (await host.kubectl(["exec", name, "--", "sh", "-c", script])).stdout;
const ipOf = (name: string) => n1.kubectlOk(["get", "pod", name, "-o", "jsonpath={.status.podIP}"]);
const found = (name: string) => `getent ahostsv4 ${name} | grep STREAM | cut -d ' ' -f 1`;

beforeAll(async () => {
  await ensureGlibcImage();
  hosts = await TestHosts.start({ images: [GLIBC_IMAGE] });
  [n1, n2] = hosts.hosts as [TestHost, TestHost];
  await apply(headless, pod("p1", n1.name), pod("p2", n2.name));
  await n1.kubectlOk(["wait", "--for=condition=Ready", "pod/p1", "pod/p2", "--timeout=60s"]);
});
afterAll(() => hosts?.remove());

test("Pods find each other by name, each asking its own node", async () => {
  const [first, second] = [await ipOf("p1"), await ipOf("p2")];
  for (const from of ["p1", "p2"]) {
    const both = await eventually(
      () => says(n1, from, found("all")),
      (out) => out.trim().split("\n").length === 2,
    );
    expect(new Set(both.trim().split("\n"))).toEqual(new Set([first, second]));
    expect(await says(n1, from, found("p2.all"))).toBe(`${second}\n`);
  }
  const slices = ["get", "endpointslices", "-n", "kube-system", "-l", "k8s-app=kube-dns"];
  const addresses = await n1.kubectlOk([...slices, "-o", "jsonpath={.items[*].endpoints[0].addresses[0]}"]);
  expect(new Set(addresses.split(" ")).size).toBe(2);
});

test("a policy of a Pod of this machine keeps out those of the other, and lets in whom it names", async () => {
  const ip = await ipOf("p1");
  const tries = (name: string) => says(n1, name, `echo | nc -w 1 ${ip} 80 >/dev/null 2>&1 && echo yes || echo no`);
  expect(await tries("p2")).toBe("yes\n");
  await apply(policy());
  await eventually(
    () => tries("p2"),
    (out) => out === "no\n",
  );
  await apply(policy([{ from: [{ podSelector: { matchLabels: { friend: "yes" } } }] }]));
  await apply(pod("p3", n2.name, { friend: "yes" }));
  await n1.kubectlOk(["wait", "--for=condition=Ready", "pod/p3", "--timeout=60s"]);
  await eventually(
    () => tries("p3"),
    (out) => out === "yes\n",
  );
  expect(await tries("p2")).toBe("no\n");
});

test("a machine whose neighbour is gone answers its own Pods as before", async () => {
  await n1.kill9();
  const kubernetes = await says(n2, "p2", found("kubernetes.default"));
  expect(kubernetes).toMatch(/^10\.\d+\.0\.1\n$/);
  await n1.up();
});
