import { afterAll, afterEach, beforeAll, describe, expect, test } from "@jest/globals";
import type { NetworkPolicy, Pod } from "../../pkg/api/generated/types.ts";
import { pods } from "../../pkg/api/kinds/core/pod.ts";
import { services } from "../../pkg/api/kinds/core/service.ts";
import { networkPolicies } from "../../pkg/api/kinds/networking/networkpolicy.ts";
import { ready, TestCluster } from "../harness/cluster.ts";
import { PATIENCE_MS, runOk } from "../harness/process.ts";
import { BUSYBOX_IMAGE } from "../images/images.ts";
import { ensureGlibcImage, GLIBC_IMAGE } from "../images/glibc.ts";

/** Who reaches whom, tried by programs in Pods. */
let cluster: TestCluster;
const ip: Record<string, string> = {};

type Spec = NonNullable<NetworkPolicy["spec"]>;

const HTTPD = "for p in 80 81; do httpd -p $p; done; exec sleep 3600";
/** A probe by the node itself: a Pod that its node does not reach is not ready. */
const server = {
  name: "main",
  image: BUSYBOX_IMAGE,
  command: ["sh", "-c", HTTPD],
  ports: [{ name: "http", containerPort: 80 }],
  readinessProbe: { tcpSocket: { port: 80 }, periodSeconds: 1 },
};
const sleeper = { name: "main", image: GLIBC_IMAGE, command: ["sleep", "3600"] };

beforeAll(async () => {
  await ensureGlibcImage();
  cluster = await TestCluster.start();
  await cluster.kubectlOk(["create", "namespace", "other"]);
  await create("web", { containers: [server] });
  await create("client", { containers: [sleeper] });
  await create("stranger", { containers: [sleeper] }, "other");
  for (const [name, namespace] of [["web"], ["client"], ["stranger", "other"]] as const) {
    ip[name] = (await cluster.untilPod(name, ready, namespace)).status?.podIP ?? "";
  }
  await cluster.client.resource(services, "default").create({
    metadata: { name: "web" },
    spec: { selector: { app: "web" }, ports: [{ port: 8080, targetPort: 80 }] },
  });
});
afterAll(() => cluster?.remove());
afterEach(() => cluster.client.resource(networkPolicies, "default").deleteCollection());

async function create(name: string, spec: NonNullable<Pod["spec"]>, namespace = "default"): Promise<void> {
  await cluster.client.resource(pods, namespace).create({
    metadata: { name, labels: { app: name } },
    spec: { terminationGracePeriodSeconds: 0, ...spec },
  });
}

const apply = async (name: string, spec: Spec) => {
  await cluster.client.resource(networkPolicies, "default").create({ metadata: { name }, spec });
};

type Attempt = readonly [from: "client" | "stranger" | "web", to: string, port: number];

async function reaches([from, to, port]: Attempt): Promise<boolean> {
  const namespace = from === "stranger" ? "other" : "default";
  const script = `echo | nc -w 1 ${ip[to] ?? to} ${port} >/dev/null 2>&1 && echo yes || echo no`;
  return (await cluster.kubectlOk(["exec", "-n", namespace, from, "--", "sh", "-c", script])) === "yes\n";
}

/** Until all of it is so: a policy takes its way through a watch. What follows is said in one failure. */
async function untilReaches(
  wanted: readonly (readonly [...Attempt, boolean])[],
): Promise<(readonly [...Attempt, boolean])[]> {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const tries = wanted.map(async ([from, to, port]) => [from, to, port, await reaches([from, to, port])] as const);
    const seen = await Promise.all(tries);
    if (seen.every(([, , , is], i) => is === wanted[i]?.[3]) || Date.now() > end) return seen;
  }
}

const web = { podSelector: { matchLabels: { app: "web" } } };
const client = { podSelector: { matchLabels: { app: "client" } } };
const open = [
  ["client", "web", 80, true],
  ["stranger", "web", 80, true],
  ["client", "web", 81, true],
] as const;

type Row = readonly [what: string, spec: Spec, wanted: readonly (readonly [...Attempt, boolean])[]];
const rows: readonly Row[] = [
  [
    "default deny: nobody comes in",
    web,
    [
      ["client", "web", 80, false],
      ["stranger", "web", 80, false],
    ],
  ],
  [
    "by labels, of the own namespace",
    { ...web, ingress: [{ from: [client] }] },
    [
      ["client", "web", 80, true],
      ["client", "web", 81, true],
      ["stranger", "web", 80, false],
    ],
  ],
  [
    "by namespace, and a port by its name",
    {
      ...web,
      ingress: [
        {
          from: [{ namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "other" } } }],
          ports: [{ port: "http" }],
        },
      ],
    },
    [
      ["stranger", "web", 80, true],
      ["stranger", "web", 81, false],
      ["client", "web", 80, false],
    ],
  ],
  [
    "ports: a range",
    { ...web, ingress: [{ ports: [{ port: 81, endPort: 90 }] }] },
    [
      ["client", "web", 81, true],
      ["client", "web", 80, false],
    ],
  ],
  [
    "egress: the cluster's DNS and one Pod, and nothing else",
    {
      ...client,
      policyTypes: ["Egress"],
      egress: [
        {
          to: [
            {
              namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "kube-system" } },
              podSelector: { matchLabels: { "k8s-app": "kube-dns" } },
            },
          ],
          ports: [{ port: 53, protocol: "UDP" }],
        },
        { to: [web], ports: [{ port: 80 }] },
      ],
    },
    [
      ["client", "web", 80, true],
      // By its Service: judged where it arrives, with its own port.
      ["client", "web.default.svc.cluster.local", 8080, true],
      ["client", "web", 81, false],
      ["client", "kubernetes.default.svc.cluster.local", 443, false],
      ["stranger", "web", 81, true],
    ],
  ],
];

