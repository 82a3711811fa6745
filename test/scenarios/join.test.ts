import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { X509Certificate } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { removeAll, openRuntime } from "../../cmd/component/containers.ts";
import type { Lease, Node } from "../../pkg/api/generated/types.ts";
import { leases } from "../../pkg/api/kinds/coordination/lease.ts";
import { nodes } from "../../pkg/api/kinds/core/node.ts";
import { pods } from "../../pkg/api/kinds/core/pod.ts";
import { nameOf } from "../../pkg/api/object.ts";
import { condition } from "../../pkg/api/pod.ts";
import type { DeepReadonly } from "../../pkg/util/types.ts";
import { freePort, program, ready, TestCluster } from "../harness/cluster.ts";
import { eventually, type Finished, run, Running, runOk } from "../harness/process.ts";
import { BUSYBOX_IMAGE, ensureTestImages } from "../images/images.ts";

/**
 * Machines that join a cluster: here processes beside each other on one Docker daemon, each with a data directory of its
 * own. Certificates hold for less than a minute, so that their renewal is seen.
 */
const CERTIFICATE_SECONDS = 40;
const NOBODYS_HASH = `sha256:${"0".repeat(64)}`;

/** The addresses of this machine by which others would reach it. */
const address = Object.values(networkInterfaces())
  .flatMap((list) => list ?? [])
  .find((a) => a.family === "IPv4" && !a.internal)?.address;

class Machine {
  readonly home = mkdtempSync(join(tmpdir(), "mk-join-"));
  readonly name: string;
  #join: Running | undefined;

  constructor(name: string) {
    this.name = name;
  }

  get dataDir(): string {
    return join(this.home, "agent");
  }

  get env(): NodeJS.ProcessEnv {
    return { ...process.env, MINI_KUBE_HOME: this.home, NO_COLOR: "1" };
  }

  async args(server: string, token: string, caHash: string): Promise<string[]> {
    const own = ["--node-name", this.name, "--data-dir", this.dataDir, "--port", "0"];
    const observe = ["--observe-address", `127.0.0.1:${await freePort()}`];
    return ["join", server, "--token", token, "--ca-hash", caHash, ...own, ...observe];
  }

  /** Of a join that does not succeed. */
  async refused(server: string, token: string, caHash: string, env: NodeJS.ProcessEnv = {}): Promise<Finished> {
    const args = await this.args(server, token, caHash);
    return run(process.execPath, [program, ...args], { env: { ...this.env, ...env } });
  }

  async join(server: string, token: string, caHash: string, more: readonly string[] = []): Promise<void> {
    const args = await this.args(server, token, caHash);
    this.#join = new Running(process.execPath, [program, ...args, ...more], { env: this.env });
  }

  get output(): string {
    return this.#join?.output ?? "";
  }

  certificate(purpose: "client" | "serving"): X509Certificate {
    return new X509Certificate(readFileSync(join(this.dataDir, "pki", `${purpose}-current.pem`)));
  }

  /** Another command on this machine. */
  cli(args: readonly string[]): Promise<Finished> {
    return run(process.execPath, [program, ...args, "--data-dir", this.dataDir], { env: this.env });
  }

  get ended(): Promise<number> | undefined {
    return this.#join?.exited;
  }

  async stop(): Promise<number | undefined> {
    this.#join?.kill("SIGTERM");
    return this.#join?.exited;
  }

  async remove(): Promise<void> {
    await this.stop();
    const id = await eventually(
      async () => readFileSync(join(this.dataDir, "cluster-id"), "utf8").trim(),
      () => true,
    ).catch(() => "");
    if (id !== "") await removeAll(openRuntime(id, "", process.env), id);
    rmSync(this.home, { recursive: true, force: true });
  }
}

let cluster: TestCluster;
let server: string;
let token: string;
let caHash: string;
const worker = new Machine("worker-1");
const other = new Machine("worker-1");

beforeAll(async () => {
  await ensureTestImages();
  if (address === undefined) throw new Error("this machine has no address beside the loopback's");
  const signing = ["--cluster-signing-duration", String(CERTIFICATE_SECONDS)];
  const ingress = ["--ingress-http-port", "none", "--ingress-https-port", "none"];
  cluster = await TestCluster.start({ args: ["--address", address, ...signing, ...ingress] });
  const printed = () => cluster.cli(["token", "create", "--print-join-command", "--ttl", "1h"]);
  const { stdout } = await eventually(printed, (done) => done.code === 0);
  const parts = /^mini-kube join (\S+) --token (\S+) --ca-hash (\S+)\n$/.exec(stdout);
  [, server = "", token = "", caHash = ""] = parts ?? [];
});

