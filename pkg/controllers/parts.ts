/** What every controller is given. */
import type { Client } from "../client/client.ts";
import type { Informers } from "../informer/informers.ts";
import type { ServedKinds } from "../informer/served-kinds.ts";
import type { Clock, Random } from "../util/clock.ts";
import type { Logger } from "../util/log.ts";

export interface ControllerParts {
  readonly client: Client;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: Random;
  /** Shared by all controllers. */
  readonly informers: Informers;
  readonly kinds: ServedKinds;
  /** PEM of the cluster's CA. */
  readonly caCert?: string;
}
