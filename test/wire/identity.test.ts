import { afterAll, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { execFile } from "node:child_process";
import { createPublicKey, type JsonWebKey, verify } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { ensurePolicy } from "../../pkg/apiserver/auth/ensure-policy.ts";
import { Client } from "../../pkg/client/client.ts";
import type { KeyPair } from "../../pkg/util/pki.ts";
import { toYaml } from "../../pkg/util/yaml.ts";
import { type Asked, TestApi } from "../harness/https.ts";

let api: TestApi;
/** Without any rights of her own, but those that a test gives. */
let eve: KeyPair;
let node: KeyPair;
const directory = mkdtempSync(join(tmpdir(), "identity-"));

beforeAll(async () => {
  api = await TestApi.start();
  await ensurePolicy(new Client(api.server.transport(), "test"), api.server.view);
  eve = await api.user("eve", ["devs"]);
  node = await api.user("system:node:n1", ["system:nodes"]);
  await create("/api/v1/namespaces/default/serviceaccounts", { metadata: { name: "bot" } });
});

afterAll(async () => {
  await api.close();
  rmSync(directory, { recursive: true });
});

const core = "/api/v1/namespaces/default";
const rbac = "/apis/rbac.authorization.k8s.io/v1";
const reviews = "/apis/authorization.k8s.io/v1";
const create = (path: string, body: object, o: Asked = {}) => api.ok(path, { ...o, method: "POST", body });
const remove = (path: string) => api.delete(path);
const roleRef = (kind: string, name: string) => ({ apiGroup: "rbac.authorization.k8s.io", kind, name });
const bind = (name: string, role: string, subject: object) =>
  create(`${rbac}/namespaces/default/rolebindings`, {
    metadata: { name },
    roleRef: roleRef("ClusterRole", role),
    subjects: [subject],
  });
const message = async (path: string, o: Asked) => {
  const answer = await api.ask(path, o);
  return `${answer.code} ${String(answer.json()["message"])}`;
};
const tokenFor = async (spec: object = {}, as?: KeyPair) => {
  const answer = await create(`${core}/serviceaccounts/bot/token`, { spec }, as ? { as } : {});
  return answer.json<{ status: { token: string; expirationTimestamp: string }; spec: object }>();
};
const bearer = (token: string): Asked => ({ as: undefined, headers: { Authorization: `Bearer ${token}` } });

describe("a user without rights", () => {
  const inDefault = 'in the namespace "default"';
  test.each<[string, string, string]>([
    [
      "GET",
      `${core}/configmaps`,
      `configmaps is forbidden: User "eve" cannot list resource "configmaps" in API group "" ${inDefault}`,
    ],
    [
      "GET",
      `${core}/configmaps/x`,
      `configmaps "x" is forbidden: User "eve" cannot get resource "configmaps" in API group "" ${inDefault}`,
    ],
    [
      "GET",
      "/api/v1/pods?watch=1",
      'pods is forbidden: User "eve" cannot watch resource "pods" in API group "" at the cluster scope',
    ],
    [
      "GET",
      `${core}/pods?fieldSelector=metadata.name%3Dweb`,
      `pods "web" is forbidden: User "eve" cannot list resource "pods" in API group "" ${inDefault}`,
    ],
    [
      "DELETE",
      `${core}/pods`,
      `pods is forbidden: User "eve" cannot deletecollection resource "pods" in API group "" ${inDefault}`,
    ],
    [
      "GET",
      `${core}/pods/x/log`,
      `pods "x" is forbidden: User "eve" cannot get resource "pods/log" in API group "" ${inDefault}`,
    ],
    [
      "POST",
      "/apis/apps/v1/namespaces/default/deployments",
      `deployments.apps is forbidden: User "eve" cannot create resource "deployments" in API group "apps" ${inDefault}`,
    ],
    [
      "GET",
      core,
      `namespaces "default" is forbidden: User "eve" cannot get resource "namespaces" in API group "" ${inDefault}`,
    ],
    [
      "GET",
      "/apis/no.such/v1/widgets",
      'widgets.no.such is forbidden: User "eve" cannot list resource "widgets" in API group "no.such" at the cluster scope',
    ],
    ["GET", "/metrics", 'forbidden: User "eve" cannot get path "/metrics"'],
    ["POST", "/version/x", 'forbidden: User "eve" cannot post path "/version/x"'],
    ["GET", "/a<b>", 'forbidden: User "eve" cannot get path "/a%3Cb%3E"'],
  ])("%s %s", async (method, path, expected) => {
    expect(await message(path, { method, as: eve })).toBe(`403 ${expected}`);
  });

  test("may look around, and ask who she is", async () => {
    for (const path of ["/api", "/apis", "/apis/apps/v1", "/openapi/v3"]) {
      expect((await api.ask(path, { as: eve })).code).toBe(200);
    }
    const answer = await create("/apis/authentication.k8s.io/v1/selfsubjectreviews", {}, { as: eve });
    expect(answer.code).toBe(201);
    expect(answer.json()).toMatchObject({
      kind: "SelfSubjectReview",
      status: { userInfo: { username: "eve", groups: ["devs", "system:authenticated"] } },
    });
  });

  test("has a right from the moment on that it was granted", async () => {
    const groups = { kind: "Group", name: "devs" };
    for (let i = 0; i < 5; i++) {
      await bind("now", "view", groups);
      expect((await api.ask(`${core}/pods`, { as: eve })).code).toBe(200);
      expect((await api.ask(`${core}/secrets`, { as: eve })).code).toBe(403);
      expect((await api.ask(core, { as: eve })).code).toBe(200);
      expect((await api.ask("/api/v1/namespaces/kube-system/pods", { as: eve })).code).toBe(403);
      await remove(`${rbac}/namespaces/default/rolebindings/now`);
      await api.server.cache.fresh();
      expect((await api.ask(`${core}/pods`, { as: eve })).code).toBe(403);
    }
  });

  test("with everything in one namespace, has nothing of what lies in none", async () => {
    await bind("all", "cluster-admin", { kind: "User", name: "eve" });
    await create("/api/v1/nodes", { metadata: { name: "n1" } });
    const node = "/api/v1/namespaces/default/nodes";
    for (const path of [`${node}/n1`, node, `${node}/n1/proxy/metrics`, `${node}?watch=1&timeoutSeconds=1`]) {
      expect((await api.ask(path, { as: eve })).code).toBe(404);
    }
    expect((await api.ask(`${node}/n1`, { as: eve, method: "DELETE" })).code).toBe(404);
    expect((await api.ask("/api/v1/nodes/n1", { as: eve })).code).toBe(403);
    expect((await api.ask("/api/v1/namespaces//secrets", { as: eve })).code).toBe(403);
    expect((await api.ask("/api/v1/namespaces/default%2F..%2Fkube-system/secrets", { as: eve })).code).toBe(403);
    expect((await api.ask("/api/v1/namespaces/default/../kube-system/secrets", { as: eve })).code).toBe(403);
    await api.ok("/api/v1/nodes/n1", { method: "DELETE" });
    await remove(`${rbac}/namespaces/default/rolebindings/all`);
  });

  test("cannot give what she lacks", async () => {
    await bind("self", "admin", { kind: "User", name: "eve" });
    const role = { metadata: { name: "r" }, rules: [{ verbs: ["get"], apiGroups: [""], resources: ["nodes"] }] };
    const refused = await message(`${rbac}/namespaces/default/roles`, { method: "POST", body: role, as: eve });
    expect(refused).toMatch(
      /^403 roles\.rbac\.authorization\.k8s\.io "r" is forbidden: user "eve" \(groups=\["devs" "/,
    );
    expect(refused).toContain('not currently held:\n{APIGroups:[""], Resources:["nodes"], Verbs:["get"]}');
    const view = { metadata: { name: "v" }, roleRef: roleRef("ClusterRole", "view"), subjects: [] };
    await create(`${rbac}/namespaces/default/rolebindings`, view, { as: eve });
    await remove(`${rbac}/namespaces/default/rolebindings/self`);
  });
});

describe("a stream into a container", () => {
  const headers = {
    Connection: "Upgrade",
    Upgrade: "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    "Sec-WebSocket-Protocol": "v5.channel.k8s.io",
  };
  const path = `${core}/pods/none/exec?command=id&stdout=1`;
  const allow = async (verb: string) => {
    await create(`${rbac}/namespaces/default/roles`, {
      metadata: { name: verb },
      rules: [{ verbs: [verb], apiGroups: [""], resources: ["pods/exec"] }],
    });
    await create(`${rbac}/namespaces/default/rolebindings`, {
      metadata: { name: verb },
      roleRef: roleRef("Role", verb),
      subjects: [{ kind: "User", name: "eve" }],
    });
  };

  test("needs the right to create one, though a WebSocket only gets; and comes before all else", async () => {
    const refused = (verb: string) =>
      `403 pods "none" is forbidden: User "eve" cannot ${verb} resource "pods/exec" in API group "" in the namespace "default"`;
    expect(await message(path, { headers, as: undefined })).toBe("401 Unauthorized");
    expect(await message(path, { headers, as: eve })).toBe(refused("get"));
    await allow("get");
    expect(await message(path, { headers, as: eve })).toBe(refused("create"));
    await allow("create");
    expect(await message(path, { headers, as: eve })).toBe('404 pods "none" not found');
  });
});

describe("nobody", () => {
  test.each<[string, Asked]>([
    ["no credentials", { as: undefined }],
    ["a token that is none", bearer("x")],
    ["a scheme that is none", { as: undefined, headers: { Authorization: "Basic eDp5" } }],
    ["no user, but a group", { as: undefined, headers: { "Impersonate-Group": "system:masters" } }],
  ])("%s", async (_, o) => {
    expect(await message(`${core}/pods`, o)).toBe("401 Unauthorized");
    expect((await api.ask("/api", o)).code).toBe(401);
  });

  test("a certificate of another authority", async () => {
    const other = await TestApi.start();
    const stranger = await other.user("boss", ["system:masters"]);
    await other.close();
    expect(await message(`${core}/pods`, { as: stranger })).toBe("401 Unauthorized");
  });
});

describe("impersonation", () => {
  const as = (headers: Record<string, string>, who?: KeyPair): Asked => ({ headers, ...(who && { as: who }) });
  test("an administrator sees what another one would", async () => {
    const seen = await message(`${core}/pods`, as({ "Impersonate-User": "mallory" }));
    expect(seen).toContain('403 pods is forbidden: User "mallory" cannot list resource "pods"');
    const masters = as({ "Impersonate-User": "x", "Impersonate-Group": "system:masters" });
    expect((await api.ask(`${core}/pods`, masters)).code).toBe(200);
  });

  test.each([
    [
      { "Impersonate-User": "bob" },
      'users "bob" is forbidden: User "eve" cannot impersonate resource "users" in API group "" at the cluster scope',
    ],
    [{ "Impersonate-User": "eve", "Impersonate-Group": "system:masters" }, 'users "eve" is forbidden'],
    [
      { "Impersonate-User": "system:serviceaccount:default:bot" },
      'serviceaccounts "bot" is forbidden: User "eve" cannot impersonate resource "serviceaccounts" in API group "" in the namespace "default"',
    ],
  ])("others need the right to: %j", async (headers, expected) => {
    expect(await message(`${core}/pods`, as(headers, eve))).toContain(`403 ${expected}`);
  });

  test("the right to be a ServiceAccount comes with edit, and is no more than that", async () => {
    await bind("edit", "edit", { kind: "User", name: "eve" });
    const bot = { "Impersonate-User": "system:serviceaccount:default:bot" };
    expect(await message(`${core}/pods`, as(bot, eve))).toContain(
      '403 pods is forbidden: User "system:serviceaccount:default:bot"',
    );
    expect(await message(`${core}/pods`, as({ ...bot, "Impersonate-Group": "system:masters" }, eve))).toContain(
      '403 groups "system:masters" is forbidden: User "eve" cannot impersonate resource "groups"',
    );
    await remove(`${rbac}/namespaces/default/rolebindings/edit`);
  });

  test("a group without a user is a mistake", async () => {
    expect(await message(`${core}/pods`, as({ "Impersonate-Group": "g" }))).toBe(
      "400 requested [g] without impersonating a user",
    );
  });
});

describe("tokens of ServiceAccounts", () => {
  test("act as the account, and are checked by the published key", async () => {
    const { status, spec } = await tokenFor();
    expect(spec).toMatchObject({
      expirationSeconds: 3600,
      audiences: ["https://kubernetes.default.svc.cluster.local"],
    });
    expect(await message(`${core}/pods`, bearer(status.token))).toContain('User "system:serviceaccount:default:bot"');
    await bind("bots", "view", { kind: "ServiceAccount", name: "bot" });
    expect((await api.ask(`${core}/pods`, bearer(status.token))).code).toBe(200);
    await remove(`${rbac}/namespaces/default/rolebindings/bots`);

    const about = (await api.ok("/.well-known/openid-configuration", bearer(status.token))).json<{
      jwks_uri: string;
    }>();
    const { keys } = (await api.ok(new URL(about.jwks_uri).pathname, bearer(status.token))).json<{
      keys: [JsonWebKey];
    }>();
    const [head = "", body = "", signature = ""] = status.token.split(".");
    const key = createPublicKey({ key: keys[0], format: "jwk" });
    const bytes = Buffer.from(signature, "base64url");
    expect(verify("sha256", Buffer.from(`${head}.${body}`), { key, dsaEncoding: "ieee-p1363" }, bytes)).toBe(true);
    expect((await api.ask("/openid/v1/jwks", { as: eve })).code).toBe(403);
  });

  test("die with the Pod they are bound to, or with the account", async () => {
    const pod = {
      metadata: { name: "web" },
      spec: { serviceAccountName: "bot", containers: [{ name: "c", image: "i" }] },
    };
    await create(`${core}/pods`, pod);
    const bound = await tokenFor({ boundObjectRef: { kind: "Pod", apiVersion: "v1", name: "web" } });
    const free = await tokenFor();
    const code = async (token: string) => (await api.ask("/api", bearer(token))).code;
    expect([await code(bound.status.token), await code(free.status.token)]).toEqual([200, 200]);
    await remove(`${core}/pods/web`);
    await api.server.cache.fresh();
    expect([await code(bound.status.token), await code(free.status.token)]).toEqual([401, 200]);
    await remove(`${core}/serviceaccounts/bot`);
    await create(`${core}/serviceaccounts`, { metadata: { name: "bot" } });
    await api.server.cache.fresh();
    expect(await code(free.status.token)).toBe(401);
  });

  const invalid = 'TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid value: ';
  test.each<[object, string]>([
    [{ spec: { expirationSeconds: 599 } }, `422 ${invalid}599: may not specify a duration less than 10 minutes`],
    [
      { spec: { expirationSeconds: 2 ** 32 + 1 } },
      `422 ${invalid}4294967297: may not specify a duration larger than 2^32 seconds`,
    ],
    [
      { metadata: { name: "x" } },
      '422 TokenRequest.authentication.k8s.io "bot" is invalid: metadata.name: Invalid value: "x": must match the service account name if specified',
    ],
    [
      { metadata: { uid: "x" } },
      '409 Operation cannot be fulfilled on TokenRequest.authentication.k8s.io "bot": the UID in the token request (x)',
    ],
    [{ spec: { boundObjectRef: { kind: "Pod", apiVersion: "v1", name: "none" } } }, '404 pods "none" not found'],
    [
      { spec: { boundObjectRef: { kind: "ConfigMap", apiVersion: "v1", name: "x" } } },
      "400 cannot bind token to object of type /v1, Kind=ConfigMap",
    ],
  ])("are not given for %j", async (body, expected) => {
    expect(await message(`${core}/serviceaccounts/bot/token`, { method: "POST", body })).toContain(expected);
  });

  test("are given to a node only for its own Pods", async () => {
    const pod = {
      metadata: { name: "far" },
      spec: { nodeName: "n2", serviceAccountName: "bot", containers: [{ name: "c", image: "i" }] },
    };
    await create(`${core}/pods`, pod);
    const none = "no relationship found between node 'n1' and this object";
    const path = `${core}/serviceaccounts/bot/token`;
    expect(await message(path, { method: "POST", body: {}, as: node })).toContain(none);
    await create(`${core}/pods`, { ...pod, metadata: { name: "near" }, spec: { ...pod.spec, nodeName: "n1" } });
    expect(await message(path, { method: "POST", body: {}, as: node })).toBe(
      '403 serviceaccounts "bot" is forbidden: node requested token not bound to a pod',
    );
    for (const name of ["far", "near"]) await remove(`${core}/pods/${name}?gracePeriodSeconds=0`);
  });
});

describe("reviews", () => {
  type Status = { status: Record<string, unknown> };
  const review = async (kind: string, spec: object, o: Asked = {}) =>
    (await create(`${reviews}/${kind}`, { spec }, o)).json<Status>().status;
  const list = { verb: "list", resource: "pods", namespace: "default" };

  beforeEach(async () => {
    await remove(`${rbac}/namespaces/default/rolebindings/viewer`);
  });

  test("say what the server would, and why", async () => {
    expect(await review("selfsubjectaccessreviews", { resourceAttributes: list }, { as: eve })).toEqual({
      allowed: false,
    });
    await bind("viewer", "view", { kind: "User", name: "eve" });
    const reason = 'RBAC: allowed by RoleBinding "viewer/default" of ClusterRole "view" to User "eve"';
    expect(await review("selfsubjectaccessreviews", { resourceAttributes: list }, { as: eve })).toEqual({
      allowed: true,
      reason,
    });
    expect(await review("subjectaccessreviews", { user: "eve", resourceAttributes: list })).toEqual({
      allowed: true,
      reason,
    });
    const path = { path: "/metrics", verb: "get" };
    expect(
      await review("subjectaccessreviews", { user: "x", groups: ["system:monitoring"], nonResourceAttributes: path }),
    ).toEqual({
      allowed: true,
      reason:
        'RBAC: allowed by ClusterRoleBinding "system:monitoring" of ClusterRole "system:monitoring" to Group "system:monitoring"',
    });
  });

  test("list the rules of a user", async () => {
    await bind("viewer", "system:auth-delegator", { kind: "User", name: "eve" });
    const status = await review("selfsubjectrulesreviews", { namespace: "default" }, { as: eve });
    expect(status["resourceRules"]).toContainEqual({
      verbs: ["create"],
      apiGroups: ["authentication.k8s.io"],
      resources: ["tokenreviews"],
    });
    expect(status["nonResourceRules"]).toContainEqual({
      verbs: ["get"],
      nonResourceURLs: expect.arrayContaining(["/version"]) as unknown,
    });
    expect(status["incomplete"]).toBe(false);
  });

  test("know tokens, and what is wrong with them", async () => {
    const ask = async (spec: object) =>
      (await create("/apis/authentication.k8s.io/v1/tokenreviews", { spec })).json<Status>().status;
    const { token } = (await tokenFor({ audiences: ["vault"] })).status;
    expect(await ask({ token, audiences: ["x", "vault"] })).toMatchObject({
      authenticated: true,
      audiences: ["vault"],
      user: {
        username: "system:serviceaccount:default:bot",
        groups: expect.arrayContaining(["system:serviceaccounts"]) as unknown,
      },
    });
    const own = "https://kubernetes.default.svc.cluster.local";
    expect(await ask({ token })).toEqual({
      user: {},
      error: `[invalid bearer token, token audiences ["vault"] is invalid for the target audiences ["${own}"]]`,
    });
    expect(await ask({ token: "x" })).toEqual({ user: {}, error: "invalid bearer token" });
  });

  test.each<[string, object, string]>([
    [
      "subjectaccessreviews",
      { resourceAttributes: list },
      '422 SubjectAccessReview.authorization.k8s.io "" is invalid: spec.user: Invalid value: "": at least one of user or group must be specified',
    ],
    [
      "selfsubjectaccessreviews",
      {},
      "spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified",
    ],
    [
      "selfsubjectaccessreviews",
      { resourceAttributes: list, nonResourceAttributes: { path: "/" } },
      "cannot be specified in combination with resourceAttributes",
    ],
    [
      "namespaces/default/localsubjectaccessreviews",
      { user: "x", resourceAttributes: { ...list, namespace: "other" } },
      'spec.resourceAttributes.namespace: Invalid value: "other": must match metadata.namespace',
    ],
    ["selfsubjectrulesreviews", {}, "400 no namespace on request"],
  ])("%s refuse %j", async (kind, spec, expected) => {
    expect(await message(`${reviews}/${kind}`, { method: "POST", body: { spec } })).toContain(expected);
  });

  test("are nothing to be read", async () => {
    expect((await api.ask(`${reviews}/subjectaccessreviews`)).code).toBe(405);
  });
});

describe("kubectl", () => {
  const run = promisify(execFile);
  let config: string;
  const kubectl = async (...args: string[]) => {
    const env = { PATH: process.env["PATH"], HOME: directory };
    return run("kubectl", ["--kubeconfig", config, ...args], { env }).then(
      ({ stdout }) => stdout,
      (error: { stdout: string; stderr: string }) => error.stdout + error.stderr,
    );
  };
  beforeAll(() => {
    config = api.kubeconfig(directory);
  });

  test("auth whoami, can-i, with --as", async () => {
    expect(await kubectl("auth", "whoami", "-o", "jsonpath={.status.userInfo.username}")).toBe("admin");
    expect(await kubectl("auth", "can-i", "get", "pods")).toBe("yes\n");
    expect(await kubectl("auth", "can-i", "get", "pods", "--as", "mallory")).toBe("no\n");
    expect(await kubectl("get", "pods", "--as", "mallory")).toContain(
      'Error from server (Forbidden): pods is forbidden: User "mallory"',
    );
    expect(await kubectl("auth", "can-i", "--list", "--as", "mallory")).toMatch(
      /^selfsubjectaccessreviews\.authorization\.k8s\.io +\[\] +\[\] +\[create\]$/m,
    );
  });

  test("roles, bindings and a token: who may view lists pods but no secrets", async () => {
    const file = join(directory, "role.yaml");
    const rules = [{ verbs: ["get", "list"], apiGroups: [""], resources: ["pods"] }];
    const metadata = { name: "pod-reader", namespace: "default" };
    const role = { apiVersion: "rbac.authorization.k8s.io/v1", kind: "Role", metadata, rules };
    writeFileSync(file, toYaml(role));
    expect(await kubectl("apply", "-f", file)).toBe("role.rbac.authorization.k8s.io/pod-reader created\n");
    expect(await kubectl("create", "rolebinding", "robot", "--role=pod-reader", "--serviceaccount=default:bot")).toBe(
      "rolebinding.rbac.authorization.k8s.io/robot created\n",
    );
    const token = (await kubectl("create", "token", "bot", "--duration=20m")).trim();
    // Without the administrator's certificate, which would win.
    const plain = join(directory, "plain");
    writeFileSync(plain, toYaml({ apiVersion: "v1", kind: "Config", clusters: [], users: [], contexts: [] }));
    const direct = (...args: string[]) =>
      kubectl(
        ...args,
        "--kubeconfig",
        plain,
        "--server",
        api.listener.url,
        "--insecure-skip-tls-verify",
        "--token",
        token,
      );
    expect(await direct("get", "pods", "-o", "name")).toBe("");
    expect(await direct("auth", "can-i", "list", "pods")).toBe("yes\n");
    expect(await direct("get", "secrets")).toContain('cannot list resource "secrets"');
    expect(await direct("auth", "whoami", "-o", "jsonpath={.status.userInfo.username}")).toBe(
      "system:serviceaccount:default:bot",
    );
    expect(await kubectl("describe", "clusterrole", "view")).toMatch(/pods\/log +\[\] +\[\] +\[get list watch\]/);
    expect(await kubectl("create", "clusterrole", "cr", "--verb=get", "--resource=nodes")).toContain(
      "clusterrole.rbac.authorization.k8s.io/cr created",
    );
    expect(await kubectl("auth", "reconcile", "-f", file)).toContain("pod-reader reconciled");
  });
});