afterAll(async () => {
  await worker.remove();
  await other.remove();
  await cluster?.remove();
});

const untilNode = (done: (node: DeepReadonly<Node>) => boolean) =>
  cluster.until(cluster.client.resource(nodes), { name: worker.name, done }).catch((error: unknown) => {
    throw new Error(`${String(error)}\n${worker.output.slice(-4000)}`);
  });
const isReady = (node: DeepReadonly<Node>) => condition(node.status?.conditions, "Ready")?.status === "True";

describe("a machine joins", () => {
  test("by the printed command, with its labels and taints, and runs Pods whose logs are read through the API", async () => {
    expect(server).toBe(`https://${address}:${new URL(server).port}`);
    const labels = ["--node-labels", "zone=a,disk=ssd", "--register-with-taints", "dedicated=web:NoSchedule"];
    await worker.join(server, token, caHash, labels);
    const node = await untilNode(isReady);
    expect(node.metadata.labels).toMatchObject({ zone: "a", disk: "ssd" });
    expect(node.spec?.taints).toEqual([{ key: "dedicated", value: "web", effect: "NoSchedule" }]);
    expect(worker.certificate("client").subject).toBe("O=system:nodes\nCN=system:node:worker-1");
    const containers = [{ name: "main", image: BUSYBOX_IMAGE, command: ["sh", "-c", "echo here; sleep 3600"] }];
    const spec = { nodeName: worker.name, containers, terminationGracePeriodSeconds: 0 };
    await cluster.client.resource(pods, "default").create({ metadata: { name: "p", namespace: "default" }, spec });
    await cluster.untilPod("p", ready);
    const log = await eventually(
      () => cluster.kubectl(["logs", "p"]),
      (r) => r.stdout !== "",
    );
    expect(log).toMatchObject({ code: 0, stdout: "here\n" });
  });

  test("its certificates are renewed while it runs, and it goes on", async () => {
    const [client, serving] = [worker.certificate("client"), worker.certificate("serving")];
    const next = () => Promise.resolve([worker.certificate("client"), worker.certificate("serving")] as const);
    const both = await eventually(
      next,
      ([c, s]) => c.serialNumber !== client.serialNumber && s.serialNumber !== serving.serialNumber,
      2 * CERTIFICATE_SECONDS * 1000,
    );
    // All that it had at first has ended by then: what it says and what it serves is by the new ones.
    const ended = Math.max(Date.parse(client.validTo), Date.parse(serving.validTo));
    const later = (l: DeepReadonly<Lease>) => Date.parse(l.spec?.renewTime ?? "") > ended;
    const lease = cluster.client.resource(leases, "kube-node-lease");
    await cluster.until(lease, { name: worker.name, done: later });
    expect(both.map((c) => c.subject)).toEqual([client.subject, serving.subject]);
    expect((await cluster.kubectlOk(["logs", "p"])).trim()).toBe("here");
  });
});

describe("a machine is told why it cannot join", () => {
  const cases: readonly [string, () => [string, string, string], RegExp][] = [
    [
      "another cluster's CA",
      () => [server, token, NOBODYS_HASH],
      /has the hash sha256:[0-9a-f]{64}, not sha256:0{64}: it is another cluster, or somebody is in between; get a new command/,
    ],
    [
      "a token that nobody made, or that has ended",
      () => [server, "abcdef.0123456789abcdef", caHash],
      /the token abcdef has expired, was mistyped, or is not one of the cluster at https:\S+; get a new command/,
    ],
    [
      "a token with another secret",
      () => [server, `${token.slice(0, 6)}.0123456789abcdef`, caHash],
      /the token [a-z0-9]{6} has expired, was mistyped, or is not one/,
    ],
    [
      "nobody there",
      () => ["https://127.0.0.1:1", token, caHash],
      /nothing listens at 127\.0\.0\.1:1; is the API server up/,
    ],
    ["no such name", () => ["https://nowhere.invalid:6443", token, caHash], /nowhere\.invalid.*(check the name|DNS)/],
    ["no token", () => [server, "abc", caHash], /--token abc: a token is needed like abcdef\.0123456789abcdef/],
    [
      "a name that is taken",
      () => [server, token, caHash],
      /a node named worker-1 exists already; choose another name with --node-name, or if it is gone: mini-kube node remove worker-1/,
    ],
  ];
  test.each(cases)("%s", async (_, how, said) => {
    const { code, stderr } = await other.refused(...how());
    expect([code, stderr]).toEqual([1, expect.stringMatching(said)]);
    // One sentence; the usage's hint beside it.
    expect(
      stderr
        .trimEnd()
        .split("\n")
        .filter((l) => l.startsWith("error:")),
    ).toHaveLength(1);
  });

  test("a token that was taken back", async () => {
    const made = (await cluster.cliOk(["token", "create"])).trim();
    expect(await cluster.cliOk(["token", "list"])).toContain(made);
    await cluster.cliOk(["token", "delete", made.slice(0, 6)]);
    expect((await other.refused(server, made, caHash)).stderr).toContain(
      "has expired, was mistyped, or is not one of the cluster",
    );
  });

  test("a machine without Docker", async () => {
    const nowhere = "/nowhere/docker.sock";
    const bare = new Machine("worker-2");
    const done = await bare.refused(server, token, caHash, { DOCKER_HOST: `unix://${nowhere}` });
    expect([done.code, done.stdout]).toEqual([1, ""]);
    expect(done.stderr).toMatch(/^error: Docker does not answer: .*apt-get install docker\.io.*\n$/);
    expect(done.stderr).toContain(nowhere);
    expect(existsSync(bare.dataDir)).toBe(false);
    rmSync(bare.home, { recursive: true });
  });

  test("a machine that runs mini-kube up is a node already", async () => {
    const done = await cluster.cli([
      "join",
      server,
      "--token",
      token,
      "--ca-hash",
      caHash,
      "--data-dir",
      other.dataDir,
    ]);
    expect(done).toMatchObject({ code: 1 });
    expect(done.stderr).toContain("this machine runs mini-kube up already");
  });
});

