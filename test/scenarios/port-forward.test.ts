import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { writeFileSync } from "node:fs";
import { get } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { ensureHelloImage, HELLO_IMAGE } from "../../cmd/dev/hello-image.mjs";
import { ensureTestTools, kubectls } from "../../cmd/dev/test-tools.mjs";
import { ready, TestCluster } from "../harness/cluster.ts";
import { Running } from "../harness/process.ts";
import { ensureTestImages } from "../images/images.ts";

/** Ports of real Pods, by kubectls of each protocol: 1.29 plain SPDY, 1.31 and 1.36 SPDY in WebSocket messages. */
let cluster: TestCluster;

const POD = `
apiVersion: v1
kind: Pod
metadata: { name: web }
spec:
  terminationGracePeriodSeconds: 0
  containers:
    - { name: hello, image: '${HELLO_IMAGE}', ports: [{ name: http, containerPort: 8080 }] }
    - name: tools
      image: busybox:1.36
      command:
        - sh
        - -c
        - |
          mkdir /tmp/www; echo private > /tmp/www/index.html
          httpd -p 127.0.0.1:9000 -h /tmp/www
          nc -ll -p 7000 -e cat &
          exec nc -ll -p 7001 -e sh -c 'echo bye'
`;

beforeAll(async () => {
  await Promise.all([ensureTestTools(), ensureTestImages(), ensureHelloImage()]);
  cluster = await TestCluster.start();
  writeFileSync(join(cluster.home, "web.yaml"), POD);
  await cluster.cliOk(["apply", "-f", join(cluster.home, "web.yaml")]);
  await cluster.untilPod("web", ready);
}, 600_000);
afterAll(() => cluster?.remove());

/** The body, or what went wrong. */
const fetchText = (url: string) =>
  new Promise<string>((resolve, reject) => {
    get(url, { agent: false }, (res) => void text(res).then(resolve, reject)).on("error", reject);
  });

describe.each(["1.29", "1.31", "1.36"])("kubectl %s port-forward", (minor) => {
  const running: Running[] = [];
  afterAll(async () => {
    for (const forward of running) forward.kill();
    await Promise.all(running.map((forward) => forward.exited));
  });

  /** The ports of this machine that lead to the Pod's. */
  async function forward(...ports: number[]): Promise<{ local: number[]; process: Running }> {
    const args = ["--kubeconfig", cluster.kubeconfig, "port-forward", "pod/web", ...ports.map((p) => `:${p}`)];
    const process = new Running(kubectls[minor] ?? "", args, { env: cluster.env });
    running.push(process);
    const local: number[] = [];
    for (const port of ports) {
      const [, found] = await process.until(new RegExp(`Forwarding from 127\\.0\\.0\\.1:(\\d+) -> ${port}`));
      local.push(Number(found));
    }
    return { local, process };
  }

  test("HTTP, on the Pod's address and on its localhost, many at once", async () => {
    const { local } = await forward(8080, 9000);
    const pages = await Promise.all(
      Array.from({ length: 20 }, (_, n) => fetchText(`http://127.0.0.1:${local[n % 2]}/`)),
    );
    for (const [n, page] of pages.entries()) expect(page).toMatch(n % 2 === 0 ? /Hello from mini-kube/ : /^private$/m);
  });

  test("plain bytes: either side may finish first", async () => {
    const { local } = await forward(7000, 7001);
    const bytes = "0123456789".repeat(100_000);
    const echo = connect({ port: local[0] ?? 0, host: "127.0.0.1", allowHalfOpen: true });
    echo.end(bytes);
    expect((await text(echo)) === bytes).toBe(true);
    expect(await text(connect({ port: local[1] ?? 0, host: "127.0.0.1", allowHalfOpen: true }))).toBe("bye\n");
  });

  test("where nobody listens, kubectl says so", async () => {
    const { local, process } = await forward(81);
    await expect(fetchText(`http://127.0.0.1:${local[0]}/`)).rejects.toThrow(/hang up|ECONNRESET/);
    await process.until(/an error occurred forwarding \d+ -> 81: error forwarding port 81 to pod web: .*refused/);
  });
});

