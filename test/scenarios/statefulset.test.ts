/** StatefulSets and DaemonSets on real Docker, as their users drive them: with kubectl. */
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { ready, TestCluster } from "../harness/cluster.ts";
import { ensureTestImages } from "../images/images.ts";

let cluster: TestCluster;
const kubectl = (...args: string[]) => cluster.kubectlOk(args);

beforeAll(async () => {
  await ensureTestImages();
  cluster = await TestCluster.start();
});
afterAll(() => cluster?.remove());

async function apply(name: string, manifest: object): Promise<void> {
  const file = join(cluster.home, `${name}.json`);
  writeFileSync(file, JSON.stringify(manifest));
  await kubectl("apply", "-f", file);
}

const template = (app: string) => ({
  metadata: { labels: { app } },
  spec: {
    terminationGracePeriodSeconds: 0,
    containers: [
      {
        name: "main",
        image: "busybox:1.36",
        command: ["sleep", "3600"],
        env: [{ name: "COLOUR", value: "blue" }],
      },
    ],
  },
});
const selector = (app: string) => ({ matchLabels: { app } });
const rolledOut = (what: string) => kubectl("rollout", "status", what, "--timeout=90s");
const pick = (path: string, what: string, ...more: string[]) => kubectl("get", what, ...more, "-o", `jsonpath=${path}`);
/** `db-0=blue db-1=red`, in the order of names. */
const colours = (app: string) =>
  pick("{range .items[*]}{.metadata.name}={.spec.containers[0].env[0].value} {end}", "pods", "-l", `app=${app}`);

describe("a StatefulSet", () => {
  beforeAll(async () => {
    await apply("db", {
      apiVersion: "apps/v1",
      kind: "StatefulSet",
      metadata: { name: "db" },
      spec: { replicas: 3, serviceName: "db", selector: selector("db"), template: template("db") },
    });
  });

  test("comes up one after the other, each with a name of its own", async () => {
    expect(await rolledOut("sts/db")).toMatch(
      /partitioned roll out complete: 3 new pods have been updated|statefulset rolling update complete 3 pods/,
    );
    const events = await pick(
      "{range .items[*]}{.message}\n{end}",
      "events",
      "--field-selector",
      "involvedObject.kind=StatefulSet",
    );
    expect(events.match(/create Pod db-\d/g)).toEqual(["create Pod db-0", "create Pod db-1", "create Pod db-2"]);
    expect(await kubectl("exec", "db-1", "--", "hostname")).toBe("db-1\n");
    expect(await kubectl("get", "sts", "db", "--no-headers")).toMatch(/^db\s+3\/3\s+\d+/);
  });

  test("goes down from the last, and comes back under the same names", async () => {
    await kubectl("scale", "sts/db", "--replicas=1");
    await kubectl("wait", "--for=delete", "pod/db-1", "--timeout=60s");
    expect(await colours("db")).toBe("db-0=blue ");
    await kubectl("scale", "sts/db", "--replicas=3");
    await rolledOut("sts/db");
    const before = await cluster.untilPod("db-1", ready);
    await kubectl("delete", "pod", "db-1", "--wait");
    const after = await cluster.untilPod("db-1", (p) => ready(p) && p.metadata.uid !== before.metadata.uid);
    expect(after.spec?.hostname).toBe("db-1");
    expect(await colours("db")).toBe("db-0=blue db-1=blue db-2=blue ");
  });

  test("rolls out as far as the partition says, and back again", async () => {
    const partition = (n: number) => `{"spec":{"updateStrategy":{"rollingUpdate":{"partition":${n}}}}}`;
    await kubectl("patch", "sts", "db", "-p", partition(2));
    await kubectl("set", "env", "sts/db", "COLOUR=red");
    expect(await rolledOut("sts/db")).toMatch(/partitioned roll out complete: 1 new pods have been updated/);
    expect(await colours("db")).toBe("db-0=blue db-1=blue db-2=red ");
    await kubectl("patch", "sts", "db", "-p", partition(0));
    await rolledOut("sts/db");
    expect(await colours("db")).toBe("db-0=red db-1=red db-2=red ");

    expect(await kubectl("rollout", "history", "sts/db")).toMatch(/REVISION\s+CHANGE-CAUSE\n1\s+<none>\n2\s+<none>/);
    expect(await kubectl("rollout", "history", "sts/db", "--revision=1")).toMatch(/COLOUR:\s+blue/);
    await kubectl("rollout", "undo", "sts/db", "--to-revision=1");
    await rolledOut("sts/db");
    expect(await colours("db")).toBe("db-0=blue db-1=blue db-2=blue ");
    expect(await kubectl("rollout", "history", "sts/db")).toMatch(/\n2\s+<none>\n3\s+<none>/);
  });
});

describe("a DaemonSet", () => {
  test("runs on the node, is rolled out, restarted and rolled back", async () => {
    await apply("log", {
      apiVersion: "apps/v1",
      kind: "DaemonSet",
      metadata: { name: "log" },
      spec: { selector: selector("log"), template: template("log") },
    });
    expect(await rolledOut("ds/log")).toMatch(/daemon set "log" successfully rolled out/);
    const where = () => pick("{.items[*].spec.nodeName}", "pods", "-l", "app=log");
    expect(await where()).toBe(cluster.nodeName);
    await kubectl("set", "env", "ds/log", "COLOUR=red");
    await rolledOut("ds/log");
    expect(await colours("log")).toMatch(/^log-\w{5}=red $/);
    const before = await kubectl("get", "pods", "-l", "app=log", "-o", "name");
    await kubectl("rollout", "restart", "ds/log");
    await rolledOut("ds/log");
    expect(await kubectl("get", "pods", "-l", "app=log", "-o", "name")).not.toBe(before);
    await kubectl("rollout", "undo", "ds/log", "--to-revision=1");
    await rolledOut("ds/log");
    expect(await colours("log")).toMatch(/^log-\w{5}=blue $/);
    expect(await kubectl("get", "ds", "log", "--no-headers")).toMatch(/^log\s+1\s+1\s+1\s+1\s+1\s+<none>/);
  });

  test("stays on a node that is cordoned", async () => {
    await kubectl("cordon", cluster.nodeName);
    const [name = ""] = (await kubectl("get", "pods", "-l", "app=log", "-o", "name")).trim().split("\n");
    await kubectl("delete", name, "--wait");
    await rolledOut("ds/log");
    expect(await colours("log")).toMatch(/^log-\w{5}=blue $/);
    await kubectl("uncordon", cluster.nodeName);
  });
});
