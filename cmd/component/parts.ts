/** What every component is given, whichever way its calls take: a function call, or HTTPS. */
import { Client } from "../../pkg/client/client.ts";
import type { Transport } from "../../pkg/client/transport.ts";
import { type Clock, type Random, systemClock, systemRandom } from "../../pkg/util/clock.ts";
import type { Logger } from "../../pkg/util/log.ts";
import type { Metrics } from "../../pkg/util/metrics.ts";
import { counted } from "./rest-client-metrics.ts";

export interface Parts {
  readonly client: Client;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** What it counts of its work. */
  readonly metrics?: Metrics | undefined;
}

/** `name`: who writes, in logs and as the field manager. With `metrics`, its calls are counted, too. */
export function partsOf(name: string, transport: Transport, log: Logger, metrics?: Metrics): Parts {
  return {
    client: new Client(metrics ? counted(transport, metrics) : transport, name),
    clock: systemClock,
    random: systemRandom,
    log: log.child({ component: name }),
    metrics,
  };
}
