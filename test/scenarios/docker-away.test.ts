import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import type { Container, Node, Pod } from "../../pkg/api/generated/types.ts";
import { configMaps } from "../../pkg/api/kinds/core/configmap.ts";
import { pods } from "../../pkg/api/kinds/core/pod.ts";
import type { DeepReadonly } from "../../pkg/util/types.ts";
import { ready, TestCluster } from "../harness/cluster.ts";
import { DockerDaemon } from "../harness/dockerd.ts";
import { ensureTestImages } from "../images/images.ts";

/** Docker going away and coming back, with a daemon that nobody else needs. The API lives on; the Node says what is wrong. */
/** No command may take longer, Docker or no Docker. */
const DEADLINE = 15_000;
let docker: DockerDaemon;
let cluster: TestCluster;

beforeAll(async () => {
  docker = await DockerDaemon.start();
  await ensureTestImages(docker.socket);
  await docker.down("SIGTERM");
  cluster = await TestCluster.start({ env: { DOCKER_HOST: docker.host } });
});
afterAll(async () => {
  await cluster?.remove();
  await docker?.remove();
});

/** It heeds SIGTERM, so that dockerd need not wait to stop it. */
const worker: Container = {
  name: "main",
  image: "busybox:1.36",
  command: ["sh", "-c", "trap 'exit 0' TERM; echo started; sleep 3600 & wait"],
};

async function create(name: string, containers: Container[] = [worker]): Promise<void> {
  await cluster.client.resource(pods, "default").create({
    metadata: { name, namespace: "default" },
    spec: { containers, terminationGracePeriodSeconds: 1 },
  });
}

const idsOf = (pod: DeepReadonly<Pod>) => pod.status?.containerStatuses?.map((c) => c.containerID ?? "") ?? [];
const renewed = (before: DeepReadonly<Pod>) => (pod: DeepReadonly<Pod>) =>
  ready(pod) && idsOf(pod).every((id) => id !== "" && !idsOf(before).includes(id));
const nodeReady = (node: DeepReadonly<Node>) => node.status?.conditions?.find((c) => c.type === "Ready");
const up = (node: DeepReadonly<Node>) => nodeReady(node)?.status === "True";
/** The first word may be of a broken connection; what stands is why there is no new one. */
const down = (node: DeepReadonly<Node>) =>
  nodeReady(node)?.status === "False" && (nodeReady(node)?.message?.startsWith("Docker does not answer") ?? false);
const running = (name: string) => cluster.containers("status=running", `label=io.mini-kube.pod.name=${name}`);

describe("Docker away", () => {
  test("from the start: the API is up, the Node says why it is not Ready; Docker comes and all goes on by itself", async () => {
    const away = nodeReady(await cluster.untilNode(down));
    expect(away?.reason).toBe("ContainerRuntimeDown");
    expect(away?.message).toContain(docker.socket);
    expect(await cluster.cliOk(["get", "nodes", "--no-headers"])).toMatch(/^node-1\s+NotReady\s/);
    await create("early", [worker, { ...worker, name: "side" }]);
    expect(await cluster.cliOk(["get", "pod", "early", "--no-headers"])).toMatch(/^early\s+0\/2\s+Pending\s/);

    await docker.up();
    await cluster.untilNode(up);
    await cluster.untilPod("early", ready);
    expect(await running("early")).toHaveLength(3);
  });

  test("killed (its containers live on without it): NotReady with the reason, nothing hangs, nothing is lost", async () => {
    const before = await cluster.untilPod("early", ready);
    await docker.down("SIGKILL");
    const away = nodeReady(await cluster.untilNode(down));
    expect(away).toMatchObject({ reason: "ContainerRuntimeDown" });
    expect(away?.message).toContain(docker.socket);
    const soon = { deadline: DEADLINE };
    expect(await cluster.kubectlOk(["get", "nodes", "--no-headers"], soon)).toMatch(/^node-1\s+NotReady\s/);
    expect(await cluster.kubectlOk(["describe", "node", "node-1"], soon)).toMatch(
      /Ready\s+False\s.*ContainerRuntimeDown\s+.*Docker/,
    );
    const logs = await cluster.kubectl(["logs", "early", "-c", "main"], soon);
    expect(logs.code).toBe(1);
    expect(logs.stderr).toMatch(/Docker/);
    const exec = await cluster.cli(["exec", "early", "-c", "main", "--", "true"], soon);
    expect(exec.code).not.toBe(0);
    expect(exec.stderr).toMatch(/Docker/);

    await cluster.client.resource(configMaps, "default").create({ metadata: { name: "meanwhile" }, data: { a: "b" } });
    await create("late");
    expect(await cluster.cliOk(["get", "pods", "--no-headers"], soon)).toMatch(
      /^early\s+\d\/2\s[\s\S]*^late\s+0\/1\s+Pending\s/m,
    );

    await docker.up();
    await cluster.untilNode(up);
    const after = await cluster.untilPod("early", renewed(before));
    expect(after.metadata.uid).toBe(before.metadata.uid);
    await cluster.untilPod("late", ready);
    expect(await running("early")).toHaveLength(3);
    expect(await running("late")).toHaveLength(2);
    expect(await cluster.kubectlOk(["logs", "early", "-c", "main"], soon)).toBe("started\n");
  });

  test("stopped in good order, while mini-kube itself is killed and a Pod deleted: put right once both are back", async () => {
    const before = await cluster.untilPod("early", ready);
    await docker.down("SIGTERM");
    await cluster.untilNode(down);
    await cluster.client.resource(pods, "default").delete("late");
    await cluster.kill9();
    await cluster.up();
    expect(await cluster.cliOk(["get", "nodes", "--no-headers"])).toMatch(/^node-1\s+NotReady\s/);

    await docker.up();
    await cluster.untilNode(up);
    await cluster.untilPod("early", renewed(before));
    await cluster.kubectlOk(["wait", "--for=delete", "pod/late", "--timeout=20s"]);
    expect(await cluster.containers("label=io.mini-kube.pod.name=late")).toEqual([]);
    expect(await running("early")).toHaveLength(3);
  });
});
