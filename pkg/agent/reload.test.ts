/** Containers that are told of new files. */
import { describe, expect, test } from "@jest/globals";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { reloadCommands } from "./reload.ts";
import { Harness, podOf } from "./testing/harness.ts";

test.each([
  ["nginx -s reload", ["nginx", "-s", "reload"]],
  ['["sh", "-c", "kill -HUP 1"]', ["sh", "-c", "kill -HUP 1"]],
  ["  kill   -HUP 1 ", ["kill", "-HUP", "1"]],
  ["[nonsense", []],
  ["", []],
])("%j runs %j", (text, words) => {
  const pod = podOf("web", [{}]);
  pod.metadata.annotations = { "reload.mini-kube.io/web": text, other: "x" };
  expect([...reloadCommands(pod)]).toEqual([["web", words]]);
});

describe("a Pod that asks for a reload", () => {
  const configMap = (color: string) => ({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "settings", namespace: "default", uid: "settings-uid" },
    data: { color },
  });

  async function withPod(command: string, use: (h: Harness, file: () => string) => Promise<void>): Promise<void> {
    const dataDir = await mkdtemp(join(tmpdir(), "mk-agent-"));
    try {
      await using h = new Harness({ agent: { dataDir } });
      h.api.put("configmaps", configMap("red"));
      const pod = podOf("web", [{ volumeMounts: [{ name: "conf", mountPath: "/conf" }] }], {
        volumes: [{ name: "conf", configMap: { name: "settings" } }],
      });
      const [container = { name: "" }] = pod.spec?.containers ?? [];
      pod.metadata.annotations = { [`reload.mini-kube.io/${container.name}`]: command };
      h.api.put("pods", pod);
      h.start();
      await h.untilRunning("web");
      await use(h, () => readFileSync(join(dataDir, "pods", "web-uid", "volumes", "conf", "color"), "utf8"));
    } finally {
      await rm(dataDir, { recursive: true, force: true });
    }
  }

  test("has the new files at once, then the command is run, once a change", () =>
    withPod("true", async (h, file) => {
      // Equal events are one, with a count.
      const events = () => h.api.list("events") as unknown as { reason: string; count?: number }[];
      const told = () => events().reduce((sum, e) => sum + (e.reason === "Reloaded" ? (e.count ?? 1) : 0), 0);
      expect(told()).toBe(0);
      for (const [n, color] of ["blue", "green"].entries()) {
        h.api.put("configmaps", configMap(color));
        await h.until(() => told() === n + 1, 30_000);
        expect(file()).toBe(color);
      }
    }));

  test("is told when it makes no sense; it runs on", () =>
    withPod("[", async (h) => {
      h.api.put("configmaps", configMap("blue"));
      await h.until(() => h.events("FailedReload").length === 1, 30_000);
      expect(h.pod("web")?.status?.phase).toBe("Running");
    }));
});
