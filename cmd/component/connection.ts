/** How a program that has a kubeconfig reaches the API servers. */
import type { Check } from "../../pkg/apiserver/health.ts";
import { HttpTransport } from "../../pkg/client/http.ts";
import { type Connection, loadKubeconfig, resolveContext } from "../../pkg/client/kubeconfig.ts";
import { UsageError } from "../../pkg/cli/io.ts";
import type { Clock } from "../../pkg/util/clock.ts";
import type { Logger } from "../../pkg/util/log.ts";
import { daily } from "./renewal.ts";

const CONNECT_MS = 3_000;
const ANSWER_MS = 10_000;
const PULSE_MS = 3_000;

/** Throws what is wrong with the file, and that it has to be named. */
export function readConnection(file: string | undefined): Connection {
  if (file === undefined) throw new UsageError("--kubeconfig FILE is needed: where the API is, and who this is");
  return resolveContext(loadKubeconfig({ files: [file], required: true })).connection;
}

/** Calls and watches end soon when a server is silent: another one may answer. */
export function connect(connection: Connection, userAgent: string): HttpTransport {
  return new HttpTransport({
    connection,
    userAgent,
    connectTimeoutMs: CONNECT_MS,
    answerTimeoutMs: ANSWER_MS,
    pulseMs: PULSE_MS,
  });
}

/**
 * Takes on what is written into the kubeconfig while the program runs (`mini-kube pki init` renews its certificate), looked
 * at day by day, until the signal aborts. Never rejects.
 */
export function followKubeconfig(
  file: string | undefined,
  transport: Pick<HttpTransport, "use">,
  o: { readonly clock: Clock; readonly log: Logger },
  signal: AbortSignal,
): Promise<void> {
  let known = readConnection(file).cert;
  const read = async () => {
    const { cert, key } = readConnection(file);
    if (cert === undefined || key === undefined || cert === known) return;
    transport.use({ cert, key });
    known = cert;
  };
  return daily(read, o, signal);
}

/** Ready as long as an API server answers. */
export function apiCheck(transport: HttpTransport): Check {
  return { name: "apiserver", run: () => transport.text("/readyz"), readyOnly: true };
}
