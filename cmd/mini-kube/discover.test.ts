import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { clusterInfoText } from "../../pkg/apiserver/cluster-info.ts";
import { systemClock } from "../../pkg/util/clock.ts";
import { signDetached } from "../../pkg/util/detached-jws.ts";
import { publicKeyHash } from "../../pkg/util/pki-request.ts";
import { createCa, issueCert, type KeyPair, SKEW_MS } from "../../pkg/util/pki.ts";
import { checkClock, discover, unreachable } from "./discover.ts";

const token = { id: "abc123", secret: "0123456789abcdef" };

/** What answers as an API server would; each test says what. */
let ca: KeyPair;
let stranger: KeyPair;
let listener: Server;
let answer: { status: number; body: string; date?: string };
let server: string;

beforeAll(async () => {
  const now = systemClock.now();
  [ca, stranger] = await Promise.all([createCa("ours", now), createCa("another", now)]);
  const pair = await issueCert(ca, { commonName: "api", ips: ["127.0.0.1"], usages: ["server"] }, now);
  listener = createServer(pair, (_, res) => {
    res.writeHead(answer.status, answer.date === undefined ? {} : { date: answer.date }).end(answer.body);
  });
  await new Promise<void>((done) => listener.listen(0, "127.0.0.1", done));
  server = `https://127.0.0.1:${(listener.address() as AddressInfo).port}`;
});
afterAll(() => void listener.close());

/** The ConfigMap of a cluster whose CA and secret these are. */
async function published(caCert: string, by = token): Promise<string> {
  const kubeconfig = clusterInfoText({ server, others: [], caCert });
  return JSON.stringify({ data: { kubeconfig, "jws-kubeconfig-abc123": await signDetached(kubeconfig, by) } });
}

const ask = (caCert: string, at = server) =>
  discover({
    server: at,
    token,
    caHash: publicKeyHash(caCert),
    clock: systemClock,
    signal: AbortSignal.timeout(20_000),
  });

describe("a cluster", () => {
  test("that knows the token's secret and has the CA is believed", async () => {
    answer = { status: 200, body: await published(ca.cert) };
    expect(await ask(ca.cert)).toEqual({ server, others: [], caCert: ca.cert });
  });

  test.each<[string, () => Promise<Partial<typeof answer>>, () => KeyPair, RegExp]>([
    [
      "of another secret",
      async () => ({ body: await published(ca.cert, { ...token, secret: "x" }) }),
      () => ca,
      /another secret/,
    ],
    [
      "of another CA",
      async () => ({ body: await published(ca.cert) }),
      () => stranger,
      /it is another cluster, or somebody is in between/,
    ],
    [
      "that says whose it is, but cannot show a certificate of it",
      async () => ({ body: await published(stranger.cert) }),
      () => stranger,
      /has no certificate of the cluster it speaks of: somebody is in between/,
    ],
    [
      "whose clock is far away",
      async () => ({ body: await published(ca.cert), date: "Thu, 01 Jan 2026 00:00:00 GMT" }),
      () => ca,
      /this machine's clock is \d+ min (ahead of|behind) the cluster's; set one of them right/,
    ],
    ["that tells nobody", async () => ({ status: 401 }), () => ca, /tells nobody how to join it/],
    ["that is none", async () => ({ status: 404 }), () => ca, /no mini-kube cluster \(it said 404\)/],
    ["that speaks of other things", async () => ({ body: "<html>" }), () => ca, /no API server of a cluster/],
  ])("%s is not", async (_, shown, expected, why) => {
    answer = { status: 200, body: "{}", ...(await shown()) };
    await expect(ask(expected().cert)).rejects.toThrow(why);
  });
});

test.each<[string, string]>([
  [
    "ECONNREFUSED",
    "nothing listens at api:6443; is the API server up, and told to listen there (mini-kube up --address IP)?",
  ],
  ["EHOSTUNREACH", "there is no way from this machine to api:6443; check its network and firewalls"],
  ["ENOTFOUND", "no such host: api; check the name, or join by the address"],
  [
    "ERR_TLS_CERT_ALTNAME_INVALID",
    "the API server's certificate does not name api; join by a name that it has, or add this one with --cert-san",
  ],
  [
    "CERT_NOT_YET_VALID",
    "the certificate of api:6443 does not hold yet: this machine's clock is behind; set it right (timedatectl set-ntp true)",
  ],
  ["EWHAT", "api:6443 cannot be reached: boom; check the address"],
])("%s: %s", (code, said) => {
  const error = Object.assign(new Error("boom"), { code });
  expect(unreachable(error, "https://api:6443").message).toBe(said);
  expect(unreachable(new AggregateError([error]) as NodeJS.ErrnoException, "https://api:6443").message).toBe(said);
});

test.each<[number, number, string | undefined]>([
  [0, SKEW_MS - 1, undefined],
  [0, SKEW_MS * 2, "this machine's clock is 10 min ahead of the cluster's"],
  [SKEW_MS * 3, 0, "this machine's clock is 15 min behind the cluster's"],
  [Number.NaN, 0, undefined],
])("theirs %d, ours %d: %s", (theirs, ours, said) => {
  const check = () => checkClock(theirs, ours);
  const outcome = () => {
    try {
      check();
      return undefined;
    } catch (error) {
      return (error as Error).message.split(";")[0];
    }
  };
  expect(outcome()).toBe(said);
});
