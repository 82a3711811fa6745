/**
 * Tells load balancers which nodes have a Pod of a Service whose traffic stays on its node: an HTTP endpoint at the
 * Service's healthCheckNodePort, with kube-proxy's answers.
 */
import { createServer, type Server } from "node:http";
import type { ObjectKey } from "../../api/object.ts";
import { splitKey } from "../../api/object.ts";

export interface HealthCheck {
  readonly port: number;
  readonly localEndpoints: number;
}

export function answerFor(key: ObjectKey, check: HealthCheck): { readonly status: number; readonly body: string } {
  const body = { service: splitKey(key), localEndpoints: check.localEndpoints, serviceProxyHealthy: true };
  return { status: check.localEndpoints > 0 ? 200 : 503, body: `${JSON.stringify(body, undefined, "\t")}\n` };
}

interface Listening {
  readonly server: Server;
  check: HealthCheck;
}

export class HealthChecks implements Disposable {
  readonly #listening = new Map<ObjectKey, Listening>();
  readonly #failed: (key: ObjectKey, port: number, why: string) => void;

  /** `failed`: somebody else has the port. */
  constructor(failed: (key: ObjectKey, port: number, why: string) => void) {
    this.#failed = failed;
  }

  /** Undefined: the Service has none (any more). */
  set(key: ObjectKey, check: HealthCheck | undefined): void {
    const known = this.#listening.get(key);
    if (known && known.check.port === check?.port) {
      known.check = check;
      return;
    }
    if (known) {
      this.#listening.delete(key);
      close(known.server);
    }
    if (check) this.#listening.set(key, this.#listen(key, check));
  }

  [Symbol.dispose](): void {
    for (const { server } of this.#listening.values()) close(server);
    this.#listening.clear();
  }

  #listen(key: ObjectKey, check: HealthCheck): Listening {
    const server = createServer((_, response) => {
      const { status, body } = answerFor(key, entry.check);
      response.writeHead(status, { "content-type": "application/json", "x-content-type-options": "nosniff" });
      response.end(body);
    });
    const entry: Listening = { server, check };
    server.on("error", (error) => this.#failed(key, check.port, error.message));
    server.listen(check.port);
    return entry;
  }
}

function close(server: Server): void {
  server.close();
  server.closeAllConnections();
}
