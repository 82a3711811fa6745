/** The controllers there are: the one list that a controller manager runs. */
import type { Client } from "../client/client.ts";
import type { Clock, Random } from "../util/clock.ts";
import type { Logger } from "../util/log.ts";
import { runGarbageCollector } from "./garbagecollector/controller.ts";
import { runNamespaceController } from "./namespace/controller.ts";
import { runNamespaceDefaults } from "./namespacedefaults/controller.ts";

export interface ControllerParts {
  readonly client: Client;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: Random;
  /** PEM of the cluster's CA, to be known in every namespace. */
  readonly caCert?: string;
}

/** By name; each runs until the signal aborts. */
export const controllers: Readonly<Record<string, (o: ControllerParts, signal: AbortSignal) => Promise<void>>> = {
  "namespace controller": runNamespaceController,
  "namespace defaults controller": runNamespaceDefaults,
  "garbage collector": runGarbageCollector,
};
