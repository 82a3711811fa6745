/**
 * The yardstick: what a Pod is to Docker (a sandbox container and one that joins its network) made by plain calls of the
 * Engine API over one kept-alive connection each, and nothing else.
 */
import http from "node:http";

const LABEL = "io.mini-kube.bench";

export class RawDocker {
  readonly #agent = new http.Agent({ keepAlive: true, maxSockets: 64 });
  readonly #socketPath: string;
  readonly #images: { sandbox: string; app: string };
  #count = 0;

  constructor(socketPath: string, images: { sandbox: string; app: string }) {
    this.#socketPath = socketPath;
    this.#images = images;
  }

  /** Creates and starts both containers; resolves when Docker says the second one runs. */
  async runPod(): Promise<void> {
    const n = `${process.pid}-${this.#count++}`;
    const Labels = { [LABEL]: String(process.pid) };
    const sandbox = await this.#call("POST", `/containers/create?name=mk-bench-s-${n}`, {
      Image: this.#images.sandbox,
      Labels,
    });
    await this.#call("POST", `/containers/${sandbox.Id}/start`);
    const app = await this.#call("POST", `/containers/create?name=mk-bench-c-${n}`, {
      Image: this.#images.app,
      Cmd: ["sleep", "3600"],
      Labels,
      HostConfig: { NetworkMode: `container:${sandbox.Id}` },
    });
    await this.#call("POST", `/containers/${app.Id}/start`);
  }

  /** Runs `total` Pods, `inFlight` at a time; Pods per second. */
  async rate(total: number, inFlight: number): Promise<number> {
    const start = performance.now();
    let left = total;
    const worker = async () => {
      while (left-- > 0) await this.runPod();
    };
    await Promise.all(Array.from({ length: inFlight }, worker));
    return total / ((performance.now() - start) / 1000);
  }

  async removeAll(): Promise<void> {
    const filters = encodeURIComponent(JSON.stringify({ label: [`${LABEL}=${process.pid}`] }));
    const list = (await this.#call("GET", `/containers/json?all=1&filters=${filters}`)) as unknown as { Id: string }[];
    for (const c of list) await this.#call("DELETE", `/containers/${c.Id}?force=1`);
  }

  #call(method: string, path: string, body?: object): Promise<{ Id: string }> {
    return new Promise((resolve, reject) => {
      const headers = body ? { "content-type": "application/json" } : {};
      const request = http.request(
        { socketPath: this.#socketPath, agent: this.#agent, method, path, headers, timeout: 60_000 },
        (response) => {
          let text = "";
          response.on("data", (d: Buffer) => (text += d.toString()));
          response.on("end", () => {
            if ((response.statusCode ?? 500) >= 400) return reject(new Error(`${method} ${path}: ${text}`));
            resolve((text ? JSON.parse(text) : {}) as { Id: string });
          });
        },
      );
      request.on("timeout", () => request.destroy(new Error(`${method} ${path}: no answer within 60 s`)));
      request.on("error", reject);
      request.end(body && JSON.stringify(body));
    });
  }
}
