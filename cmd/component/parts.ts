/** What every component is given, whichever way its calls take: a function call, or HTTPS. */
import { Client } from "../../pkg/client/client.ts";
import type { Transport } from "../../pkg/client/transport.ts";
import { type Clock, type Random, systemClock, systemRandom } from "../../pkg/util/clock.ts";
import type { Logger } from "../../pkg/util/log.ts";

export interface Parts {
  readonly client: Client;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** `name`: who writes, in logs and as the field manager. */
export function partsOf(name: string, transport: Transport, log: Logger): Parts {
  return {
    client: new Client(transport, name),
    clock: systemClock,
    random: systemRandom,
    log: log.child({ component: name }),
  };
}
