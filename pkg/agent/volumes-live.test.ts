/** Files of volumes that follow what they come from, as long as the Pod runs. */
import { describe, expect, test } from "@jest/globals";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "../client/client.ts";
import type { Call, Transport } from "../client/transport.ts";
import { rfc3339 } from "../util/clock.ts";
import { FakeClock } from "../util/fake-clock.ts";
import { Harness, podOf } from "./testing/harness.ts";
import { Tokens } from "./tokens.ts";

const configMap = (data: Record<string, string>) => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name: "settings", namespace: "default" },
  data,
});

test("a mounted ConfigMap follows its object within two minutes; when that is gone, the files stay", async () => {
  const dataDir = await mkdtemp(join(tmpdir(), "mk-agent-"));
  try {
    await using h = new Harness({ agent: { dataDir } });
    h.api.put("configmaps", configMap({ color: "red" }));
    const volumes = [{ name: "conf", configMap: { name: "settings" } }];
    h.create("web", [{ volumeMounts: [{ name: "conf", mountPath: "/conf" }] }], { volumes });
    h.start();
    await h.untilRunning("web");
    const file = join(dataDir, "pods", "web-uid", "volumes", "conf", "color");
    const reads = (text: string) => () => readFileSync(file, "utf8") === text;
    expect(reads("red")()).toBe(true);
    h.api.put("configmaps", configMap({ color: "blue" }));
    await h.until(reads("blue"), 120_000);
    h.api.fault = (c) => {
      if (c.resource === "configmaps") throw new Error("out of order");
    };
    await h.until(() => h.events("FailedMount").length > 0, 120_000);
    expect(await readFile(file, "utf8")).toBe("blue");
    expect(h.pod("web")?.status?.phase).toBe("Running");
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
});

describe("tokens", () => {
  function start() {
    const clock = new FakeClock();
    const calls: Call[] = [];
    const transport: Transport = {
      call(c) {
        calls.push(c);
        const { spec } = c.body as { spec: { expirationSeconds: number } };
        const expirationTimestamp = rfc3339(clock.now() + spec.expirationSeconds * 1000);
        return Promise.resolve({ status: { token: `t${calls.length}`, expirationTimestamp } });
      },
      watch: () => {
        throw new Error("nothing to watch");
      },
    };
    return { clock, calls, tokens: new Tokens({ client: new Client(transport, "kubelet"), clock }) };
  }

  test("are bound to the Pod, kept for four fifths of their life, then made anew", async () => {
    const { clock, calls, tokens } = start();
    const pod = podOf("web", [{}], { serviceAccountName: "robot" });
    const source = { path: "token", expirationSeconds: 1_000 };
    expect(await tokens.get(pod, source)).toBe("t1");
    await clock.advance(799_000);
    expect(await tokens.get(pod, source)).toBe("t1");
    await clock.advance(2_000);
    expect(await tokens.get(pod, source)).toBe("t2");
    expect(calls[0]).toMatchObject({
      verb: "create",
      resource: "serviceaccounts",
      namespace: "default",
      name: "robot",
      subresource: "token",
      body: { spec: { audiences: [], boundObjectRef: { kind: "Pod", name: "web", uid: "web-uid" } } },
    });
  });

  test("differ by audience and Pod", async () => {
    const { tokens } = start();
    const source = { path: "token" };
    expect(await tokens.get(podOf("a", [{}]), source)).toBe("t1");
    expect(await tokens.get(podOf("a", [{}]), { ...source, audience: "vault" })).toBe("t2");
    expect(await tokens.get(podOf("b", [{}]), source)).toBe("t3");
  });
});
