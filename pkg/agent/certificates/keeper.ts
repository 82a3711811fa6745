/**
 * Keeps a node's certificates: asks for the first, renews each long before its end, and hands it on without a restart.
 *
 *  K1  Keys are made here and never leave; a request carries the public half only.
 *  K2  What is on the disk is a certificate with its key, or nothing; who is killed between asking and getting goes on.
 *  K3  While one that still holds is there, no failure to renew it stops anything: it is tried again until its end.
 */
import type { Client } from "../../client/client.ts";
import { isReason } from "../../api/status.ts";
import { backoffMs } from "../../util/backoff.ts";
import { type Clock, type Random, rfc3339 } from "../../util/clock.ts";
import type { Logger } from "../../util/log.ts";
import { certificateFacts } from "../../util/pki-request.ts";
import type { KeyPair } from "../../util/pki.ts";
import { RenewedPair } from "../../util/renewed-pair.ts";
import { dropPendingKey, pendingKey, readPair, removePair, writePair } from "./files.ts";
import { need, type Purpose, renewalShare, wantedOf } from "./plan.ts";
import { askForCertificate, CertificateRefused } from "./request.ts";

export interface KeeperOptions {
  /** Of the files. */
  readonly directory: string;
  readonly nodeName: string;
  /** Where the node's endpoint is reached. */
  readonly address: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

const RETRY = { initialMs: 1_000, maxMs: 60_000, jitter: 0.5 };

export class CertificateKeeper {
  readonly client = new RenewedPair();
  readonly serving = new RenewedPair();
  readonly #o: KeeperOptions;
  readonly #share: number;
  #forgotten: KeyPair | undefined;

  private constructor(o: KeeperOptions) {
    this.#o = o;
    this.#share = renewalShare(o.random);
  }

  /** With what is on the disk and is this node's. */
  static async open(o: KeeperOptions): Promise<CertificateKeeper> {
    const keeper = new CertificateKeeper(o);
    for (const purpose of ["client", "serving"] as const) {
      const pair = await readPair(o.directory, purpose);
      if (pair) keeper[purpose].replace(pair);
    }
    return keeper;
  }

  /** Whether it can show itself to the API. */
  get known(): boolean {
    const asked = this.#need("client");
    if (this.#forgotten !== undefined && this.#forgotten === this.client.current) return false;
    return !asked.ask || asked.why === "Expiring";
  }

  /** The cluster takes it for nobody's any more: {@link join} is needed again. */
  async forget(): Promise<void> {
    await removePair(this.#o.directory, "client");
    this.#forgotten = this.client.current;
  }

  /**
   * The first client certificate, asked for as whoever `bootstrap` is. Waits while the API cannot be reached. Rejects when
   * it is refused: by {@link CertificateRefused}, or with the ApiError that says that `bootstrap` is nobody there.
   */
  async join(bootstrap: Client, signal: AbortSignal): Promise<void> {
    for (let failures = 1; !this.known; failures++) {
      signal.throwIfAborted();
      try {
        await this.#renew("client", bootstrap, signal);
      } catch (error) {
        if (error instanceof CertificateRefused || isReason(error, "Unauthorized", "Forbidden")) throw error;
        this.#o.log.warn({ err: error, failures }, "no certificate for this node yet, will retry");
        await this.#o.clock.sleep(backoffMs(failures, RETRY, this.#o.random), signal);
      }
    }
  }

  /** Renews both as `client`, the node itself, until the signal aborts. */
  async run(client: Client, signal: AbortSignal): Promise<void> {
    await Promise.all([this.#keep("client", client, signal), this.#keep("serving", client, signal)]);
  }

  async #keep(purpose: Purpose, client: Client, signal: AbortSignal): Promise<void> {
    const { clock, random, log } = this.#o;
    for (let failures = 0; !signal.aborted;) {
      const next = this.#need(purpose);
      let waitMs = next.ask ? 0 : next.lookAfterMs;
      if (next.ask) {
        try {
          await this.#renew(purpose, client, signal);
          failures = 0;
        } catch (error) {
          if (signal.aborted) return;
          failures++;
          log.warn({ err: error, purpose, why: next.why, failures }, "certificate not renewed, will retry");
          waitMs = backoffMs(failures, RETRY, random);
        }
      }
      await clock.sleep(waitMs, signal).catch(() => {}); // an abort; the loop sees it
    }
  }

  #need(purpose: Purpose) {
    const held = this[purpose].current;
    return need(held && certificateFacts(held), wantedOf(purpose, this.#o), this.#share, this.#o.clock.now());
  }

  async #renew(purpose: Purpose, client: Client, signal: AbortSignal): Promise<void> {
    const { directory, clock, log } = this.#o;
    const key = await pendingKey(directory, purpose);
    try {
      const wanted = wantedOf(purpose, this.#o);
      const cert = await askForCertificate({ client, clock, purpose, key, wanted }, signal);
      const pair: KeyPair = { cert, key };
      await writePair(directory, purpose, pair);
      this[purpose].replace(pair);
      log.info({ purpose, until: rfc3339(certificateFacts(pair).notAfter) }, "certificate received");
    } catch (error) {
      // Its name is the key's: with the same key the same refusal would be found again.
      if (error instanceof CertificateRefused) await dropPendingKey(directory, purpose);
      throw error;
    }
  }
}
