import { afterAll, afterEach, beforeAll, describe, expect, test } from "@jest/globals";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import type { Pod } from "../../../api/generated/types.ts";
import {
  mutatingWebhookConfigurations,
  validatingWebhookConfigurations,
} from "../../../api/kinds/admissionregistration/webhookconfiguration.ts";
import { services } from "../../../api/kinds/core/service.ts";
import { endpointSlices } from "../../../api/kinds/discovery/endpointslice.ts";
import type { ApiObject } from "../../../api/object.ts";
import { deployments } from "../../../api/kinds/apps/deployment.ts";
import { pods } from "../../../api/kinds/core/pod.ts";
import type { ResourceDef } from "../../../api/resource.ts";
import { seededRandom, systemClock } from "../../../util/clock.ts";
import { silent } from "../../../util/log.ts";
import { createCa, issueCert, type KeyPair } from "../../../util/pki.ts";
import type { AdmissionPlugin } from "../../admission.ts";
import { admit, type Asked, type Placed, request, viewOf } from "../testing/requests.ts";
import { mutatingWebhook, validatingWebhook } from "./plugin.ts";

interface Review {
  readonly request: Record<string, unknown> & { readonly uid: string; readonly object: ApiObject };
}
type Respond = (review: Review) => { code?: number; body: unknown } | "silence";

let ca: KeyPair;
let server: Server;
let port: number;
let respond: Respond;
const reviews: Review[] = [];

const allow =
  (rest: object = {}): Respond =>
  (r) => ({ body: answer(r, { allowed: true, ...rest }) });
const answer = (r: Review, response: object) => ({
  kind: "AdmissionReview",
  apiVersion: "admission.k8s.io/v1",
  response: { uid: r.request.uid, ...response },
});
const patch = (...operations: object[]) => ({
  patchType: "JSONPatch",
  patch: Buffer.from(JSON.stringify(operations)).toString("base64"),
});

