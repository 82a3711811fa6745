/**
 * How long it takes from a Pod of another node being taken into a Service until a packet is balanced to it, as seen on the
 * node where this runs: in its network namespace, with its kubeconfig. Prints milliseconds as JSON.
 */
import { connect } from "node:net";
import { pods } from "../../pkg/api/kinds/core/pod.ts";
import { Client } from "../../pkg/client/client.ts";
import { HttpTransport } from "../../pkg/client/http.ts";
import { loadKubeconfig, resolveContext } from "../../pkg/client/kubeconfig.ts";

const [kubeconfig = "", pod = "", address = "", rounds = "0"] = process.argv.slice(2);
const { connection } = resolveContext(loadKubeconfig({ files: [kubeconfig], required: true }));
const transport = new HttpTransport({ connection });
const api = new Client(transport, "bench").resource(pods, "default");

/** True when somebody accepts. */
const reachable = () =>
  new Promise<boolean>((resolve) => {
    const socket = connect({ host: address, port: 80, timeout: 1_000 });
    const end = (accepted: boolean) => {
      socket.destroy();
      resolve(accepted);
    };
    socket
      .once("connect", () => end(true))
      .once("error", () => end(false))
      .once("timeout", () => end(false));
  });
const label = (app: string | null) => api.patch(pod, "application/merge-patch+json", { metadata: { labels: { app } } });
async function until(wanted: boolean): Promise<void> {
  while ((await reachable()) !== wanted);
}

const took: number[] = [];
for (let i = 0; i < Number(rounds); i++) {
  await label(null);
  await until(false);
  await label("bench");
  const started = performance.now();
  await until(true);
  took.push(performance.now() - started);
}
transport.close();
process.stdout.write(`${JSON.stringify(took)}\n`);
