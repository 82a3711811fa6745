/** Groups of one or two kinds: node, apiregistration, flowcontrol, metrics; and ComponentStatus. */
import { describe, expect, test } from "@jest/globals";
import type { ApiObject } from "../object.ts";
import type { ResourceDef } from "../resource.ts";
import { apiServices } from "./apiregistration/apiservice.ts";
import { componentStatuses } from "./core/componentstatus.ts";
import { flowSchemas } from "./flowcontrol/flowschema.ts";
import { priorityLevelConfigurations } from "./flowcontrol/prioritylevelconfiguration.ts";
import { nodeMetrics, podMetrics } from "./metrics/metrics.ts";
import { runtimeClasses } from "./node/runtimeclass.ts";
import { complaints, created, headings, row, updated } from "./testing/writes.ts";

const named = (name: string, rest: object) => ({ metadata: { name }, ...rest });
const apiSpec = { group: "g.example.com", version: "v1", groupPriorityMinimum: 100, versionPriority: 10 };
const service = { namespace: "default", name: "api" };
const api = (more: object = {}, name = "v1.g.example.com") =>
  created(apiServices, named(name, { spec: { ...apiSpec, service, ...more } }));
const flow = (spec: object) =>
  created(flowSchemas, named("f", { spec: { priorityLevelConfiguration: { name: "low" }, ...spec } }));
const level = (spec: object, name = "l") => created(priorityLevelConfigurations, named(name, { spec }));

describe("what kubectl get shows", () => {
  function shows<T extends ApiObject>(def: ResourceDef<T>, o: T, heads: string, cells: unknown[]) {
    test(`of ${def.plural}.${def.group}: ${cells.join(" ")}`, () => {
      expect(complaints(def, o)).toEqual([]);
      expect(headings(def)).toBe(heads);
      expect(row(def, o)).toEqual(cells);
    });
  }
  const runsc = created(runtimeClasses, named("gvisor", { handler: "runsc" }));
  shows(runtimeClasses, runsc, "Name Handler Age", ["gvisor", "runsc", "60m"]);

  const reported = (status: string, reason: string) => ({
    ...api(),
    status: { conditions: [{ type: "Available", status, reason }] },
  });
  const heads = "Name Service Available Age";
  shows(apiServices, api(), heads, ["v1.g.example.com", "default/api", "Unknown", "60m"]);
  shows(apiServices, reported("True", "Passed"), heads, ["v1.g.example.com", "default/api", "True", "60m"]);
  const missing = ["v1.g.example.com", "default/api", "False (ServiceNotFound)", "60m"];
  shows(apiServices, reported("False", "ServiceNotFound"), heads, missing);
  shows(apiServices, api({ service: undefined }), heads, ["v1.g.example.com", "Local", "True", "60m"]);

  const flows = "Name PriorityLevel MatchingPrecedence DistinguisherMethod Age MissingPL";
  shows(flowSchemas, flow({ distinguisherMethod: { type: "ByUser" } }), flows, [
    "f",
    "low",
    1000,
    "ByUser",
    "60m",
    "?",
  ]);
  const levels = "Name Type NominalConcurrencyShares Queues HandSize QueueLengthLimit Age";
  const queue = { type: "Limited", limited: { limitResponse: { type: "Queue", queuing: {} } } };
  shows(priorityLevelConfigurations, level(queue), levels, ["l", "Limited", 30, 64, 8, 50, "60m"]);
  const exempt = ["exempt", "Exempt", "<none>", "<none>", "<none>", "<none>", "60m"];
  shows(priorityLevelConfigurations, level({ type: "Exempt", exempt: {} }, "exempt"), levels, exempt);

  const window = "30s";
  const timestamp = "2026-01-01T00:00:00Z";
  const nodeUsage = { timestamp, window, usage: { cpu: "156340n", memory: "1Gi" } };
  shows(nodeMetrics, created(nodeMetrics, named("n1", nodeUsage)), "Name cpu memory Window", [
    "n1",
    "156340n",
    "1Gi",
    "30s",
  ]);
  const containers = [
    { name: "a", usage: { cpu: "100m", memory: "10Mi" } },
    { name: "b", usage: { cpu: "1", memory: "20Mi" } },
  ];
  const podUsage = created(podMetrics, named("p", { timestamp, window, containers }));
  shows(podMetrics, podUsage, "Name cpu memory Window", ["p", "1100m", "30Mi", "30s"]);

  const health = (status: string) => ({ conditions: [{ type: "Healthy", status, message: "ok", error: "" }] });
  const statuses = "Name Status Message Error";
  shows(componentStatuses, created(componentStatuses, named("etcd-0", health("True"))), statuses, [
    "etcd-0",
    "Healthy",
    "ok",
    "",
  ]);
  shows(componentStatuses, created(componentStatuses, named("etcd-0", health("False"))), statuses, [
    "etcd-0",
    "Unhealthy",
    "ok",
    "",
  ]);
  shows(componentStatuses, created(componentStatuses, named("etcd-0", {})), statuses, ["etcd-0", "Unknown", "", ""]);
});

test("what is computed is only read", () => {
  for (const def of [nodeMetrics, podMetrics, componentStatuses]) {
    expect([def.virtual, def.verbs]).toEqual([true, ["get", "list"]]);
  }
});

