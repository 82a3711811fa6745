/** The ingress of a one-process cluster: where it listens, and where its log and its counters go. */
import { createWriteStream } from "node:fs";
import http from "node:http";
import { Informers } from "../../pkg/informer/informers.ts";
import type { Served } from "../../pkg/network/ingress/counters.ts";
import { type IngressOptions, runIngress } from "../../pkg/network/ingress/ingress.ts";
import type { IngressProxy } from "../../pkg/network/ingress/proxy.ts";
import { together, untilAborted } from "../../pkg/reconcile/scope.ts";

export interface IngressSettings {
  /** "none": not served. */
  readonly httpPort?: number | "none" | undefined;
  readonly httpsPort?: number | "none" | undefined;
  /** Gets a line of JSON for every request. */
  readonly accessLog?: string | undefined;
  /** On the loopback; default: nowhere. */
  readonly metricsPort?: number | undefined;
}

type Options = Omit<IngressOptions, "httpPort" | "httpsPort" | "informers"> & { readonly settings: IngressSettings };

const numbered = (port: number | "none" | undefined, usual: number) => (port === "none" ? undefined : (port ?? usual));

export async function startIngress(o: Options, signal: AbortSignal): Promise<void> {
  const { httpPort, httpsPort, accessLog, metricsPort } = o.settings;
  const [plain, secure] = [numbered(httpPort, 80), numbered(httpsPort, 443)];
  if (plain === undefined && secure === undefined) {
    return untilAborted(signal);
  }
  using log = accessLog === undefined ? undefined : accessLogTo(accessLog, o);
  let proxy: IngressProxy | undefined;
  using _metrics = metricsPort === undefined ? undefined : serveMetrics(metricsPort, () => proxy?.counters.text(), o);
  const informers = new Informers(o);
  const options: IngressOptions = {
    ...o,
    informers,
    httpPort: plain,
    httpsPort: secure,
    onStart: (p) => void (proxy = p),
    ...(log && { onServed: log.line }),
  };
  await together(
    signal,
    (s) => informers.run(s),
    (s) => runIngress(options, s),
  );
}

function accessLogTo(file: string, { clock, log }: Options) {
  const stream = createWriteStream(file, { flags: "a", mode: 0o600 });
  stream.on("error", (err) => log.warn({ err, file }, "the ingress's access log is not written"));
  return {
    line: (s: Served) => void stream.write(`${JSON.stringify({ time: new Date(clock.now()).toISOString(), ...s })}\n`),
    [Symbol.dispose]: () => void stream.end(),
  };
}

function serveMetrics(port: number, text: () => string | undefined, { log }: Options): Disposable {
  const server = http.createServer((req, res) => {
    if (req.method !== "GET" || req.url !== "/metrics") return void res.writeHead(404).end();
    res.writeHead(200, { "content-type": "text/plain; version=0.0.4" }).end(text() ?? "");
  });
  server.on("error", (err) => log.warn({ err, port }, "the ingress's metrics are not served"));
  server.listen(port, "127.0.0.1");
  return {
    [Symbol.dispose]: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