test("the proxy subresource of a Pod and of a node, by get --raw and by kubectl proxy", async () => {
  const pod = "/api/v1/namespaces/default/pods/web";
  expect(await cluster.kubectlOk(["get", "--raw", `${pod}/proxy/`])).toMatch(/Hello from mini-kube/);
  expect(await cluster.kubectlOk(["get", "--raw", `${pod}:9000/proxy/index.html`])).toBe("private\n");
  const refused = await cluster.kubectl(["get", "--raw", `${pod}:81/proxy/`]);
  expect(refused.stderr).toMatch(
    /error trying to reach service: dial tcp4 127\.0\.0\.1:81: connect: connection refused/,
  );
  const node = `/api/v1/nodes/${cluster.nodeName}/proxy`;
  expect(await cluster.kubectlOk(["get", "--raw", `${node}/healthz`])).toBe("ok");
  const proxy = cluster.kubectlRunning(["proxy", "--port=0"]);
  const [, port] = await proxy.until(/127\.0\.0\.1:(\d+)/);
  expect(await fetchText(`http://127.0.0.1:${port}${pod}:http/proxy/`)).toMatch(/invalid pod request/);
  expect(await fetchText(`http://127.0.0.1:${port}${pod}:8080/proxy/`)).toMatch(/Hello from mini-kube/);
  proxy.kill();
  await proxy.exited;
});

describe("mini-kube port-forward", () => {
  const running: Running[] = [];
  afterAll(async () => {
    for (const forward of running) forward.kill();
    await Promise.all(running.map((forward) => forward.exited));
  });

  async function forward(...words: string[]): Promise<{ local: number; process: Running }> {
    const process = cluster.cliRunning(["port-forward", ...words]);
    running.push(process);
    const [, local] = await process.until(/Forwarding from 127\.0\.0\.1:(\d+) -> \d+/);
    return { local: Number(local), process };
  }

  test("of a Pod: HTTP and plain bytes, many at once; where nobody listens, it says so", async () => {
    const { local } = await forward("web", ":http");
    const pages = await Promise.all(Array.from({ length: 20 }, () => fetchText(`http://127.0.0.1:${local}/`)));
    for (const page of pages) expect(page).toMatch(/Hello from mini-kube/);
    const echo = connect({ port: (await forward("pod/web", ":7000")).local, host: "127.0.0.1" });
    const bytes = "0123456789".repeat(100_000);
    let back = "";
    const whole = new Promise<void>((resolve) => {
      echo.on("data", (d: Buffer) => {
        back += d.toString();
        if (back.length === bytes.length) resolve();
      });
    });
    echo.write(bytes);
    await whole;
    echo.destroy();
    expect(back === bytes).toBe(true);
    const none = await forward("web", ":81");
    await expect(fetchText(`http://127.0.0.1:${none.local}/`)).rejects.toThrow(/hang up|ECONNRESET/);
    await none.process.until(/an error occurred forwarding \d+: error forwarding port 81 to pod web: .*refused/);
  });

  test("of a Service and of a Deployment: goes on when the Pod is replaced", async () => {
    const yaml = `
apiVersion: apps/v1
kind: Deployment
metadata: { name: hello }
spec:
  selector: { matchLabels: { app: hello } }
  template:
    metadata: { labels: { app: hello } }
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{ name: hello, image: '${HELLO_IMAGE}', ports: [{ name: http, containerPort: 8080 }] }]
---
apiVersion: v1
kind: Service
metadata: { name: hello }
spec: { selector: { app: hello }, ports: [{ name: web, port: 80, targetPort: http }] }
`;
    await cluster.kubectlOk(["apply", "-f", "-"], { input: yaml });
    await cluster.kubectlOk(["rollout", "status", "deploy/hello", "--timeout=60s"]);
    const [service, deployment] = [await forward("svc/hello", ":web"), await forward("deploy/hello", ":8080")];
    const both = [service, deployment].map(({ local }) => `http://127.0.0.1:${local}/`);
    for (const url of both) expect(await fetchText(url)).toMatch(/Hello from mini-kube/);
    await cluster.kubectlOk(["delete", "pod", "-l", "app=hello"]);
    for (const url of both) expect(await fetchText(url)).toMatch(/Hello from mini-kube/);
    const kubectl = cluster.kubectlRunning(["port-forward", "svc/hello", ":80"]);
    running.push(kubectl);
    const [, local] = await kubectl.until(/127\.0\.0\.1:(\d+) -> 8080/);
    expect(await fetchText(`http://127.0.0.1:${local}/`)).toMatch(/Hello from mini-kube/);
  });

  test("mini-kube proxy lends the user's rights, but not for exec", async () => {
    const proxy = cluster.cliRunning(["proxy", "--port=0"]);
    running.push(proxy);
    const [, port] = await proxy.until(/Starting to serve on 127\.0\.0\.1:(\d+)/);
    const pod = `http://127.0.0.1:${port}/api/v1/namespaces/default/pods/web`;
    expect(JSON.parse(await fetchText(pod))).toMatchObject({ kind: "Pod", metadata: { name: "web" } });
    expect(await fetchText(`${pod}:8080/proxy/`)).toMatch(/Hello from mini-kube/);
    expect(await fetchText(`${pod}/exec?command=id`)).toBe("Forbidden\n");
  });
});
