/** What every command stands on: the flags all have, the connection they choose, and how results are written. */
import { join } from "node:path";
import { Client, type ResourceClient } from "../client/client.ts";
import { HttpTransport } from "../client/http.ts";
import {
  type Kubeconfig,
  type KubeconfigPlace,
  type ResolvedContext,
  kubeconfigPlace,
  loadKubeconfig,
  resolveContext,
} from "../client/kubeconfig.ts";
import type { ApiObject } from "../api/object.ts";
import { Discovery, type KnownResource } from "./discovery.ts";
import { type Io, type Paint, paintFor, write } from "./io.ts";

export const CLIENT_VERSION = "0.1.0";

export interface GlobalFlags {
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly namespace?: string;
}

/** Connects when first asked to: `mini-kube get --help` needs no cluster. */
export class Session {
  readonly io: Io;
  readonly flags: GlobalFlags;
  readonly paint: Paint;
  #context: ResolvedContext | undefined;
  #transport: HttpTransport | undefined;
  #discovery: Discovery | undefined;

  constructor(io: Io, flags: GlobalFlags) {
    this.io = io;
    this.flags = flags;
    this.paint = paintFor(io.stdout, io.env);
  }

  get kubeconfigPlace(): KubeconfigPlace {
    return kubeconfigPlace({ flag: this.flags.kubeconfig, env: this.io.env, userHome: this.io.userHome });
  }

  get kubeconfig(): Kubeconfig {
    return loadKubeconfig(this.kubeconfigPlace);
  }

  get context(): ResolvedContext {
    this.#context ??= resolveContext(this.kubeconfig, this.flags.context);
    return this.#context;
  }

  get namespace(): string {
    return this.flags.namespace || this.context.namespace;
  }

  get transport(): HttpTransport {
    this.#transport ??= new HttpTransport({
      connection: this.context.connection,
      userAgent: `mini-kube/${CLIENT_VERSION}`,
      onWarning: (text) => this.warn(text),
    });
    return this.#transport;
  }

  get discovery(): Discovery {
    const cacheDir = join(this.io.env.MINI_KUBE_HOME ?? join(this.io.userHome, ".mini-kube"), "cache");
    this.#discovery ??= new Discovery({ transport: this.transport, cacheDir, clock: this.io.clock });
    return this.#discovery;
  }

  /** The verbs of a kind; in `namespace` where it is namespaced, across all where that is undefined. */
  resource(r: KnownResource, namespace: string | undefined): ResourceClient<ApiObject> {
    return new Client(this.transport, "mini-kube").resource(r, namespace);
  }

  /** Writes a line, or several, to the standard output. */
  async say(text: string): Promise<void> {
    await write(this.io.stdout, text.endsWith("\n") ? text : `${text}\n`);
  }

  /** Writes a line beside the results. */
  note(text: string): void {
    this.io.stderr.write(`${text}\n`);
  }

  warn(text: string): void {
    this.note(`${paintFor(this.io.stderr, this.io.env)("yellow", "Warning:")} ${text}`);
  }

  close(): void {
    this.#transport?.close();
  }
}
