/**
 * Whether the other nodes answer through the network of the Pods: a firewall between them is nobody's object, so it is
 * found by trying. Any answer counts, also that nobody listens there.
 */
import { connect } from "node:net";
import type { Clock } from "../../util/clock.ts";
import { type Ipv4Cidr, nthAddress } from "../../util/ipv4.ts";
import type { Way } from "./peers.ts";

export interface Target {
  readonly name: string;
  readonly ip: string;
  readonly podCidr: Ipv4Cidr;
  readonly way: Way;
}

export interface News {
  readonly reachable: boolean;
  readonly message: string;
}

/** Resolves to whether anything came back. */
export type Dial = (host: string, port: number) => Promise<boolean>;

const DIAL_MS = 2_000;
/** The node's DNS; what matters is that there is a kernel behind the address. */
const PORT = 53;
/** One lost packet is no firewall. */
const FAILURES = 2;

export class Reachability {
  readonly #dial: Dial;
  readonly #failures = new Map<string, number>();

  constructor(dial: Dial) {
    this.#dial = dial;
  }

  /** Looks at all of them; what is new of each: that it does not answer any more, or does again. */
  async look(self: string, targets: readonly Target[]): Promise<readonly News[]> {
    const names = new Set(targets.map((t) => t.name));
    for (const name of this.#failures.keys()) if (!names.has(name)) this.#failures.delete(name);
    const looked = await Promise.all(targets.map((t) => this.#one(self, t)));
    return looked.flatMap((news) => news ?? []);
  }

  async #one(self: string, t: Target): Promise<News | undefined> {
    const gateway = nthAddress(t.podCidr, 1);
    const answered = await this.#dial(gateway, PORT);
    const before = this.#failures.get(t.name) ?? 0;
    const failures = answered ? 0 : before + 1;
    this.#failures.set(t.name, failures);
    if (answered && before >= FAILURES) return { reachable: true, message: `Pods of node ${t.name} are reached again` };
    if (failures !== FAILURES) return undefined;
    const what = t.way === "vxlan" ? "UDP port 8472" : "forwarded packets";
    const why = `does a firewall drop ${what} between ${self} and ${t.ip}?`;
    return {
      reachable: false,
      message: `Pods of node ${t.name} are not reached (${t.way}): no answer from ${gateway}; ${why}`,
    };
  }
}

export function dialer(clock: Pick<Clock, "after">): Dial {
  return (host, port) =>
    new Promise((resolve) => {
      const socket = connect({ host, port });
      const end = (answered: boolean) => {
        late[Symbol.dispose]();
        socket.destroy();
        resolve(answered);
      };
      const late = clock.after(DIAL_MS, () => end(false));
      socket.once("connect", () => end(true));
      socket.once("error", (error: NodeJS.ErrnoException) => end(error.code === "ECONNREFUSED"));
    });
}
