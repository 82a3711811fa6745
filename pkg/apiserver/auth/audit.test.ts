import { describe, expect, test } from "@jest/globals";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onPath, onResource } from "../../api/rbac/attributes.ts";
import { ApiError } from "../../api/status.ts";
import { seededRandom } from "../../util/clock.ts";
import { FakeClock } from "../../util/fake-clock.ts";
import { silent } from "../../util/log.ts";
import { openAuditLog } from "./audit-log.ts";
import { type AuditPolicy, type Level, levelFor, policyOfLevel, readPolicy } from "./audit-policy.ts";
import { Audit } from "./audit.ts";

const eve = { name: "eve", groups: ["devs"] };

describe("policy", () => {
  const policy = readPolicy({
    apiVersion: "audit.k8s.io/v1",
    kind: "Policy",
    rules: [
      {
        level: "None",
        users: ["system:kube-proxy"],
        verbs: ["watch"],
        resources: [{ group: "", resources: ["endpoints"] }],
      },
      { level: "None", nonResourceURLs: ["/healthz*", "/version"] },
      { level: "Metadata", resources: [{ group: "", resources: ["secrets", "pods/exec", "*/proxy"] }] },
      { level: "Request", namespaces: ["kube-system"], resources: [{ group: "*", resources: ["*"] }] },
      { level: "Request", userGroups: ["devs"], resources: [{ group: "apps" }] },
      { level: "RequestResponse", resources: [{ group: "", resources: ["configmaps"], resourceNames: ["c"] }] },
      { level: "Metadata", namespaces: [""], verbs: ["list"] },
    ],
  });
  const ask = (what: Parameters<typeof onResource>[2], verb = "get", user = eve) => onResource(user, verb, what);
  test.each<[string, ReturnType<typeof ask>, Level]>([
    [
      "the first rule that fits",
      ask({ resource: "endpoints" }, "watch", { ...eve, name: "system:kube-proxy" }),
      "None",
    ],
    ["another user", ask({ resource: "endpoints", namespace: "a" }, "watch"), "None"],
    ["a path", onPath(eve, "get", "/healthz/ping"), "None"],
    ["another path", onPath(eve, "get", "/metrics"), "None"],
    ["a resource", ask({ resource: "secrets" }), "Metadata"],
    ["a subresource", ask({ resource: "pods", subresource: "exec" }), "Metadata"],
    ["not the resource above it", ask({ resource: "pods", namespace: "a" }), "None"],
    ["a subresource of any", ask({ resource: "nodes", subresource: "proxy" }), "Metadata"],
    ["a namespace", ask({ resource: "pods", subresource: "log", namespace: "kube-system" }), "Request"],
    [
      "a group of users and of resources",
      ask({ apiGroup: "apps", resource: "deployments", namespace: "a" }),
      "Request",
    ],
    ["a name", ask({ resource: "configmaps", name: "c", namespace: "a" }), "RequestResponse"],
    ["another name", ask({ resource: "configmaps", name: "d", namespace: "a" }), "None"],
    ["no namespace", ask({ resource: "nodes" }, "list"), "Metadata"],
  ])("%s", (_, attributes, level) => {
    expect(levelFor(policy, attributes)).toBe(level);
  });

  test.each<[unknown, string]>([
    [{}, "not a Policy of audit.k8s.io/v1"],
    [undefined, "not a Policy of audit.k8s.io/v1"],
    [{ apiVersion: "audit.k8s.io/v1", kind: "Policy" }, "rules: at least one is needed"],
    [
      { apiVersion: "audit.k8s.io/v1", kind: "Policy", rules: [{ level: "All" }] },
      'rules[0].level: "All": choose None, Metadata, Request, RequestResponse',
    ],
  ])("%j is none", (value, why) => {
    expect(() => readPolicy(value)).toThrow(why);
  });
});

function setUp(policy: AuditPolicy, taken = true) {
  const lines: string[] = [];
  const clock = new FakeClock();
  const sink = (line: string) => {
    if (taken) lines.push(line);
    return taken;
  };
  const audit = new Audit({ policy, sink, clock, random: seededRandom(1) });
  const begin = (headers: Record<string, string> = {}) => {
    const socket = { remoteAddress: "10.0.0.1" };
    const req = { method: "POST", url: "/api/v1/namespaces/a/configmaps?x=1", headers, socket };
    return audit.begin(req as unknown as IncomingMessage);
  };
  return { audit, clock, begin, events: () => lines.map((l) => JSON.parse(l) as Record<string, unknown>), lines };
}

