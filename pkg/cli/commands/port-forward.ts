/** `port-forward`: ports of this machine that lead to a Pod's. */
import { createServer, type Server, type Socket } from "node:net";
import { type CommandModule, examples } from "../command.ts";
import { errorText } from "../errors.ts";
import { Forwarder } from "../forward/forwarder.ts";
import { parsePorts, type PortPair } from "../forward/targets.ts";
import { CliError, UsageError } from "../io.ts";
import type { Session } from "../session.ts";
import { duration } from "./delete.ts";

interface Options {
  address: string;
  podRunningTimeout: number;
}

export const command: CommandModule = {
  define: (c, run) =>
    c
      .argument("<target>", "NAME or pod/NAME, svc/NAME, deploy/NAME, …")
      .argument("<ports...>", "[LOCAL:]REMOTE: numbers; REMOTE may be a port's name")
      .option("--address <list>", "where to listen: localhost or addresses, with commas", "localhost")
      .option("--pod-running-timeout <duration>", "how long to wait for a Pod that runs", duration, 60_000)
      .addHelpText(
        "after",
        examples(
          "mini-kube port-forward web 8080:80              localhost:8080 leads to port 80 of the Pod web",
          "mini-kube port-forward svc/web :http            any free local port; the Service's port named http",
          "mini-kube port-forward deploy/web 8080          to a Pod of the Deployment, and to the next when that goes",
          "mini-kube port-forward --address 0.0.0.0 web 80 for other machines, too",
        ),
      )
      .action(run(portForward)),
};

async function portForward(session: Session, target: string, words: string[], o: Options): Promise<void> {
  const pairs = parsePorts(words);
  const addresses = addressesOf(o.address);
  const forwarder = await Forwarder.to(session, target);
  await forwarder.untilRunning(o.podRunningTimeout);
  const open = new Set<Socket>();
  const servers: Server[] = [];
  try {
    for (const pair of pairs) {
      const remote = await forwarder.portOf(pair.remote);
      let { local } = pair;
      for (const address of addresses) {
        const handle = (socket: Socket) => void serve(session, socket, { forwarder, pair, local, open });
        const server = createServer({ allowHalfOpen: true }, handle);
        local = await listen(server, local, address);
        servers.push(server);
        const shown = address.includes(":") ? `[${address}]` : address;
        await session.say(`Forwarding from ${shown}:${local} -> ${remote}`);
      }
    }
    await untilAborted(session.io.signal);
  } finally {
    for (const server of servers) server.close();
    for (const socket of open) socket.destroy();
  }
}

async function serve(
  session: Session,
  socket: Socket,
  o: { forwarder: Forwarder; pair: PortPair; local: number; open: Set<Socket> },
): Promise<void> {
  o.open.add(socket);
  socket.once("close", () => o.open.delete(socket)).on("error", () => socket.destroy());
  const { signal } = session.io;
  try {
    await session.say(`Handling connection for ${o.local}`);
    const problem = await o.forwarder.serve(socket, o.pair.remote);
    if (problem !== undefined && !signal.aborted) session.note(`an error occurred forwarding ${o.local}: ${problem}`);
  } catch (error) {
    socket.destroy();
    if (!signal.aborted) session.note(errorText(error));
  }
}

function addressesOf(list: string): string[] {
  const all = list.split(",").flatMap((a) => (a === "localhost" ? "127.0.0.1" : a.trim()));
  if (all.includes("")) throw new UsageError(`--address ${JSON.stringify(list)}: an address is empty`);
  return all;
}

function listen(server: Server, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (error) => reject(new CliError(`unable to listen on port ${port}: ${error.message}`)));
    server.listen(port, host, () => {
      const address = server.address();
      resolve(address && typeof address === "object" ? address.port : port);
    });
  });
}

export function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
