/**
 * A registry for tests: read-only, in this process, on 127.0.0.1 (which Docker takes without TLS). It serves images made
 * of one that the daemon has and a layer of their own; it can want a password, be slow, and stop in the middle.
 */
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { tarOf } from "../../pkg/runtime/docker/pause.ts";
import { runOk } from "./process.ts";

const MANIFEST = "application/vnd.docker.distribution.manifest.v2+json";
const CONFIG = "application/vnd.docker.container.image.v1+json";
const LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip";
const CHUNK = 16 * 1024;

interface Blob {
  readonly type: string;
  readonly data: Buffer;
}

export interface Published {
  /** `127.0.0.1:PORT/NAME:TAG` */
  readonly image: string;
  /** Without the tag. */
  readonly repository: string;
  readonly digest: string;
}

export interface RegistryOptions {
  readonly user?: string;
  readonly password?: string;
}

export class TestRegistry {
  readonly #server: Server;
  readonly #auth: string | undefined;
  readonly #blobs = new Map<string, Blob>();
  /** `NAME:TAG` → digest. */
  readonly #tags = new Map<string, string>();
  /** Requests so far, `GET /v2/…`. */
  readonly requests: string[] = [];
  /** Of a blob, in bytes a second; 0: it begins and never ends. */
  bytesPerSecond = Infinity;

  private constructor(server: Server, o: RegistryOptions) {
    this.#server = server;
    this.#auth = o.user && `Basic ${Buffer.from(`${o.user}:${o.password ?? ""}`).toString("base64")}`;
    server.on("request", (req, res) => void this.#answer(req, res));
  }

  static async start(o: RegistryOptions = {}): Promise<TestRegistry> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new TestRegistry(server, o);
  }

  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  /** `base` with one more layer, of so many bytes that no daemon can have yet. */
  async publish(name: string, o: { base: string; bytes?: number }): Promise<Published> {
    const { config, layers } = await saved(o.base);
    const extra = tarOf({ "mini-kube-test": randomBytes(o.bytes ?? 1024) });
    const all = [...layers, extra];
    const whole = {
      ...config,
      rootfs: { type: "layers", diff_ids: all.map(digestOf) },
      history: all.map(() => ({ created_by: "test" })),
    };
    const manifest = {
      schemaVersion: 2,
      mediaType: MANIFEST,
      config: this.#put(CONFIG, Buffer.from(JSON.stringify(whole))),
      layers: all.map((layer) => this.#put(LAYER, gzipSync(layer, { level: 1 }))),
    };
    const { digest } = this.#put(MANIFEST, Buffer.from(JSON.stringify(manifest)));
    const [repository = "", tag = "latest"] = name.split(":");
    this.#tags.set(`${repository}:${tag}`, digest);
    return { image: `${this.host}/${name}`, repository: `${this.host}/${repository}`, digest };
  }

  #put(type: string, data: Buffer): { mediaType: string; digest: string; size: number } {
    const digest = digestOf(data);
    this.#blobs.set(digest, { type, data });
    return { mediaType: type, digest, size: data.length };
  }

  async #answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const path = req.url ?? "/";
    this.requests.push(`${req.method} ${path}`);
    res.setHeader("Docker-Distribution-Api-Version", "registry/2.0");
    if (this.#auth !== undefined && req.headers.authorization !== this.#auth) {
      res.writeHead(401, { "WWW-Authenticate": 'Basic realm="test"', "Content-Type": "application/json" });
      return void res.end('{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}');
    }
    if (path === "/v2/") return void res.end("{}");
    const [, name = "", kind, reference = ""] = /^\/v2\/(.+)\/(manifests|blobs)\/([^/]+)$/.exec(path) ?? [];
    const digest = reference.includes(":") ? reference : this.#tags.get(`${name}:${reference}`);
    const blob = this.#blobs.get(digest ?? "");
    if (!blob) {
      res.writeHead(404, { "Content-Type": "application/json" });
      return void res.end('{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}');
    }
    res.writeHead(200, {
      "Content-Type": blob.type,
      "Content-Length": blob.data.length,
      "Docker-Content-Digest": digest,
    });
    if (req.method === "HEAD") return void res.end();
    if (kind === "blobs" && blob.type === LAYER) return this.#slowly(res, blob.data);
    res.end(blob.data);
  }

  async #slowly(res: ServerResponse, data: Buffer): Promise<void> {
    const pause = (CHUNK / this.bytesPerSecond) * 1000;
    for (let at = 0; at < data.length && !res.destroyed; at += CHUNK) {
      res.write(data.subarray(at, at + CHUNK));
      if (pause === Infinity) return;
      if (pause > 1) await new Promise((resolve) => setTimeout(resolve, pause));
    }
    res.end();
  }
}

const digestOf = (data: Buffer) => `sha256:${createHash("sha256").update(data).digest("hex")}`;

/** An image of the daemon, in parts: as `docker save` gives it. */
async function saved(image: string): Promise<{ config: object; layers: Buffer[] }> {
  const dir = mkdtempSync(join(tmpdir(), "registry-"));
  try {
    await runOk("docker", ["save", "-o", join(dir, "image.tar"), image]);
    await runOk("tar", ["-xf", join(dir, "image.tar"), "-C", dir]);
    const [manifest] = JSON.parse(readFileSync(join(dir, "manifest.json"), "utf8")) as {
      Config: string;
      Layers: string[];
    }[];
    if (!manifest) throw new Error(`docker save ${image} gave no image`);
    const config = JSON.parse(readFileSync(join(dir, manifest.Config), "utf8")) as object;
    return { config, layers: manifest.Layers.map((l) => readFileSync(join(dir, l))) };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