beforeAll(async () => {
  const now = systemClock.now();
  ca = await createCa("hooks", now);
  const names = { dnsNames: ["hook.tools.svc"], ips: ["127.0.0.1"] };
  const pair = await issueCert(ca, { commonName: "hook", ...names, usages: ["server"] }, now);
  server = createServer(pair, (req, res) => {
    const chunks: Buffer[] = [];
    req.on("data", (chunk: Buffer) => chunks.push(chunk));
    req.on("end", () => {
      const review = JSON.parse(Buffer.concat(chunks).toString()) as Review;
      reviews.push(review);
      const said = respond(review);
      if (said === "silence") return;
      res.writeHead(said.code ?? 200).end(typeof said.body === "string" ? said.body : JSON.stringify(said.body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  ({ port } = server.address() as AddressInfo);
});

afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

afterEach(() => {
  reviews.length = 0;
});

const hook = (rest: object = {}) => ({
  name: "h.example.com",
  clientConfig: { url: `https://127.0.0.1:${port}/check`, caBundle: Buffer.from(ca.cert).toString("base64") },
  rules: [{ operations: ["*"], apiGroups: ["*"], apiVersions: ["*"], resources: ["*"] }],
  admissionReviewVersions: ["v1"],
  sideEffects: "None",
  timeoutSeconds: 5,
  ...rest,
});
const configuration = (ref: Placed[0], ...webhooks: object[]): Placed => [
  ref,
  { metadata: { name: "c" }, webhooks } as ApiObject,
];
const pod = (): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "web", namespace: "default" },
  spec: { containers: [{ name: "c", image: "i" }] },
});
const ask = (asked: Partial<Asked> = {}) => ({
  ...request({ plural: "pods", object: pod(), ...asked }),
  def: pods as unknown as ResourceDef,
});
const options = { clock: systemClock, random: seededRandom(1), log: silent, equivalents: () => [] };
const validating = validatingWebhook(options);
const mutating = (...before: AdmissionPlugin[]) => mutatingWebhook(options, before);
const validate = (h: object, asked: Partial<Asked> = {}, ...more: Placed[]) => {
  const r = ask(asked);
  const view = viewOf(configuration(validatingWebhookConfigurations, h), ...more);
  return admit(validating, r, view).then((refused) => ({ refused, warnings: r.warnings }));
};

describe("validating webhooks", () => {
  test("are asked with the request, its user and its objects", async () => {
    respond = allow({ warnings: ["mind the gap"] });
    const outcome = await validate(hook(), { user: { name: "alice", groups: ["devs"] } });
    expect(outcome).toEqual({ refused: undefined, warnings: ["mind the gap"] });
    expect(reviews).toMatchObject([
      {
        kind: "AdmissionReview",
        apiVersion: "admission.k8s.io/v1",
        request: {
          kind: { group: "", version: "v1", kind: "Pod" },
          resource: { group: "", version: "v1", resource: "pods" },
          requestKind: { group: "", version: "v1", kind: "Pod" },
          name: "web",
          namespace: "default",
          operation: "CREATE",
          userInfo: { username: "alice", groups: ["devs"] },
          object: { kind: "Pod", metadata: { name: "web" } },
          oldObject: null,
          dryRun: false,
          options: { kind: "CreateOptions", apiVersion: "meta.k8s.io/v1" },
        },
      },
    ]);
  });

  const call = 'Internal error occurred: failed calling webhook "h.example.com": ';
  test.each<[string, Respond, object, string | RegExp]>([
    [
      "denies",
      (r) => ({ body: answer(r, { allowed: false, status: { code: 403, reason: "Forbidden", message: "not you" } }) }),
      {},
      'admission webhook "h.example.com" denied the request: not you',
    ],
    [
      "denies without a word",
      (r) => ({ body: answer(r, { allowed: false }) }),
      {},
      'admission webhook "h.example.com" denied the request without explanation',
    ],
    [
      "fails",
      () => ({ code: 500, body: "broken" }),
      {},
      `${call}failed to call webhook: an error on the server ("broken") has prevented the request from succeeding`,
    ],
    [
      "is not there",
      () => ({ code: 404, body: "" }),
      {},
      `${call}failed to call webhook: the server could not find the requested resource`,
    ],
    [
      "answers another question",
      (r) => ({ body: { ...answer(r, {}), response: { uid: "x", allowed: true } } }),
      {},
      /received invalid webhook response: expected response.uid="[0-9a-f-]{36}", got "x"$/,
    ],
    [
      "does not answer in time",
      () => "silence",
      { timeoutSeconds: 1 },
      /failed to call webhook: Post "https:\/\/127.0.0.1:\d+\/check\?timeout=1s": context deadline exceeded$/,
    ],
    [
      "wants to change something",
      allow(patch({ op: "remove", path: "/spec" })),
      {},
      `${call}received invalid webhook response: validating webhook may not return response.patch`,
    ],
    [
      "listens nowhere",
      allow(),
      { clientConfig: { url: "https://127.0.0.1:1/" } },
      `${call}failed to call webhook: Post "https://127.0.0.1:1/?timeout=5s": dial tcp 127.0.0.1:1: connect: connection refused`,
    ],
    [
      "is a service that does not exist",
      allow(),
      { clientConfig: { service: { name: "no", namespace: "tools" } } },
      `${call}failed to call webhook: Post "https://no.tools.svc:443/?timeout=5s": service "no" not found`,
    ],
  ])("one that %s", async (_, how, rest, expected) => {
    respond = how;
    const { refused } = await validate(hook(rest));
    expect(refused).toMatch(typeof expected === "string" ? exactly(expected) : expected);
  });

  test("one that nobody vouches for is not believed", async () => {
    respond = allow();
    const { refused } = await validate(hook({ clientConfig: { url: `https://127.0.0.1:${port}/` } }));
    expect(refused).toContain("tls: failed to verify certificate: x509: certificate signed by unknown authority");
  });

  test("failurePolicy Ignore passes over failures, not over denials", async () => {
    respond = () => ({ code: 500, body: "" });
    expect((await validate(hook({ failurePolicy: "Ignore" }))).refused).toBeUndefined();
    respond = (r) => ({ body: answer(r, { allowed: false, status: { message: "no" } }) });
    expect((await validate(hook({ failurePolicy: "Ignore" }))).refused).toMatch(/denied the request: no$/);
  });

  test("a dry run is no place for side effects", async () => {
    respond = allow();
    const { refused } = await validate(hook({ sideEffects: "Some" }), { dryRun: true });
    expect(refused).toBe('admission webhook "h.example.com" does not support dry run');
    expect(reviews).toEqual([]);
    expect((await validate(hook({ sideEffects: "NoneOnDryRun" }), { dryRun: true })).refused).toBeUndefined();
  });

  test.each<[string, string, string | undefined, number]>([
    ["is true", "object.metadata.name == 'web' && request.userInfo.username == 'alice'", undefined, 1],
    ["is false", "object.spec.containers.size() > 1", undefined, 0],
    [
      "fails",
      "object.spec.nothing == 1",
      `pods "web" is forbidden: expression 'object.spec.nothing == 1' resulted in error: no such key: nothing`,
      0,
    ],
  ])("a match condition that %s", async (_, expression, refused, asked) => {
    respond = allow();
    const outcome = await validate(hook({ matchConditions: [{ name: "m", expression }] }));
    expect({ refused: outcome.refused, asked: reviews.length }).toEqual({ refused, asked });
  });

  test("a Service's ready endpoints are asked, by the Service's name", async () => {
    respond = allow();
    const service = {
      metadata: { name: "hook", namespace: "tools" },
      spec: { ports: [{ name: "https", port: 8443, targetPort: 1 }] },
    };
    const slice = {
      metadata: { name: "hook-1", namespace: "tools", labels: { "kubernetes.io/service-name": "hook" } },
      addressType: "IPv4",
      endpoints: [
        { addresses: ["127.0.0.2"], conditions: { ready: false } },
        { addresses: ["127.0.0.1"], conditions: { ready: true } },
      ],
      ports: [{ name: "https", port }],
    };
    const { caBundle } = hook().clientConfig;
    const byService = { caBundle, service: { name: "hook", namespace: "tools", port: 8443, path: "/check" } };
    const placed: Placed[] = [
      [services, service as ApiObject],
      [endpointSlices, slice as ApiObject],
    ];
    expect((await validate(hook({ clientConfig: byService }), {}, ...placed)).refused).toBeUndefined();
    expect(reviews).toHaveLength(1);
  });
});

describe("mutating webhooks", () => {
  const label = (path: string, value: string) => ({ op: "add", path: `/metadata/labels${path}`, value });

  test("change the object; what the schema does not know is dropped", async () => {
    respond = allow(
      patch({ op: "add", path: "/metadata/labels", value: { a: "b" } }, { op: "add", path: "/spec/x", value: 1 }),
    );
    const r = ask();
    expect(await admit(mutating(), r, viewOf(configuration(mutatingWebhookConfigurations, hook())))).toBeUndefined();
    expect(r.object).toMatchObject({ apiVersion: "v1", kind: "Pod", metadata: { labels: { a: "b" } } });
    expect(r.object).not.toHaveProperty("spec.x");
  });

  test("a change makes the plugins look again, and those webhooks that want to", async () => {
    const seen: string[] = [];
    const plugin: AdmissionPlugin = { name: "p", mutate: () => void seen.push("plugin") };
    const hooks = [hook({ reinvocationPolicy: "IfNeeded" }), hook({ name: "second.example.com" })];
    respond = countingLabels(seen);
    const r = ask();
    expect(
      await admit(mutating(plugin), r, viewOf(configuration(mutatingWebhookConfigurations, ...hooks))),
    ).toBeUndefined();
    expect(seen).toEqual(["hook saw 0", "hook saw 1", "plugin", "hook saw 2"]);
  });

  test("a scale is shown, and changed, as a Scale", async () => {
    respond = allow(patch({ op: "replace", path: "/spec/replicas", value: 2 }));
    const object = {
      metadata: { name: "web", namespace: "default" },
      spec: { replicas: 7, paused: true },
    } as ApiObject;
    const r = {
      ...ask({ operation: "UPDATE", subresource: "scale", object }),
      def: deployments as unknown as ResourceDef,
    };
    const scales = hook({
      rules: [{ operations: ["*"], apiGroups: ["*"], apiVersions: ["*"], resources: ["*/scale"] }],
    });
    expect(await admit(mutating(), r, viewOf(configuration(mutatingWebhookConfigurations, scales)))).toBeUndefined();
    expect(reviews).toMatchObject([
      {
        request: {
          kind: { group: "autoscaling", version: "v1", kind: "Scale" },
          resource: { group: "apps", version: "v1", resource: "deployments" },
          subResource: "scale",
          object: { apiVersion: "autoscaling/v1", kind: "Scale", spec: { replicas: 7 } },
        },
      },
    ]);
    expect(r.object).toMatchObject({ spec: { replicas: 2, paused: true } });
  });

  test.each<[string, object, RegExp]>([
    ["that does not fit", patch(label("/a", "b")), /^Internal error occurred: .*labels/],
    ["that breaks a type", patch({ op: "add", path: "/spec/containers", value: 7 }), /^Internal error occurred: /],
    ["of no type", { patch: "W10=" }, /webhook returned response.patch but not response.patchType$/],
    ["that is none", { patch: "e30", patchType: "MergePatch" }, /unsupported patch type "MergePatch"$/],
  ])("a patch %s is refused", async (_, rest, expected) => {
    respond = allow(rest);
    const view = viewOf(configuration(mutatingWebhookConfigurations, hook()));
    expect(await admit(mutating(), ask(), view)).toMatch(expected);
  });
});

/** Each call adds one label. */
function countingLabels(seen: string[]): Respond {
  return (r) => {
    const labels = r.request.object.metadata.labels ?? {};
    const n = Object.keys(labels).length;
    seen.push(`hook saw ${n}`);
    const value = { ...labels, [`l${n}`]: "x" };
    return { body: answer(r, { allowed: true, ...patch({ op: "add", path: "/metadata/labels", value }) }) };
  };
}

function exactly(text: string): RegExp {
  return new RegExp(`^${text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}$`);
}
