/** Ingresses on real Docker, through kubectl: routing, TLS, WebSockets, and roll-outs that fail no request. */
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { writeFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { WebSocket } from "ws";
import { systemClock } from "../../pkg/util/clock.ts";
import { createCa, issueCert, type KeyPair } from "../../pkg/util/pki.ts";
import { freePort, ready, TestCluster } from "../harness/cluster.ts";
import { ensureTestImages } from "../images/images.ts";

let cluster: TestCluster;
let ports: { http: number; https: number };
let ca: KeyPair;

/** Answers every request with the Pod's name, and stops as a good server does: what it has begun it ends. */
const deployment = (name: string, replicas: number) => `
apiVersion: apps/v1
kind: Deployment
metadata: { name: ${name} }
spec:
  replicas: ${replicas}
  selector: { matchLabels: { app: ${name} } }
  template:
    metadata: { labels: { app: ${name} } }
    spec:
      terminationGracePeriodSeconds: 5
      containers:
      - name: web
        image: busybox:1.36
        command: [sh, -c, 'mkdir /tmp/www; echo ${name} $(hostname) > /tmp/www/index.html; exec httpd -f -p 8080 -h /tmp/www']
        ports: [{ name: http, containerPort: 8080 }]
        readinessProbe: { httpGet: { port: http }, periodSeconds: 1 }
        lifecycle: { preStop: { exec: { command: [sleep, "1"] } } }
---
apiVersion: v1
kind: Service
metadata: { name: ${name} }
spec: { selector: { app: ${name} }, ports: [{ name: web, port: 80, targetPort: http }] }
---
`;

/** A WebSocket server of one word, in shell: it says hello and ends. */
const WEBSOCKET = `
apiVersion: v1
kind: ConfigMap
metadata: { name: ws }
data:
  serve.sh: |
    while read -r line; do
      line=$(printf %s "$line" | tr -d '\\r')
      case "$line" in
        [Ss]ec-[Ww]eb[Ss]ocket-[Kk]ey:*) key=\${line#*: } ;;
        "") break ;;
      esac
    done
    accept=$(printf %s258EAFA5-E914-47DA-95CA-C5AB0DC85B11 "$key" | sha1sum | cut -c1-40 | xxd -r -p | base64)
    printf 'HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n'
    printf 'Sec-WebSocket-Accept: %s\\r\\n\\r\\n' "$accept"
    printf '\\x81\\x05hello\\x88\\x00'
---
apiVersion: v1
kind: Pod
metadata: { name: ws, labels: { app: ws } }
spec:
  terminationGracePeriodSeconds: 0
  volumes: [{ name: script, configMap: { name: ws } }]
  containers:
  - name: main
    image: busybox:1.36
    command: [nc, -ll, -p, "9000", -e, sh, /script/serve.sh]
    volumeMounts: [{ name: script, mountPath: /script }]
---
apiVersion: v1
kind: Service
metadata: { name: ws }
spec: { selector: { app: ws }, ports: [{ port: 9000 }] }
---
`;

const INGRESS = `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: { name: shop, annotations: { mini-kube.io/ssl-redirect: "false" } }
spec:
  tls: [{ hosts: [shop.test], secretName: shop-tls }]
  rules:
  - host: shop.test
    http:
      paths:
      - { path: /, pathType: Prefix, backend: { service: { name: front, port: { name: web } } } }
      - { path: /cart/, pathType: Prefix, backend: { service: { name: cart, port: { number: 80 } } } }
      - { path: /ws, pathType: Exact, backend: { service: { name: ws, port: { number: 9000 } } } }
`;

beforeAll(async () => {
  await ensureTestImages();
  ports = { http: await freePort(), https: await freePort() };
  const args = ["--ingress-http-port", String(ports.http), "--ingress-https-port", String(ports.https)];
  cluster = await TestCluster.start({ args });
  ca = await createCa("scenario", systemClock.now());
  const pair = await issueCert(
    ca,
    { commonName: "shop", dnsNames: ["shop.test"], usages: ["server"] },
    systemClock.now(),
  );
  const file = (name: string, content: string) => {
    writeFileSync(join(cluster.home, name), content);
    return join(cluster.home, name);
  };
  const [cert, key] = [file("tls.crt", pair.cert), file("tls.key", pair.key)];
  await cluster.kubectlOk(["create", "secret", "tls", "shop-tls", `--cert=${cert}`, `--key=${key}`]);
  await apply(deployment("front", 2) + deployment("cart", 1) + WEBSOCKET + INGRESS);
  for (const name of ["front", "cart"])
    await cluster.kubectlOk(["rollout", "status", `deploy/${name}`, "--timeout=60s"]);
  await cluster.untilPod("ws", ready);
});
afterAll(() => cluster?.remove());

const apply = (yaml: string) => cluster.kubectlOk(["apply", "-f", "-"], { input: yaml });

function get(
  path: string,
  o: https.RequestOptions & { tls?: boolean } = {},
): Promise<{ status: number; body: string }> {
  const { tls, ...options } = o;
  const all = { host: "127.0.0.1", path, headers: { host: "shop.test" }, agent: false as const, ...options };
  return new Promise((resolve, reject) => {
    const answer = (res: http.IncomingMessage) =>
      void text(res).then((body) => resolve({ status: res.statusCode ?? 0, body: body.trim() }), reject);
    const req = tls
      ? https.get({ ...all, agent: new https.Agent(), port: ports.https, servername: "shop.test", ca: ca.cert }, answer)
      : http.get({ ...all, port: ports.http }, answer);
    req.on("error", reject);
  });
}

test("hosts and paths lead to Services, over HTTP and TLS; kubectl shows where", async () => {
  await cluster.kubectlOk(["wait", "ingress/shop", "--for=jsonpath={.status.loadBalancer.ingress[0].ip}=127.0.0.1"]);
  expect(await cluster.kubectlOk(["get", "ingress", "shop", "--no-headers"])).toMatch(
    /^shop +mini-kube +shop\.test +127\.0\.0\.1 +80, 443 /,
  );
  const seen = new Set<string>();
  for (let i = 0; i < 8; i++) seen.add((await get("/")).body);
  expect([...seen].map((s) => s.split(" ")[0])).toEqual(["front", "front"]);
  expect((await get("/cart/", { tls: true })).status).toBe(404); // httpd's own: it has no such page
  expect((await get("/", { tls: true })).body).toMatch(/^front /);
  expect(await get("/", { headers: { host: "other.test" } })).toMatchObject({
    status: 404,
    body: expect.stringContaining("no Ingress has a rule"),
  });
});

test("a WebSocket reaches its Pod", async () => {
  const ws = new WebSocket(`ws://127.0.0.1:${ports.http}/ws`, { headers: { host: "shop.test" } });
  const said = await new Promise<string>((resolve, reject) => {
    ws.once("message", (d: Buffer) => resolve(d.toString())).once("error", reject);
  });
  expect(said).toBe("hello");
  ws.terminate();
});

test("a roll-out and a change of size under load fail no request", async () => {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
  const statuses = new Map<number | string, number>();
  const pods = new Set<string>();
  let rolling = true;
  const load = async () => {
    while (rolling) {
      const { status, body } = await get("/", { agent }).catch((error: Error) => ({
        status: error.message,
        body: "",
      }));
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      pods.add(body);
    }
  };
  const workers = Array.from({ length: 8 }, load);
  try {
    await cluster.kubectlOk(["scale", "deploy/front", "--replicas=3"]);
    await cluster.kubectlOk(["rollout", "restart", "deploy/front"]);
    await cluster.kubectlOk(["rollout", "status", "deploy/front", "--timeout=90s"]);
    await cluster.kubectlOk(["scale", "deploy/front", "--replicas=1"]);
    await cluster.kubectlOk(["wait", "deploy/front", "--for=jsonpath={.status.replicas}=1", "--timeout=60s"]);
  } finally {
    rolling = false;
    await Promise.all(workers);
    agent.destroy();
  }
  expect([...statuses.keys()]).toEqual([200]);
  expect(statuses.get(200)).toBeGreaterThan(200);
  expect(pods.size).toBeGreaterThanOrEqual(4);
});

test("what is missing is told in events of the Ingress", async () => {
  await apply(`
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: { name: lost }
spec:
  tls: [{ hosts: [lost.test], secretName: nowhere }]
  rules: [{ host: lost.test, http: { paths: [{ path: /, pathType: Prefix, backend: { service: { name: gone, port: { number: 80 } } } }] } }]
`);
  await cluster.kubectlOk(["wait", "ingress/lost", "--for=jsonpath={.status.loadBalancer.ingress[0].ip}"]);
  const seen = await cluster.kubectlOk(["get", "events", "--field-selector=involvedObject.name=lost", "-o", "name"]);
  expect(seen).not.toBe("");
  const described = await cluster.kubectlOk(["describe", "ingress", "lost"]);
  expect(described).toMatch(/ServiceUnavailable .*service "default\/gone" not found/);
  expect(described).toMatch(/SecretUnavailable .*secret "default\/nowhere" not found/);
});
