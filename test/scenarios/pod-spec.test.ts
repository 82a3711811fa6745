/** What a Pod's spec says of its containers' surroundings, asked of the containers themselves, on real Docker. */
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { existsSync, mkdirSync, mkdtempSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Pod } from "../../pkg/api/generated/types.ts";
import type { DeepReadonly } from "../../pkg/util/types.ts";
import { ready, TestCluster } from "../harness/cluster.ts";
import { type PodParts, podOf } from "../harness/pod-parts.ts";
import { run, runOk } from "../harness/process.ts";
import { ensureTestImages } from "../images/images.ts";

let cluster: TestCluster;
/** On this machine, for hostPath volumes. */
let host: string;
let socket: Server;
/** Of a Service that was there before all Pods. */
let dbAddress: string;

beforeAll(async () => {
  await ensureTestImages();
  cluster = await TestCluster.start();
  host = mkdtempSync(join(tmpdir(), "mk-host-"));
  socket = createServer().listen(join(host, "socket"));
  writeFileSync(join(host, "file"), "from the host\n");
  mkdirSync(join(host, "dir", "web"), { recursive: true });
  mkdirSync(join(cluster.home, "data", "agent", "seccomp"), { recursive: true });
  writeFileSync(join(cluster.home, "data", "agent", "seccomp", "no-mkdir.json"), JSON.stringify(NO_MKDIR));
  await cluster.kubectlOk(["apply", "-f", "-"], { input: OBJECTS });
  dbAddress = await cluster.kubectlOk(["get", "service", "my-db", "-o", "jsonpath={.spec.clusterIP}"]);
});
afterAll(async () => {
  socket?.close();
  await cluster?.remove();
  if (host) rmSync(host, { recursive: true, force: true });
});

