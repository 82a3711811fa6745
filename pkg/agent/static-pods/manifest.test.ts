import { describe, expect, test } from "@jest/globals";
import type { Pod } from "../facts.ts";
import { isStatic, ManifestError, staticPod } from "./manifest.ts";
import { planMirrors } from "./plan.ts";

const WEB = `
apiVersion: v1
kind: Pod
metadata: { name: web, labels: { app: web }, annotations: { a: b } }
spec: { containers: [{ name: main, image: nginx }] }
`;
const withSpec = (spec: string) => `{apiVersion: v1, kind: Pod, metadata: {name: web}, spec: {${spec}}}`;
const main = "containers: [{name: main, image: nginx}]";

describe("a static Pod", () => {
  test("is named after its node, bound to it, and stays whatever happens to it", () => {
    const pod = staticPod(WEB, "web.yaml", "n1");
    expect(pod.metadata).toEqual({
      name: "web-n1",
      namespace: "default",
      uid: expect.stringMatching(/^[0-9a-f]{32}$/),
      labels: { app: "web" },
      annotations: { a: "b", "kubernetes.io/config.source": "file", "kubernetes.io/config.hash": pod.metadata.uid },
    });
    expect(pod.spec).toMatchObject({
      nodeName: "n1",
      restartPolicy: "Always",
      tolerations: [{ operator: "Exists", effect: "NoExecute" }],
    });
    expect(isStatic(pod)).toBe(true);
  });

  test("is another one when its content, its file or its node is another; the same file is the same Pod", () => {
    const uid = (text: string, file = "web.yaml", node = "n1") => staticPod(text, file, node).metadata.uid;
    expect(uid(WEB)).toBe(uid(WEB));
    const others = [uid(WEB.replace("nginx", "nginx:2")), uid(WEB, "b.yaml"), uid(WEB, "web.yaml", "n2")];
    expect(new Set([uid(WEB), ...others]).size).toBe(4);
  });

  test.each([
    ["no YAML", "a: [", /web\.yaml/],
    ["nothing", "", "0 objects: one Pod to a file"],
    ["two objects", `${WEB}---${WEB}`, "2 objects: one Pod to a file"],
    ["another kind", "{apiVersion: v1, kind: Service}", "it holds a Service, not a v1 Pod"],
    ["no name", "{apiVersion: v1, kind: Pod, spec: {}}", "metadata.name: Required value"],
    ["an unknown field", withSpec(`${main}, colour: red`), /unknown field "spec.colour"/],
    ["no containers", withSpec(""), /spec.containers: Required value/],
    ["a Secret", withSpec(`${main}, imagePullSecrets: [{name: s}]`), "a static Pod cannot refer to secrets"],
    ["an account", withSpec(`${main}, serviceAccountName: bot`), "a static Pod cannot refer to serviceaccounts"],
  ])("is refused with a reason: %s", (_, text, message) => {
    expect(() => staticPod(text, "web.yaml", "n1")).toThrow(ManifestError);
    expect(() => staticPod(text, "web.yaml", "n1")).toThrow(message);
  });
});

describe("mirrors", () => {
  const pod = (name: string, uid: string): Pod => ({ metadata: { name, namespace: "default", uid } });
  const mirror = (name: string, hash: string, more: object = {}): Pod => ({
    metadata: { name, namespace: "default", annotations: { "kubernetes.io/config.mirror": hash }, ...more },
  });
  const a = pod("a", "1");

  test.each([
    ["missing", [a], [], ["create a"]],
    ["right", [a], [mirror("a", "1")], []],
    ["of what the file said before", [a], [mirror("a", "0")], ["delete a: Changed"]],
    [
      "deleted by somebody",
      [a],
      [mirror("a", "1", { deletionTimestamp: "2026-01-01T00:00:00Z" })],
      ["delete a: Deleted"],
    ],
    ["of a file that is gone", [], [mirror("a", "1")], ["delete a: Gone"]],
    ["several", [a, pod("b", "2")], [mirror("a", "1"), mirror("c", "3")], ["delete c: Gone", "create b"]],
  ])("%s", (_, pods, found, actions) => {
    const told = planMirrors(pods, found).map((x) =>
      x.type === "create" ? `create ${x.pod.metadata.name}` : `delete ${x.mirror.metadata.name}: ${x.reason}`,
    );
    expect(told).toEqual(actions);
  });
});
