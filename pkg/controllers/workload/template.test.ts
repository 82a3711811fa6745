import { describe, expect, test } from "@jest/globals";
import type { PodSpec, PodTemplateSpec } from "../../api/generated/types.ts";
import { canonicalTemplate } from "./template.ts";

const template = (spec: Partial<PodSpec>, metadata: object = {}): PodTemplateSpec => ({
  metadata: { labels: { app: "web" }, ...metadata },
  spec: { containers: [{ name: "a", image: "app" }], ...spec },
});
const container = (more: object): Partial<PodSpec> => ({ containers: [{ name: "a", image: "app", ...more }] });
const spread = (more: object): Partial<PodSpec> => ({
  topologySpreadConstraints: [{ maxSkew: 1, topologyKey: "zone", whenUnsatisfiable: "DoNotSchedule", ...more }],
});

describe("what Go leaves out or adds changes nothing", () => {
  test.each<[string, PodTemplateSpec]>([
    ["an empty struct", template({ ...container({ resources: {} }), securityContext: {} })],
    ["an empty list", template(container({ env: [], ports: [] }))],
    ["a zero that is not a pointer", template({ ...container({ stdin: false }), hostNetwork: false })],
    ["null", template({}, { creationTimestamp: null })],
    ["the hash of a ReplicaSet", template({}, { labels: { "pod-template-hash": "x", app: "web" } })],
    [
      "the order of keys",
      { spec: { containers: [{ image: "app", name: "a" }] }, metadata: { labels: { app: "web" } } },
    ],
  ])("%s", (_, same) => {
    expect(canonicalTemplate(same)).toBe(canonicalTemplate(template({})));
  });

  test("another spelling of a quantity", () => {
    const limited = (cpu: string) => template(container({ resources: { limits: { cpu } } }));
    expect(canonicalTemplate(limited("0.5"))).toBe(canonicalTemplate(limited("500m")));
    expect(canonicalTemplate(limited("0.5"))).not.toBe(canonicalTemplate(limited("501m")));
  });
});

describe("what has a meaning of its own counts", () => {
  test.each<[string, PodTemplateSpec, PodTemplateSpec]>([
    ["a zero that is a pointer", template({}), template(container({ securityContext: { runAsUser: 0 } }))],
    ["no", template({}), template(container({ securityContext: { allowPrivilegeEscalation: false } }))],
    ["a selector of everything", template(spread({})), template(spread({ labelSelector: {} }))],
    ["an annotation", template({}), template({}, { annotations: { restartedAt: "now" } })],
    ["an empty value of a label", template({}), template({}, { labels: { app: "web", tier: "" } })],
    ["the order of a list", template(container({ args: ["a", "b"] })), template(container({ args: ["b", "a"] }))],
  ])("%s", (_, a, b) => {
    expect(canonicalTemplate(a)).not.toBe(canonicalTemplate(b));
  });
});