describe("refused", () => {
  function refuses<T extends ApiObject>(def: ResourceDef<T>, o: T, message: string) {
    test(`${def.plural}: ${message}`, () => {
      expect(complaints(def, o).join("\n")).toContain(message);
    });
  }
  refuses(
    apiServices,
    api({}, "x"),
    'metadata.name: Invalid value: "x": must be `spec.version+"."+spec.group`: "v1.g.example.com"',
  );
  refuses(apiServices, api({ group: "" }), "must be `spec.version");
  refuses(
    apiServices,
    api({ version: "v2", group: "" }),
    "spec.group: Required value: only v1 may have an empty group and it better be legacy kube",
  );
  refuses(
    apiServices,
    api({ groupPriorityMinimum: 0 }),
    "spec.groupPriorityMinimum: Invalid value: 0: must be positive and less than 20000",
  );
  refuses(
    apiServices,
    api({ versionPriority: 1001 }),
    "spec.versionPriority: Invalid value: 1001: must be positive and less than 1000",
  );
  refuses(apiServices, api({ service: { name: "a" } }), "spec.service.namespace: Required value");
  refuses(
    apiServices,
    api({ insecureSkipTLSVerify: true, caBundle: "AAAA" }),
    "may not be true if caBundle is present",
  );
  refuses(
    apiServices,
    api({ service: undefined, insecureSkipTLSVerify: true }),
    "local APIServices may not have insecureSkipTLSVerify",
  );
  refuses(
    runtimeClasses,
    created(runtimeClasses, named("r", {})),
    'handler: Invalid value: "": a lowercase RFC 1123 label',
  );
  refuses(
    runtimeClasses,
    created(runtimeClasses, named("r", { handler: "h", overhead: { podFixed: { cpu: "-1" } } })),
    "overhead.podFixed[cpu]: Invalid value",
  );
  refuses(
    flowSchemas,
    flow({ priorityLevelConfiguration: {} }),
    "spec.priorityLevelConfiguration.name: Required value",
  );
  refuses(flowSchemas, flow({ matchingPrecedence: 10_001 }), "must not be greater than 10000");
  refuses(
    flowSchemas,
    flow({ rules: [{ subjects: [{ kind: "Robot" }] }] }),
    'spec.rules[0].subjects[0].kind: Unsupported value: "Robot"',
  );
  refuses(
    priorityLevelConfigurations,
    level({ type: "Limited" }),
    "spec.limited: Required value: must not be empty when type is Limited",
  );
  refuses(
    priorityLevelConfigurations,
    level({ type: "Exempt", limited: {} }, "exempt"),
    "spec.limited: Forbidden: must be nil if the type is not Limited",
  );
  const onlyExempt = "type must be 'Exempt' if and only if name is 'exempt'";
  refuses(priorityLevelConfigurations, level({ type: "Exempt" }), `spec.type: Invalid value: "Exempt": ${onlyExempt}`);
  const response = (limitResponse: object) => ({ type: "Limited", limited: { limitResponse } });
  const rejecting = response({ type: "Reject" });
  refuses(priorityLevelConfigurations, level(rejecting, "exempt"), onlyExempt);
  refuses(
    priorityLevelConfigurations,
    level(response({ type: "Queue" })),
    "spec.limited.limitResponse.queuing: Required value: must not be empty if limited.limitResponse.type is Limited",
  );
  const queues = (queuing: object) => level(response({ type: "Queue", queuing }));
  const at = "spec.limited.limitResponse.queuing";
  for (const [shape, complaint] of [
    [{ queues: 0, handSize: 1 }, "queues: Invalid value: 0: must be positive"],
    [{ queues: 10_000_001, handSize: 1 }, "queues: Invalid value: 10000001: must not be greater than 10000000"],
    [{ queues: 5, handSize: 6 }, "handSize: Invalid value: 6: should not be greater than queues (5)"],
    [
      { queues: 512, handSize: 8 },
      "handSize: Invalid value: 8: required entropy bits of deckSize 512 and handSize 8 should not be greater than 60",
    ],
    [{ handSize: 0 }, "handSize: Invalid value: 0: must be positive"],
    [{ queueLengthLimit: 0 }, "queueLengthLimit: Invalid value: 0: must be positive"],
  ] as const)
    refuses(priorityLevelConfigurations, queues(shape), `${at}.${complaint}`);
  const limited = (more: object) => level({ type: "Limited", limited: { limitResponse: { type: "Reject" }, ...more } });
  const percent = "lendablePercent: Invalid value: 101: must be between 0 and 100, inclusive";
  refuses(priorityLevelConfigurations, limited({ lendablePercent: 101 }), `spec.limited.${percent}`);
  refuses(
    priorityLevelConfigurations,
    level({ type: "Exempt", exempt: { lendablePercent: 101 } }, "exempt"),
    `spec.exempt.${percent}`,
  );
  const noLess = "Invalid value: -1: must be a non-negative integer";
  refuses(
    priorityLevelConfigurations,
    limited({ nominalConcurrencyShares: -1 }),
    `nominalConcurrencyShares: ${noLess}`,
  );
  refuses(
    priorityLevelConfigurations,
    limited({ borrowingLimitPercent: -1 }),
    "spec.limited.borrowingLimitPercent: Invalid value: -1: if specified, must be a non-negative integer",
  );

  test("another handler for the same class", () => {
    const old = created(runtimeClasses, named("r", { handler: "a" }));
    const next = updated(runtimeClasses, named("r", { handler: "b" }), old);
    expect(complaints(runtimeClasses, next, old)).toEqual(['handler: Invalid value: "b": field is immutable']);
  });
});
