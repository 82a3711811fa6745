import { describe, expect, test } from "@jest/globals";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Container, EnvVar } from "../api/generated/types.ts";
import { type ConfigSource, type EnvInput, expand, type Lookup, resolveEnv } from "./env.ts";
import type { Pod } from "./facts.ts";
import type { ProjectionInput, TokenSource } from "./projection.ts";
import { Harness, podOf } from "./testing/harness.ts";
import { mountsOf } from "./mounts.ts";
import { prepareVolumes, removeVolumes } from "./volumes.ts";

const objects: Record<string, ConfigSource> = {
  "ConfigMap/settings": { metadata: { name: "settings", resourceVersion: "1" }, data: { A: "1", B: "two" } },
  "Secret/keys": { metadata: { name: "keys", resourceVersion: "1" }, data: { TOKEN: "aGVsbG8=" } },
};
const lookup: Lookup = (kind, name) => objects[`${kind}/${name}`];

function input(c: Partial<Container>): EnvInput {
  const pod = podOf("web", [c]);
  const container = { name: "c0", ...c };
  pod.metadata.labels = { app: "shop" };
  return { pod, container, lookup, hostIP: "192.168.0.1", podIP: "10.0.0.2", allocatable: { cpu: "4", memory: "1Gi" } };
}

function projection(pod: Pod, from: Lookup = lookup): ProjectionInput {
  const token = ({ audience, path }: TokenSource) => Promise.resolve(`token for ${audience ?? "the API"} in ${path}`);
  return { pod, lookup: from, token, hostIP: "192.168.0.1", allocatable: { cpu: "4" } };
}

const values = (c: Partial<Container>) => Object.fromEntries(resolveEnv(input(c)).map((e) => [e.name, e.value]));

describe("env", () => {
  test.each([
    ["$(A) and $(B)", "1 and $(B)"],
    ["$$(A)", "$(A)"],
    ["$A ${A} $(", "$A ${A} $("],
    ["$(B$(A))", "$(B$(A))"],
    ["$$$(A)", "$1"],
  ])("%s → %s", (text, expanded) => expect(expand(text, new Map([["A", "1"]]))).toBe(expanded));

  test("later names win, and refer to earlier ones", () => {
    const env = [
      { name: "A", value: "own" },
      { name: "URL", value: "http://$(A):$(B)" },
    ];
    expect(values({ envFrom: [{ prefix: "", configMapRef: { name: "settings" } }], env })).toEqual({
      A: "own",
      B: "two",
      URL: "http://own:two",
    });
  });

  test("from secrets, fields and resources", () => {
    const from = (name: string, valueFrom: object) => ({ name, valueFrom });
    expect(
      values({
        resources: { limits: { memory: "64Mi" } },
        env: [
          from("T", { secretKeyRef: { name: "keys", key: "TOKEN" } }),
          from("NAME", { fieldRef: { fieldPath: "metadata.name" } }),
          from("APP", { fieldRef: { fieldPath: "metadata.labels['app']" } }),
          from("IP", { fieldRef: { fieldPath: "status.podIP" } }),
          from("MEM", { resourceFieldRef: { resource: "limits.memory", divisor: "1Mi" } }),
          from("CPU", { resourceFieldRef: { resource: "limits.cpu" } }),
          from("NONE", { configMapKeyRef: { name: "absent", key: "x", optional: true } }),
        ],
      }),
    ).toEqual({ T: "hello", NAME: "web", APP: "shop", IP: "10.0.0.2", MEM: "64", CPU: "4" });
  });

  test("what nobody has set is missing, whatever its name", () => {
    const of = (valueFrom: object) => values({ env: [{ name: "E", valueFrom }] });
    expect(() => of({ configMapKeyRef: { name: "settings", key: "constructor" } })).toThrow("couldn't find key");
    expect(of({ configMapKeyRef: { name: "settings", key: "toString", optional: true } })).toEqual({});
    expect(of({ fieldRef: { fieldPath: "metadata.labels['constructor']" } })).toEqual({ E: "" });
    expect(() => of({ fieldRef: { fieldPath: "constructor" } })).toThrow("unsupported fieldPath: constructor");
  });

  describe("a key of a file", () => {
    const from = (fileKeyRef: object) => [{ name: "E", valueFrom: { fileKeyRef } }] as EnvVar[];
    const ref = { volumeName: "v", path: "env" };
    const files = (volume: string, path: string) =>
      volume === "v" && path === "env" ? "# KEY=no\nKEYS=no\nKEY=a=b # why\nEMPTY=\n" : undefined;
    const of = (more: object) => resolveEnv({ ...input({ env: from({ ...ref, ...more }) }), files });

    test.each<[object, string | undefined]>([
      [{ key: "KEY" }, "a=b "],
      [{ key: "NONE", optional: true }, undefined],
      [{ key: "KEY", path: "absent", optional: true }, undefined],
    ])("%j is %j", (more, value) => expect(of(more)).toEqual(value === undefined ? [] : [{ name: "E", value }]));

    test.each([
      [{ key: "EMPTY" }, 'environment variable key "EMPTY" not found in file "env"'],
      [{ key: "KEY", path: "absent" }, "couldn't parse env file"],
    ])("%j fails", (more, message) => expect(() => of(more)).toThrow(message));
  });

  test("Services come last, and are known to all that is said", () => {
    const services = new Map([
      ["DB_SERVICE_HOST", "10.0.0.9"],
      ["A", "not this"],
    ]);
    const env = [{ name: "A", value: "own, $(DB_SERVICE_HOST)" }];
    expect(resolveEnv({ ...input({ env }), services })).toEqual([
      { name: "A", value: "own, 10.0.0.9" },
      { name: "DB_SERVICE_HOST", value: "10.0.0.9" },
    ]);
  });

  test.each([
    [{ configMapKeyRef: { name: "absent", key: "x" } }, 'configmap "absent" not found'],
    [{ secretKeyRef: { name: "keys", key: "x" } }, "couldn't find key x in Secret default/keys"],
  ])("what is missing says so: %j", (valueFrom, message) => {
    expect(() => values({ env: [{ name: "E", valueFrom }] })).toThrow(message);
  });
});