describe("a machine is taken out", () => {
  test("not while a Pod would be lost; then its Pods go, its Node, and what its certificate was good for", async () => {
    const asked = await cluster.cli(["node", "remove", worker.name]);
    expect(asked.code).toBe(1);
    expect(asked.stderr).toContain(
      "cannot delete Pods that declare no controller (use --force to override): default/p",
    );
    const removed = await cluster.cliOk(["node", "remove", worker.name, "--force"]);
    expect(removed).toContain("evicting pod default/p\nnode/worker-1 removed;");
    expect((await cluster.client.resource(nodes).list()).items.map(nameOf)).toEqual([cluster.nodeName]);
    // Its agent runs still, and is told; it does not come back.
    const said = "the node worker-1 was removed from the cluster; join again with a new token";
    await eventually(
      () => Promise.resolve(worker.output),
      (text) => text.includes(said),
    );
    expect(worker.output).toContain(said);
    expect((await cluster.client.resource(nodes).list()).items.map(nameOf)).toEqual([cluster.nodeName]);
    expect(await worker.stop()).toBe(0);
  });

  test("and joins again with a token, on the data that it had", async () => {
    await worker.join(server, token, caHash);
    await untilNode(isReady);
    expect(worker.certificate("client").subject).toContain("CN=system:node:worker-1");
  });

  test("and leaves by itself: agent, containers, network, rules and keys go; what there is not, it says", async () => {
    const again = await worker.cli(["join", server]);
    expect(again).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/is the node worker-1 already; .*pid \d+/),
    });
    const id = readFileSync(join(worker.dataDir, "cluster-id"), "utf8").trim();
    const containers = [{ name: "main", image: BUSYBOX_IMAGE, command: ["sleep", "3600"] }];
    const spec = { nodeName: worker.name, containers, terminationGracePeriodSeconds: 0 };
    await cluster.client.resource(pods, "default").create({ metadata: { name: "q", namespace: "default" }, spec });
    await cluster.untilPod("q", ready);
    expect(await traces(id)).toEqual([expect.stringMatching(/./), expect.stringMatching(/./), true]);
    const left = await worker.cli(["leave"]);
    expect([left.code, left.stderr]).toEqual([0, ""]);
    expect(left.stdout.split("\n")).toEqual([
      "the agent of the node worker-1 has stopped",
      "the containers of 1 Pod and the network are gone",
      expect.stringContaining("mini-kube node remove worker-1 --force"),
      "",
    ]);
    expect(await traces(id)).toEqual(["", "", false]);
    expect(existsSync(worker.dataDir)).toBe(false);
    expect(await worker.ended).toBe(0);
    const { code, stderr } = await worker.cli(["leave"]);
    expect([code, stderr]).toEqual([1, `error: no agent has run on ${worker.dataDir}; name its --data-dir\n`]);
  });
});

/** Of that node on this machine: containers, networks, and whether there is a table of rules. */
async function traces(id: string): Promise<[string, string, boolean]> {
  const label = ["--filter", `label=io.mini-kube.cluster=${id}`];
  const containers = await runOk("docker", ["ps", "-aq", ...label]);
  const networks = await runOk("docker", ["network", "ls", "-q", ...label]);
  return [containers, networks, (await runOk("nft", ["list", "tables"])).includes(id)];
}
