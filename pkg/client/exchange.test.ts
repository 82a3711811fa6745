import { afterEach, expect, test } from "@jest/globals";
import http from "node:http";
import https from "node:https";
import { exchange } from "./exchange.ts";

/** Sockets of these agents are connecting for ever, as where SYNs are dropped: the name's lookup never answers. */
const nowhere = { lookup: () => {} };
const agents = { http: new http.Agent(nowhere), https: new https.Agent(nowhere) };
afterEach(() => Object.values(agents).forEach((agent) => agent.destroy()));

test.each(["http", "https"] as const)(
  "%s: connecting itself is not waited for longer than the deadline",
  async (by) => {
    const server = new URL(`${by}://api.test:6443`);
    const asked = exchange({
      server,
      url: server,
      method: "POST",
      headers: {},
      body: "{}",
      agent: agents[by],
      connectTimeoutMs: 50,
      answerTimeoutMs: 60_000,
      idleMs: 0,
      signal: undefined,
    });
    // Never sent: another server may be asked, whatever it does.
    await expect(asked).rejects.toMatchObject({
      message: "Unable to connect to the server api.test:6443: no connection within 0.05 s",
      sent: false,
    });
  },
);
