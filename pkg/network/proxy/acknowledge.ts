/**
 * Tells the cluster up to which revision of the EndpointSlices this node's data path is: so that who waits for a Pod to be
 * out of all traffic can know. Written when an endpoint is on its way out, and only then: it costs nothing otherwise.
 */
import type { Lease } from "../../api/generated/types.ts";
import { leases } from "../../api/kinds/coordination/lease.ts";
import { isReason } from "../../api/status.ts";
import type { Client } from "../../client/client.ts";
import { APPLIED_REVISION, PROXY_LABELS, PROXY_NAMESPACE, proxyLeaseName } from "../../api/traffic.ts";
import { backoffMs } from "../../util/backoff.ts";
import type { Clock, Random } from "../../util/clock.ts";
import type { Logger } from "../../util/log.ts";

export interface AcknowledgerOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly nodeName: string;
}

const RETRY = { initialMs: 50, maxMs: 5_000, jitter: 0.3 };

/** The newest revision wins; one write is under way at a time, and it carries what is newest when it begins. */
export class Acknowledger {
  readonly #o: AcknowledgerOptions;
  #wanted = 0n;
  #written = -1n;
  #wake: () => void = () => {};

  constructor(o: AcknowledgerOptions) {
    this.#o = o;
  }

  /** Nothing was told yet. */
  get silent(): boolean {
    return this.#wanted === 0n;
  }

  /** Everything up to this revision is in the data path. Returns at once. */
  applied(revision: bigint): void {
    if (revision <= this.#wanted) return;
    this.#wanted = revision;
    this.#wake();
  }

  async run(signal: AbortSignal): Promise<void> {
    const stop = () => this.#wake();
    signal.addEventListener("abort", stop, { once: true });
    for (let failures = 0; !signal.aborted;) {
      const revision = this.#wanted;
      try {
        if (revision > this.#written) await this.#write(revision, signal);
        this.#written = revision;
        failures = 0;
        // It may have aborted during the write: then nobody would wake it any more.
        if (this.#wanted === revision && !signal.aborted) await new Promise<void>((resolve) => (this.#wake = resolve));
      } catch (error) {
        if (signal.aborted) break;
        this.#o.log.debug({ err: error }, "what the data path has reached was not told, will retry");
        const ms = backoffMs(++failures, RETRY, this.#o.random);
        await this.#o.clock.sleep(ms, signal).catch(() => {}); // an abort; the loop sees it
      }
    }
    signal.removeEventListener("abort", stop);
  }

  async #write(revision: bigint, signal: AbortSignal): Promise<void> {
    const { nodeName } = this.#o;
    const api = this.#o.client.resource<Lease>(leases, PROXY_NAMESPACE);
    const name = proxyLeaseName(nodeName);
    const annotations = { [APPLIED_REVISION]: revision.toString() };
    try {
      await api.patch(name, "application/merge-patch+json", { metadata: { annotations } });
    } catch (error) {
      if (!isReason(error, "NotFound")) throw error;
      signal.throwIfAborted();
      await api.create({ metadata: { name, labels: PROXY_LABELS, annotations }, spec: { holderIdentity: nodeName } });
    }
  }
}
