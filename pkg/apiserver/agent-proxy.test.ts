import { describe, expect, test } from "@jest/globals";
import type { ServerResponse } from "node:http";
import type { Node, Pod } from "../api/generated/types.ts";
import { createCa } from "../util/pki.ts";
import { AgentProxy, agentTarget, chooseContainer } from "./agent-proxy.ts";

const pod = (containers: string[], o: { init?: string[]; annotation?: string; nodeName?: string } = {}): Pod => ({
  metadata: {
    name: "web",
    namespace: "default",
    ...(o.annotation && { annotations: { "kubectl.kubernetes.io/default-container": o.annotation } }),
  },
  spec: {
    containers: containers.map((name) => ({ name })),
    initContainers: (o.init ?? []).map((name) => ({ name })),
    ...(o.nodeName && { nodeName: o.nodeName }),
  },
});

const node = (port: number): Node => ({
  metadata: { name: "n1" },
  status: {
    addresses: [{ type: "InternalIP", address: "127.0.0.1" }],
    daemonEndpoints: { kubeletEndpoint: { Port: port } },
  },
});

describe("which container", () => {
  test.each([
    ["the only one", pod(["a"]), null, "a"],
    ["the one named", pod(["a", "b"]), "b", "b"],
    ["an init container by name", pod(["a"], { init: ["i"] }), "i", "i"],
    ["the annotated default", pod(["a", "b"], { annotation: "b" }), null, "b"],
  ])("%s", (_, p, named, expected) => {
    expect(chooseContainer(p, named)).toBe(expected);
  });

  test.each([
    ["several", pod(["a", "b"]), null, "a container name must be specified for pod web, choose one of: [a b]"],
    [
      "several, with init containers",
      pod(["a", "b"], { init: ["i"] }),
      null,
      "a container name must be specified for pod web, choose one of: [a b] or one of the init containers: [i]",
    ],
    ["a stale annotation", pod(["a", "b"], { annotation: "gone" }), null, "a container name must be specified"],
    ["unknown", pod(["a"]), "x", "container x is not valid for pod web"],
  ])("refused: %s", (_, p, named, message) => {
    expect(() => chooseContainer(p, named)).toThrow(message);
  });
});

describe("which agent", () => {
  test("the query goes on, less the container", () => {
    const query = new URLSearchParams("container=a&command=sh&command=-c&stdin=true");
    expect(agentTarget(pod(["a"], { nodeName: "n1" }), node(10250), "exec", query)).toEqual({
      nodeName: "n1",
      host: "127.0.0.1",
      port: 10250,
      path: "/exec/default/web/a?command=sh&command=-c&stdin=true",
    });
  });

  test("a Pod without a node, and a node without an address, are said", () => {
    const none = new URLSearchParams();
    expect(() => agentTarget(pod(["a"]), undefined, "log", none)).toThrow("pod web does not have a host assigned");
    expect(() => agentTarget(pod(["a"], { nodeName: "n1" }), undefined, "log", none)).toThrow(
      "node n1 has not said where its agent listens",
    );
  });

  test("an agent that cannot be reached is ServiceUnavailable with the node's name", async () => {
    const ca = await createCa("test-ca", 0);
    const proxy = new AgentProxy({ ...ca, ca: ca.cert });
    const target = { nodeName: "n1", host: "127.0.0.1", port: 1, path: "/" };
    await expect(proxy.stream(target, {} as ServerResponse)).rejects.toMatchObject({
      code: 503,
      message: expect.stringContaining("the agent of node n1 at https://127.0.0.1:1 cannot be reached"),
    });
    proxy.close();
  });
});