describe("events", () => {
  const body = { metadata: { name: "c" }, data: { k: "v" } };
  const what = { resource: "configmaps", namespace: "a" };

  test("of a request that was allowed, as much as the level says", async () => {
    const tell = async (level: Level) => {
      const { begin, clock, events } = setUp(policyOfLevel(level));
      const trail = begin({ "user-agent": "kubectl", "audit-id": "mine" });
      trail.attributes = onResource(eve, "create", what);
      trail.apiVersion = "v1";
      trail.decision = { allowed: true, reason: "because" };
      trail.requestObject = body;
      trail.response = Buffer.from(JSON.stringify({ ...body, kind: "ConfigMap" }));
      await clock.advance(1500);
      trail.end(201);
      trail.end(500);
      return events();
    };
    const metadata = {
      kind: "Event",
      apiVersion: "audit.k8s.io/v1",
      level: "Metadata",
      auditID: "mine",
      stage: "ResponseComplete",
      requestURI: "/api/v1/namespaces/a/configmaps?x=1",
      verb: "create",
      user: { username: "eve", groups: ["devs"] },
      sourceIPs: ["10.0.0.1"],
      userAgent: "kubectl",
      objectRef: { resource: "configmaps", namespace: "a", name: "c", apiVersion: "v1" },
      responseStatus: { metadata: {}, code: 201 },
      requestReceivedTimestamp: "2026-01-01T00:00:00.000000Z",
      stageTimestamp: "2026-01-01T00:00:01.500000Z",
      annotations: { "authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": "because" },
    };
    expect(await tell("None")).toEqual([]);
    expect(await tell("Metadata")).toEqual([metadata]);
    expect(await tell("Request")).toEqual([{ ...metadata, level: "Request", requestObject: body }]);
    expect(await tell("RequestResponse")).toEqual([
      { ...metadata, level: "RequestResponse", requestObject: body, responseObject: { ...body, kind: "ConfigMap" } },
    ]);
  });

  test("of one that was refused, or came from nobody", () => {
    const { begin, events } = setUp(policyOfLevel("Metadata"));
    const refused = begin();
    refused.impersonator = { name: "admin", groups: [] };
    refused.attributes = onResource(eve, "create", what);
    refused.decision = { allowed: false, reason: "" };
    refused.error = new ApiError("Forbidden", "no");
    refused.end(403);
    const unknown = begin();
    unknown.error = new ApiError("Unauthorized", "Unauthorized");
    unknown.end(401);
    expect(events()).toEqual([
      expect.objectContaining({
        user: { username: "admin", groups: [] },
        impersonatedUser: { username: "eve", groups: ["devs"] },
        responseStatus: { metadata: {}, status: "Failure", message: "no", reason: "Forbidden", code: 403 },
        annotations: { "authorization.k8s.io/decision": "forbid", "authorization.k8s.io/reason": "" },
      }),
      expect.objectContaining({
        verb: "post",
        user: { username: "", groups: [] },
        responseStatus: { metadata: {}, status: "Failure", message: "Unauthorized", reason: "Unauthorized", code: 401 },
      }),
    ]);
  });

  test("what the log cannot take is counted, and nobody waits (A1)", () => {
    const { audit, begin } = setUp(policyOfLevel("Metadata"), false);
    for (let i = 0; i < 3; i++) begin().end(200);
    expect(audit.dropped).toBe(3);
  });
});

describe("the file", () => {
  test("grows by whole lines; what comes too fast is lost, and what was taken is there after the close", async () => {
    const directory = mkdtempSync(join(tmpdir(), "audit-"));
    const file = join(directory, "audit.log");
    const line = `${"x".repeat(1024 * 1024 - 1)}\n`;
    let taken = 0;
    for (let round = 0; round < 2; round++) {
      const log = await openAuditLog(file, silent);
      const took = Array.from({ length: 12 }, () => log.sink(line));
      expect(took.slice(0, 7)).toEqual(Array(7).fill(true));
      expect(took.at(-1)).toBe(false);
      taken += took.filter(Boolean).length;
      await log.close();
    }
    expect(readFileSync(file, "utf8")).toBe(line.repeat(taken));
    rmSync(directory, { recursive: true });
  });

  test("must be writable", async () => {
    await expect(openAuditLog("/nowhere/at/all", silent)).rejects.toThrow("ENOENT");
  });
});
