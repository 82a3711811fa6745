/**
 * `npm start`: from nothing to a Pod that serves a page, with one command. See `npm start -- --help`.
 *
 * Idempotent: what is there is used, what a killed run left is taken over. Nothing it needs is fetched from an image
 * registry.
 */
import http from "node:http";
import { join } from "node:path";
import * as machine from "./machine.mjs";

const HELP = `Sets mini-kube up on this machine and runs manifests/hello.yaml on it.

  npm start                  stay in the foreground until Ctrl-C
  npm start -- --detach      leave the cluster running and return
  npm start -- --port 7443   serve the API on another port than 6443

State is kept in $MINI_KUBE_HOME (default ~/.mini-kube).
`;

/** How long hello.yaml may take to be Ready. Making the image is not part of it. */
const READY_DEADLINE_MS = 120_000;

async function main(args) {
  if (args.includes("--help") || args.includes("-h")) return void process.stdout.write(HELP);
  const port = args.includes("--port") ? Number(args[args.indexOf("--port") + 1]) : 6443;
  if (!Number.isInteger(port) || port < 1 || port > 65535)
    throw new machine.Missing("--port takes a number from 1 to 65535.");
  const detach = args.includes("--detach");

  machine.checkNode();
  await machine.ensureDependencies();
  await machine.step("build", () => machine.runAsync("npm", ["run", "--silent", "build"]));
  const docker = await machine.ensureDocker();
  machine.say(`Docker ${docker.version} at ${docker.socket}`);
  // Pods run without, too: what does not, the cluster says itself.
  await machine.ensureNetworkTools().catch((error) => machine.say(`${error.message} Services will not be reachable.`));
  process.env.DOCKER_HOST = `unix://${docker.socket}`;
  const { ensureHelloImage } = await import("./hello-image.mjs");
  await machine.step("image mini-kube/hello:1", () => ensureHelloImage({ socketPath: docker.socket }));

  const { startCluster } = await import(join(machine.root, "dist/cmd/mini-kube/demo.js"));
  const cluster = await machine.step("cluster", () => startCluster({ detach, port, env: process.env }));
  const manifest = join(machine.root, "manifests/hello.yaml");
  const pods = await cluster.apply(manifest);
  const [address] = await showUntilReady(cluster, pods);
  const url = `http://${address}:8080/`;
  const page = await machine.step(`fetch ${url}`, () => fetchPage(url));
  report({ cluster, pods, page, url, detach });

  if (detach || !cluster.ours) return cluster.disconnect();
  process.once("SIGINT", () => {
    process.stdout.write("\n");
    machine.say("stopping: the containers go, the objects stay (npm start brings them back)");
    void cluster.stop("remove");
  });
  for (const signal of ["SIGTERM", "SIGHUP"]) process.once(signal, () => void cluster.stop("keep"));
  await cluster.stopped;
}

/** One line per Pod, rewritten as its status changes; on no terminal, a line per change. */
async function showUntilReady(cluster, pods) {
  const names = pods.join(", ");
  let last = "";
  return machine.step(`Pod ${names} Running and Ready`, () =>
    cluster.untilReady(pods, READY_DEADLINE_MS, (text) => {
      if (text !== last && !process.stdout.isTTY) machine.say(text);
      else if (text !== last) process.stdout.write(`\r${machine.dim("…")} ${text}\u001b[K\n`);
      last = text;
    }),
  );
}

function fetchPage(url) {
  return new Promise((resolve, reject) => {
    const request = http.get(url, { timeout: 10_000 }, (response) => {
      let body = "";
      response.on("data", (d) => (body += d));
      response.on("end", () => {
        if (response.statusCode === 200) resolve(body);
        else reject(new Error(`${url} answered ${response.statusCode}`));
      });
    });
    request.on("timeout", () => request.destroy(new Error(`${url} did not answer within 10 s`)));
    request.on("error", reject);
  });
}

function report({ cluster, pods, page, url, detach }) {
  const title = /<title>(.*?)<\/title>/.exec(page)?.[1] ?? `${page.length} bytes`;
  const stop = detach || !cluster.ours ? "npx mini-kube down" : "Ctrl-C";
  const status = cluster.status;
  process.stdout.write(`
${machine.bold("mini-kube is running")} ${machine.dim(`(pid ${status.pid}, API ready ${Math.round(status.readyAfterMs)} ms after its start)`)}
  page        ${url}  “${title}”
  API         ${status.server}
  kubeconfig  ${cluster.kubeconfig}
  log         ${cluster.log}

${machine.bold("Next")}
  npx mini-kube get pods -o wide
  npx mini-kube describe pod ${pods[0]}
  npx mini-kube logs -f ${pods[0]} -c watcher
  npx mini-kube exec -it ${pods[0]} -c web -- sh
  kubectl --kubeconfig ${cluster.kubeconfig} get pods -A

${machine.bold("Stop")}        ${stop}
${machine.bold("Start over")}  npx mini-kube down --purge
`);
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  const text = error instanceof machine.Missing || error?.expected ? error.message : (error?.stack ?? String(error));
  process.stderr.write(`${machine.red("error:")} ${text}\n`);
  process.exit(1);
}
