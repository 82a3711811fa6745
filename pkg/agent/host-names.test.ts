import { expect, test } from "@jest/globals";
import type { PodSpec } from "../api/generated/types.ts";
import { hostsFile, kernelName, namesOf } from "./host-names.ts";
import { podOf } from "./testing/harness.ts";

const long = "a".repeat(62) + "-b";

test.each<[string, Partial<PodSpec>, hostname: string, domain: string, kernel: string]>([
  ["web", {}, "web", "", "web"],
  [long, {}, "a".repeat(62), "", "a".repeat(62)],
  ["web", { hostname: "h" }, "h", "", "h"],
  ["web", { hostname: "h", subdomain: "s" }, "h", "s.default.svc.cluster.local", "h"],
  [
    "web",
    { subdomain: "s", setHostnameAsFQDN: true },
    "web",
    "s.default.svc.cluster.local",
    "web.s.default.svc.cluster.local",
  ],
  ["web", { setHostnameAsFQDN: true }, "web", "", "web"],
  [
    "web",
    { hostname: "h", subdomain: "s", hostnameOverride: "db.example.org" },
    "db.example.org",
    "",
    "db.example.org",
  ],
])("%s %j", (name, spec, hostname, domain, kernel) => {
  const pod = podOf(name, [{}], spec);
  expect(namesOf(pod, "cluster.local")).toEqual({ hostname, domain });
  expect(kernelName(pod, "cluster.local")).toBe(kernel);
});

test("a name that the kernel cannot hold is refused", () => {
  const pod = podOf("w".repeat(40), [{}], { subdomain: "sub", setHostnameAsFQDN: true });
  expect(() => kernelName(pod, "cluster.local")).toThrow(
    `failed to construct FQDN from pod hostname and cluster domain, FQDN ${"w".repeat(40)}.sub.default.svc.cluster.local is too long (64 characters is the max, 70 characters requested)`,
  );
});

const HEAD = `# Kubernetes-managed hosts file.
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
fe00::0\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
`;
const ALIASES = "\n# Entries added by HostAliases.\n10.0.0.1\ta\tb\n";
const hostAliases = [{ ip: "10.0.0.1", hostnames: ["a", "b"] }];

test.each<[Partial<PodSpec>, ips: string[], text: string]>([
  [{}, ["10.0.0.2"], `${HEAD}10.0.0.2\tweb\n`],
  [{}, [], HEAD],
  [{ subdomain: "s", hostAliases }, ["10.0.0.2"], `${HEAD}10.0.0.2\tweb.s.default.svc.cluster.local\tweb\n${ALIASES}`],
  [
    { hostNetwork: true, hostAliases },
    ["192.0.2.1"],
    `# Kubernetes-managed hosts file (host network).\nthe node's\n${ALIASES}`,
  ],
])("/etc/hosts of %j", (spec, ips, text) => {
  const pod = podOf("web", [{}], spec);
  expect(hostsFile({ pod, names: namesOf(pod, "cluster.local"), ips, nodeHosts: "the node's\n" })).toBe(text);
});