const NO_MKDIR = {
  defaultAction: "SCMP_ACT_ALLOW",
  syscalls: [{ names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO" }],
};

const OBJECTS = `
apiVersion: v1
kind: ConfigMap
metadata: { name: settings }
data: { COLOR: red, app.properties: "a=1" }
---
apiVersion: v1
kind: Secret
metadata: { name: keys }
stringData: { token: hunter2 }
---
apiVersion: certificates.k8s.io/v1beta1
kind: ClusterTrustBundle
metadata: { name: anchors }
spec: { trustBundle: "-----BEGIN CERTIFICATE-----\\nQUJD\\n-----END CERTIFICATE-----\\n" }
---
apiVersion: v1
kind: Service
metadata: { name: my-db }
spec: { selector: { app: db }, ports: [{ name: sql, port: 5432 }] }
---
apiVersion: v1
kind: PersistentVolume
metadata: { name: disk }
spec:
  capacity: { storage: 1Gi }
  accessModes: [ReadWriteOnce]
  volumeMode: Block
  storageClassName: ""
  local: { path: /dev/loop0 }
  nodeAffinity:
    required: { nodeSelectorTerms: [{ matchExpressions: [{ key: kubernetes.io/os, operator: In, values: [linux] }] }] }
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: { name: disk }
spec:
  accessModes: [ReadWriteOnce]
  volumeMode: Block
  storageClassName: ""
  resources: { requests: { storage: 1Gi } }
`;

const apply = (name: string, o: PodParts) =>
  cluster.kubectlOk(["apply", "-f", "-"], { input: JSON.stringify(podOf(name, o)) });

async function running(name: string, o: PodParts): Promise<DeepReadonly<Pod>> {
  await apply(name, o);
  return await cluster.untilPod(name, ready);
}

const uid = (podUid: string | undefined) => `label=io.mini-kube.pod.uid=${podUid}`;

/** What a shell in the Pod says. */
const ask = (name: string, script: string) => cluster.kubectlOk(["exec", name, "--", "sh", "-c", script]);

describe("environment", () => {
  test("comes from everywhere it can come from", async () => {
    const from = (name: string, valueFrom: object) => ({ name, valueFrom });
    await running("env", {
      labels: { app: "shop" },
      spec: {
        initContainers: [
          {
            name: "writer",
            image: "busybox:1.36",
            command: ["sh", "-c", "echo 'KEY=from a file # not this' > /config/env"],
            volumeMounts: [{ name: "config", mountPath: "/config" }],
          },
        ],
        volumes: [{ name: "config", emptyDir: {} }],
      },
      container: {
        resources: { limits: { memory: "64Mi" } },
        command: ["sh", "-c", "echo '$(GREETING)' > /tmp/said; exec sleep 3600"],
        envFrom: [
          { prefix: "CM_", configMapRef: { name: "settings" } },
          { secretRef: { name: "absent", optional: true } },
        ],
        env: [
          from("TOKEN", { secretKeyRef: { name: "keys", key: "token" } }),
          from("APP", { fieldRef: { fieldPath: "metadata.labels['app']" } }),
          from("IP", { fieldRef: { fieldPath: "status.podIP" } }),
          from("MEM", { resourceFieldRef: { resource: "limits.memory", divisor: "1Mi" } }),
          from("CPUS", { resourceFieldRef: { resource: "limits.cpu" } }),
          from("FILE", { fileKeyRef: { volumeName: "config", path: "env", key: "KEY" } }),
          { name: "GREETING", value: "$(APP) at $(MY_DB_SERVICE_HOST), $$(APP) $(NONE)" },
        ],
      },
    });
    const { status } = await cluster.untilPod("env", ready);
    const env = new Map(
      (await cluster.kubectlOk(["exec", "env", "--", "env"]))
        .split("\n")
        .map((l) => [l.split("=")[0], l.slice(l.indexOf("=") + 1)]),
    );
    const wanted = {
      CM_COLOR: "red",
      "CM_app.properties": "a=1",
      TOKEN: "hunter2",
      APP: "shop",
      IP: status?.podIP,
      MEM: "64",
      FILE: "from a file ",
      GREETING: `shop at ${dbAddress}, $(APP) $(NONE)`,
      MY_DB_SERVICE_HOST: dbAddress,
      MY_DB_SERVICE_PORT: "5432",
      MY_DB_SERVICE_PORT_SQL: "5432",
      MY_DB_PORT_5432_TCP: `tcp://${dbAddress}:5432`,
      MY_DB_PORT_5432_TCP_ADDR: dbAddress,
      KUBERNETES_SERVICE_PORT: "443",
    };
    expect(Object.fromEntries(Object.keys(wanted).map((name) => [name, env.get(name)]))).toEqual(wanted);
    expect(env.get("KUBERNETES_SERVICE_HOST")).toMatch(/^\d+(\.\d+){3}$/);
    expect(Number(env.get("CPUS"))).toBeGreaterThan(0);
    expect(await ask("env", "cat /tmp/said")).toBe(`shop at ${dbAddress}, $(APP) $(NONE)\n`);
  });

  test("has the API server in it even where Services are not wanted", async () => {
    await running("no-links", { spec: { enableServiceLinks: false } });
    const env = await ask("no-links", "env");
    expect(env).toMatch(/^KUBERNETES_SERVICE_HOST=/m);
    expect(env).not.toMatch(/MY_DB/);
  });
});

describe("security", () => {
  test("users, groups, capabilities and what volumes belong to", async () => {
    await running("who", {
      spec: {
        securityContext: { runAsUser: 1000, runAsGroup: 3000, fsGroup: 2000, supplementalGroups: [4000] },
        volumes: [
          { name: "data", emptyDir: {} },
          { name: "memory", emptyDir: { medium: "Memory", sizeLimit: "4Mi" } },
          { name: "keys", secret: { secretName: "keys", defaultMode: 0o400 } },
        ],
      },
      container: {
        securityContext: {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ["ALL"], add: ["NET_BIND_SERVICE"] },
        },
        volumeMounts: [
          { name: "data", mountPath: "/data" },
          { name: "memory", mountPath: "/memory" },
          { name: "keys", mountPath: "/keys" },
        ],
      },
    });
    const script = `
        echo "$(id -u):$(id -g) $(id -G | tr ' ' '\\n' | sort | tr '\\n' ' ')"
        grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status
        touch /nowhere 2>/dev/null || echo read-only
        echo x > /data/file; stat -c '%a %g' /data /data/file
        cat /keys/token; echo; stat -Lc '%a %g' /keys/token
        grep ' /memory ' /proc/mounts | cut -d' ' -f3; stat -c '%a %g' /memory
        dd if=/dev/zero of=/memory/big bs=1M count=8 2>&1 | grep -o 'No space left on device'`;
    expect((await ask("who", script)).split("\n").map((l) => l.trim())).toEqual(
      [
        "1000:3000 2000 3000 4000",
        "CapBnd:\t0000000000000400",
        "CapEff:\t0000000000000000",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
        "read-only",
        "2777 2000",
        "644 2000",
        "hunter2",
        "440 2000",
        "tmpfs",
        "2777 2000",
        "No space left on device",
        "",
      ].sort((a, b) => (a.startsWith("Cap") && b.startsWith("Cap") ? (a < b ? 1 : -1) : 0)),
    );
  });

  test("a volume in memory outlives its container, and goes with its Pod", async () => {
    const { metadata } = await running("memory", {
      // With none at all, the object would be gone before the Pod is.
      spec: { terminationGracePeriodSeconds: 1, volumes: [{ name: "memory", emptyDir: { medium: "Memory" } }] },
      container: {
        command: ["sh", "-c", "echo run >> /memory/runs; exec sleep 3600"],
        volumeMounts: [{ name: "memory", mountPath: "/memory" }],
      },
    });
    await run("docker", [
      "kill",
      (await cluster.containers("label=io.mini-kube.container.name=main", uid(metadata.uid)))[0] ?? "",
    ]);
    await cluster.untilPod("memory", (p) => ready(p) && p.status?.containerStatuses?.[0]?.restartCount === 1);
    expect(await ask("memory", "cat /memory/runs")).toBe("run\nrun\n");
    const volumes = () => runOk("docker", ["volume", "ls", "-q", "--filter", uid(metadata.uid)]);
    expect(await volumes()).toBe(`mk_${metadata.uid}_memory\n`);
    await cluster.kubectlOk(["delete", "pod", "memory"]);
    expect(await volumes()).toBe("");
  });

  test("profiles of system calls, kernel settings, and /proc as it is", async () => {
    const sysctls = [
      { name: "net.ipv4.tcp_keepalive_time", value: "600" },
      { name: "kernel.shm_rmid_forced", value: "1" },
    ];
    await running("profile", {
      spec: { securityContext: { sysctls } },
      container: { securityContext: { seccompProfile: { type: "Localhost", localhostProfile: "no-mkdir.json" } } },
    });
    const script = `
        cat /proc/sys/net/ipv4/tcp_keepalive_time /proc/sys/kernel/shm_rmid_forced
        grep Seccomp: /proc/self/status; mkdir /tmp/x 2>/dev/null || echo no directory`;
    expect(await ask("profile", script)).toBe("600\n1\nSeccomp:\t2\nno directory\n");
    await running("free", { container: { securityContext: { seccompProfile: { type: "Unconfined" } } } });
    expect(await ask("free", "grep Seccomp: /proc/self/status")).toBe("Seccomp:\t0\n");
  });

  test("the host's namespaces, and those of the Pod's other containers", async () => {
    await running("host", { spec: { hostNetwork: true, hostPID: true, hostIPC: true } });
    const namespaces = ["net", "pid", "ipc"].map((n) => `/proc/self/ns/${n}`);
    expect((await ask("host", namespaces.map((n) => `readlink ${n}`).join("; "))).trim().split("\n")).toEqual(
      namespaces.map((n) => readlinkSync(n)),
    );
    expect(await ask("host", "head -1 /etc/hosts")).toBe("# Kubernetes-managed hosts file (host network).\n");
    await running("shared", {
      spec: { shareProcessNamespace: true },
      container: { command: ["sleep", "3601"] },
    });
    expect(await ask("shared", "cat /proc/*/cmdline | tr '\\0' ' ' | grep -c 'sleep 3601'")).toBe("1\n");
    expect(await ask("shared", "[ $(ps | grep -c '[s]leep 3601') = 1 ] && ps | awk '/[s]leep/ {print $1 == 1}'")).toBe(
      "0\n",
    );
  });
});

describe("names", () => {
  test("hostname, /etc/hosts and /etc/resolv.conf are as Kubernetes writes them", async () => {
    const { status } = await running("named", {
      spec: {
        hostname: "web-0",
        subdomain: "web",
        hostAliases: [{ ip: "10.1.2.3", hostnames: ["foo.local", "bar.local"] }],
        dnsPolicy: "None",
        dnsConfig: {
          nameservers: ["192.0.2.1"],
          searches: ["a.example", "b.example"],
          options: [{ name: "ndots", value: "2" }],
        },
      },
    });
    expect(await ask("named", "hostname; cat /etc/resolv.conf")).toBe(
      "web-0\nsearch a.example b.example\nnameserver 192.0.2.1\noptions ndots:2\n",
    );
    expect(await ask("named", "cat /etc/hosts")).toBe(
      [
        "# Kubernetes-managed hosts file.",
        "127.0.0.1\tlocalhost",
        "::1\tlocalhost ip6-localhost ip6-loopback",
        "fe00::0\tip6-localnet",
        "fe00::0\tip6-mcastprefix",
        "fe00::1\tip6-allnodes",
        "fe00::2\tip6-allrouters",
        `${status?.podIP}\tweb-0.web.default.svc.cluster.local\tweb-0`,
        "",
        "# Entries added by HostAliases.",
        "10.1.2.3\tfoo.local\tbar.local",
        "",
      ].join("\n"),
    );
    await running("full", { spec: { hostname: "web-1", subdomain: "web", setHostnameAsFQDN: true } });
    expect(await ask("full", "hostname")).toBe("web-1.web.default.svc.cluster.local\n");
    expect(await ask("full", "cat /etc/resolv.conf")).toMatch(
      /^search default\.svc\.cluster\.local svc\.cluster\.local cluster\.local.*\nnameserver \d+(\.\d+){3}\noptions ndots:5\n$/,
    );
  });
});

describe("volumes", () => {
  test("paths of the host, of every type, devices, and places within volumes", async () => {
    const path = (name: string, type: string, at = name) => ({ name, hostPath: { path: join(host, at), type } });
    const claim = { claimName: "disk" };
    await running("paths", {
      spec: {
        volumes: [
          path("file", "File"),
          path("socket", "Socket"),
          path("dir", "Directory"),
          path("new-dir", "DirectoryOrCreate"),
          path("new-file", "FileOrCreate"),
          { name: "null", hostPath: { path: "/dev/null", type: "CharDevice" } },
          { name: "disk", persistentVolumeClaim: claim },
          {
            name: "all",
            projected: {
              defaultMode: 0o444,
              sources: [
                { configMap: { name: "settings", items: [{ key: "COLOR", path: "deep/color", mode: 0o400 }] } },
                { downwardAPI: { items: [{ path: "name", fieldRef: { fieldPath: "metadata.name" } }] } },
                { serviceAccountToken: { path: "token" } },
                { clusterTrustBundle: { name: "anchors", path: "ca.pem" } },
              ],
            },
          },
        ],
      },
      container: {
        env: [{ name: "PLACE", value: "web" }],
        volumeDevices: [{ name: "disk", devicePath: "/dev/xvda" }],
        volumeMounts: [
          { name: "file", mountPath: "/host/file", readOnly: true },
          { name: "socket", mountPath: "/host/socket" },
          { name: "dir", mountPath: "/host/dir", subPathExpr: "$(PLACE)/sub" },
          { name: "new-dir", mountPath: "/host/new-dir" },
          { name: "new-file", mountPath: "/host/new-file" },
          { name: "null", mountPath: "/host/null" },
          { name: "all", mountPath: "/all" },
          { name: "all", mountPath: "/one-file", subPath: "deep/color" },
        ],
      },
    });
    const script = `
        cat /host/file; echo x 2>/dev/null >> /host/file || echo read-only
        stat -c '%F' /host/socket /host/new-dir /host/new-file /host/null /dev/xvda
        touch /host/dir/touched; sed -n 2p /all/ca.pem; cat /one-file /all/name; echo
        stat -Lc '%a' /all/deep/color /all/name; cut -d. -f1 /all/token | base64 -d 2>/dev/null | grep -o alg`;
    expect((await ask("paths", script)).split("\n")).toEqual([
      "from the host",
      "read-only",
      "socket",
      "directory",
      "regular empty file",
      "character special file",
      "block special file",
      "QUJD",
      "redpaths",
      "400",
      "444",
      "alg",
      "",
    ]);
    expect(existsSync(join(host, "dir/web/sub/touched"))).toBe(true);
  });
});