describe("volumes", () => {
  test("ConfigMaps and Secrets become files, change in one step, and go", async () => {
    const dataDir = await mkdtemp(join(tmpdir(), "agent-"));
    const volumeMounts = [
      { name: "conf", mountPath: "/etc/conf" },
      { name: "work", mountPath: "/work", subPath: "a/b" },
    ];
    const volumes = [
      { name: "conf", configMap: { name: "settings", items: [{ key: "A", path: "deep/a.txt" }] } },
      { name: "key", secret: { secretName: "keys", defaultMode: 0o400 } },
      { name: "work", emptyDir: {} },
    ];
    const pod = podOf("web", [{ volumeMounts }], { volumes });
    const at = (name: string) => join(dataDir, "pods", "web-uid", "volumes", name);
    try {
      await prepareVolumes(dataDir, projection(pod));
      expect(await readFile(join(at("conf"), "deep/a.txt"), "utf8")).toBe("1");
      expect(await readFile(join(at("key"), "TOKEN"), "utf8")).toBe("hello");
      expect((await stat(join(at("key"), "TOKEN"))).mode & 0o777).toBe(0o400);

      const changed: ConfigSource = { metadata: { name: "settings", resourceVersion: "2" }, data: { A: "new" } };
      await prepareVolumes(
        dataDir,
        projection(pod, (kind, name) => (name === "settings" ? changed : lookup(kind, name))),
      );
      expect(await readFile(join(at("conf"), "deep/a.txt"), "utf8")).toBe("new");
      const names = (await readdir(at("conf"))).toSorted();
      expect(names.filter((n) => !/^\.\.[0-9a-f]{20}$/.test(n))).toEqual(["..data", "deep"]);
      expect(names).toHaveLength(3);

      const [container] = pod.spec?.containers ?? [];
      const of = { dataDir, pod, env: () => new Map(), nodeMemory: 0, recursiveReadOnly: false };
      expect(container && (await mountsOf({ ...of, container })).mounts).toEqual([
        { hostPath: at("conf"), containerPath: "/etc/conf", readOnly: true },
        { hostPath: join(at("work"), "a/b"), containerPath: "/work", readOnly: false },
      ]);
      await removeVolumes(dataDir, "web-uid");
      expect(await readdir(join(dataDir, "pods"))).toEqual([]);
    } finally {
      await rm(dataDir, { recursive: true, force: true });
    }
  });

  test("a projected volume holds tokens, ConfigMaps and the Pod's own fields side by side", async () => {
    const dataDir = await mkdtemp(join(tmpdir(), "agent-"));
    const sources = [
      { serviceAccountToken: { path: "token", expirationSeconds: 3607 } },
      { serviceAccountToken: { path: "vault/token", audience: "vault" } },
      { configMap: { name: "settings", items: [{ key: "A", path: "a" }] } },
      {
        downwardAPI: {
          items: [
            { path: "namespace", fieldRef: { fieldPath: "metadata.namespace" } },
            { path: "labels", fieldRef: { fieldPath: "metadata.labels" } },
            { path: "cpu", resourceFieldRef: { containerName: "c0", resource: "limits.cpu" }, mode: 0o440 },
          ],
        },
      },
    ];
    const pod = podOf("web", [{}], { volumes: [{ name: "all", projected: { sources, defaultMode: 0o420 } }] });
    pod.metadata.labels = { tier: "front", app: "shop" };
    const file = (path: string) => join(dataDir, "pods", "web-uid", "volumes", "all", path);
    try {
      await prepareVolumes(dataDir, projection(pod));
      expect(await readFile(file("token"), "utf8")).toBe("token for the API in token");
      expect(await readFile(file("vault/token"), "utf8")).toBe("token for vault in vault/token");
      expect(await readFile(file("a"), "utf8")).toBe("1");
      expect(await readFile(file("namespace"), "utf8")).toBe("default");
      expect(await readFile(file("labels"), "utf8")).toBe('app="shop"\ntier="front"');
      expect(await readFile(file("cpu"), "utf8")).toBe("4");
      expect((await stat(file("token"))).mode & 0o777).toBe(0o420);
      expect((await stat(file("cpu"))).mode & 0o777).toBe(0o440);
    } finally {
      await rm(dataDir, { recursive: true, force: true });
    }
  });

  test.each([
    [{ name: "v", nfs: { server: "s", path: "/" } }, 'volume "v": volume type nfs is not supported'],
    [
      { name: "v", configMap: { name: "absent" } },
      'MountVolume.SetUp failed for volume "v" : configmap "absent" not found',
    ],
    [{ name: "v", hostPath: { path: "/nonexistent", type: "Directory" } }, "hostPath /nonexistent doesn't exist"],
  ])("what cannot be mounted says why: %j", async (volume, message) => {
    const dataDir = await mkdtemp(join(tmpdir(), "agent-"));
    try {
      await expect(prepareVolumes(dataDir, projection(podOf("web", [{}], { volumes: [volume] })))).rejects.toThrow(
        message,
      );
    } finally {
      await rm(dataDir, { recursive: true, force: true });
    }
  });
});

test("directories of Pods that nobody knows any more go when an agent starts", async () => {
  const dataDir = await mkdtemp(join(tmpdir(), "mk-agent-"));
  try {
    await using h = new Harness({ agent: { dataDir } });
    const volumes = [{ name: "v", emptyDir: {} }];
    await prepareVolumes(dataDir, projection(podOf("forgotten", [], { volumes })));
    await prepareVolumes(dataDir, projection(podOf("web", [], { volumes })));
    h.create("web", [{ volumeMounts: [{ name: "v", mountPath: "/v" }] }], { volumes });
    h.start();
    await h.untilRunning("web");
    await h.until(() => !existsSync(join(dataDir, "pods", "forgotten-uid")));
    expect(await readdir(join(dataDir, "pods"))).toEqual(["web-uid"]);
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
});
