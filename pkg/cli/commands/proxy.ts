/** `proxy`: the API on a port of this machine, with the user's own rights. */
import { type CommandModule, examples } from "../command.ts";
import { apiProxy, DEFAULT_RULES, judgeOf, type ProxyRules } from "../forward/api-proxy.ts";
import { CliError, UsageError } from "../io.ts";
import type { Session } from "../session.ts";
import { untilAborted } from "./port-forward.ts";

interface Options extends ProxyRules {
  port: number;
  address: string;
  apiPrefix: string;
  disableFilter?: boolean;
}

export const command: CommandModule = {
  define: (c, run) =>
    c
      .option("-p, --port <port>", "where to listen; 0 for any free port", portOrAny, 8001)
      .option("--address <ip>", "the address to listen on", "127.0.0.1")
      .option("--api-prefix <prefix>", "what stands before the API's paths", "/")
      .option("--accept-hosts <regexps>", "Host headers that are served", DEFAULT_RULES.acceptHosts)
      .option("--accept-paths <regexps>", "paths that are served", DEFAULT_RULES.acceptPaths)
      .option("--reject-paths <regexps>", "paths that are not", DEFAULT_RULES.rejectPaths)
      .option("--reject-methods <regexps>", "methods that are not", DEFAULT_RULES.rejectMethods)
      .option("--disable-filter", "serve everything to everybody who reaches the port: dangerous")
      .addHelpText(
        "after",
        examples(
          "mini-kube proxy                                 then: curl localhost:8001/api/v1/nodes",
          "mini-kube proxy --port=0                        any free port",
          "curl localhost:8001/api/v1/namespaces/default/services/web:80/proxy/     a Service, through it",
        ),
      )
      .action(run(proxy)),
};

function portOrAny(value: string): number {
  const n = Number(value);
  if (!/^\d+$/.test(value) || n > 65535) throw new UsageError(`--port ${value}: a port is a number from 0 to 65535`);
  return n;
}

async function proxy(session: Session, o: Options): Promise<void> {
  const { connection } = session.context;
  const prefix = `/${o.apiPrefix.replace(/^\/+|\/+$/g, "")}/`.replace("//", "/");
  if (o.disableFilter)
    session.warn("Request filter disabled, your proxy is vulnerable to XSRF attacks, please be cautious");
  const judge = o.disableFilter ? () => true : judgeOf(o);
  const made = apiProxy({ connection, judge, prefix });
  const { server } = made;
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", (error) => reject(new CliError(`listen ${o.address}:${o.port}: ${error.message}`)));
      server.listen(o.port, o.address, resolve);
    });
    const at = server.address();
    await session.say(`Starting to serve on ${o.address}:${at && typeof at === "object" ? at.port : o.port}`);
    await untilAborted(session.io.signal);
  } finally {
    made.close();
  }
}