describe("a policy", () => {
  test.each(rows)("%s", async (_what, spec, wanted) => {
    await apply("policy", spec);
    expect(await untilReaches(wanted)).toEqual(wanted);
    // The node itself reaches its Pods, whatever policies say.
    expect(ready(await cluster.client.resource(pods, "default").get("web"))).toBe(true);
    await cluster.client.resource(networkPolicies, "default").delete("policy");
    expect(await untilReaches(open)).toEqual(open);
  });

  test("by address, with a hole", async () => {
    await apply("policy", { ...web, ingress: [{ from: [{ ipBlock: { cidr: `${ip["client"]}/32` } }] }] });
    const first = [["client", "web", 80, true], ["stranger", "web", 80, false]] as const; // prettier-ignore
    expect(await untilReaches(first)).toEqual(first);
    await cluster.client.resource(networkPolicies, "default").delete("policy");
    await apply("policy", {
      ...web,
      ingress: [{ from: [{ ipBlock: { cidr: "0.0.0.0/0", except: [`${ip["client"]}/32`] } }] }],
    });
    const second = [["client", "web", 80, false], ["stranger", "web", 80, true]] as const; // prettier-ignore
    expect(await untilReaches(second)).toEqual(second);
  });

  test("several add up; a Pod that gets the label is let in, one that loses it is not", async () => {
    await apply("deny", { podSelector: {} });
    await apply("allow", { ...web, ingress: [{ from: [{ podSelector: { matchLabels: { friend: "yes" } } }] }] });
    const closed = [["client", "web", 80, false]] as const;
    expect(await untilReaches(closed)).toEqual(closed);
    await cluster.kubectlOk(["label", "pod", "client", "friend=yes"]);
    const opened = [["client", "web", 80, true]] as const;
    expect(await untilReaches(opened)).toEqual(opened);
    await cluster.kubectlOk(["label", "pod", "client", "friend-"]);
    expect(await untilReaches(closed)).toEqual(closed);
  });
});

describe("never open for a moment", () => {
  test("the first thing a Pod under default deny does is refused, ten times out of ten", async () => {
    await apply("closed", { podSelector: { matchLabels: { box: "closed" } }, policyTypes: ["Egress"] });
    const script = `echo | nc -w 1 ${ip["web"]} 80 >/dev/null 2>&1 && echo open || echo closed`;
    const main = { name: "main", image: BUSYBOX_IMAGE, command: ["sh", "-c", script] };
    const names = Array.from({ length: 10 }, (_, i) => `box-${i}`);
    for (const name of names) {
      await cluster.client.resource(pods, "default").create({
        metadata: { name, labels: { box: "closed" } },
        spec: { containers: [main], restartPolicy: "Never" },
      });
    }
    const said = names.map(async (name) => {
      await cluster.untilPod(name, (p) => p.status?.phase === "Succeeded");
      return cluster.kubectlOk(["logs", name]);
    });
    expect(new Set(await Promise.all(said))).toEqual(new Set(["closed\n"]));
  });

  test("what is closed stays closed while mini-kube is away, and after it has come back", async () => {
    await apply("deny", web);
    const closed = [["client", "web", 80, false]] as const;
    expect(await untilReaches(closed)).toEqual(closed);
    const [container = ""] = await cluster.containers(
      "label=io.mini-kube.pod.name=client",
      "label=io.mini-kube.kind=container",
    );
    await cluster.kill9();
    expect(await reachesWithout(container)).toBe("no\n");
    await cluster.up();
    expect(await reachesWithout(container)).toBe("no\n");
    await cluster.client.resource(networkPolicies, "default").delete("deny");
    const end = Date.now() + PATIENCE_MS;
    while ((await reachesWithout(container)) === "no\n") if (Date.now() > end) throw new Error(cluster.log());
    expect(await reachesWithout(container)).toBe("yes\n");
  });
});

/** Asked of Docker: there is no API. */
async function reachesWithout(container: string): Promise<string> {
  const script = `echo | nc -w 1 ${ip["web"]} 80 >/dev/null 2>&1 && echo yes || echo no`;
  return runOk("docker", ["exec", container, "sh", "-c", script]);
}
