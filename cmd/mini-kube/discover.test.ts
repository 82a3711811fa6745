import { afterAll, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { createPublicKey } from "node:crypto";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { clusterInfoText } from "../../pkg/apiserver/cluster-info.ts";
import { type Clock, systemClock } from "../../pkg/util/clock.ts";
import { newPrivateKey, publicKeyHash } from "../../pkg/util/pki-request.ts";
import { ALGORITHM, createCa, fromPem, issueCert, type KeyPair, library, SKEW_MS } from "../../pkg/util/pki.ts";
import { checkClock, discover, unreachable } from "./discover.ts";

const token = { id: "abc123", secret: "0123456789abcdef" };

interface Answer {
  readonly status: number;
  readonly body: string;
}

/** What answers as an API server would; each test says what. */
let ca: KeyPair;
let stranger: KeyPair;
let listener: Server;
let answers: (bearer: string | undefined) => Answer;
let date: string | undefined;
let server: string;
/** What it was shown. */
let seen: (string | undefined)[];

beforeAll(async () => {
  const now = systemClock.now();
  [ca, stranger] = await Promise.all([createCa("ours", now), createCa("another", now)]);
  const pair = await issueCert(ca, { commonName: "api", ips: ["127.0.0.1"], usages: ["server"] }, now);
  listener = createServer({ ...pair, ca: ca.cert }, (req, res) => {
    seen.push(req.headers.authorization);
    const { status, body } = answers(req.headers.authorization);
    res.writeHead(status, date === undefined ? {} : { date }).end(body);
  });
  server = await listening(listener);
});
afterAll(() => void listener.close());
beforeEach(() => {
  seen = [];
  date = undefined;
});

async function listening(on: Server): Promise<string> {
  await new Promise<void>((done) => on.listen(0, "127.0.0.1", done));
  return `https://127.0.0.1:${(on.address() as AddressInfo).port}`;
}

/** Names that CA as its issuer, by the words alone: it is signed by its own key. */
async function forged(caCert: string): Promise<KeyPair> {
  const x509 = await library();
  const key = newPrivateKey();
  const spki = createPublicKey(key).export({ format: "der", type: "spki" });
  const cert = await x509.X509CertificateGenerator.create({
    subject: [{ CN: ["api"] }],
    issuer: new x509.X509Certificate(caCert).subjectName,
    notAfter: new Date(systemClock.now() + SKEW_MS),
    signingAlgorithm: ALGORITHM,
    publicKey: await crypto.subtle.importKey("spki", spki, ALGORITHM, true, ["verify"]),
    signingKey: await fromPem(key),
    extensions: [new x509.SubjectAlternativeNameExtension([{ type: "ip", value: "127.0.0.1" }])],
  });
  return { cert: `${cert.toString("pem")}\n`, key };
}

/** The ConfigMap of a cluster whose CA this is. */
const published = (caCert: string) =>
  JSON.stringify({ data: { kubeconfig: clusterInfoText({ server, others: [], caCert }) } });
const unauthorized = { status: 401, body: "{}" };
/** Nobody without the token is told anything, as with --anonymous-auth=false. */
const known = (body: string) => (bearer: string | undefined) =>
  bearer === `Bearer ${token.id}.${token.secret}` ? { status: 200, body } : unauthorized;

/** Whose sleep is over at once. */
function hurried(): Clock {
  let slept = 0;
  return { ...systemClock, now: () => systemClock.now() + slept, sleep: async (ms) => void (slept += ms) };
}

const ask = (caCert: string, at = server) =>
  discover({
    server: at,
    token,
    caHash: publicKeyHash(caCert),
    clock: hurried(),
    signal: AbortSignal.timeout(60_000),
  });

describe("a cluster", () => {
  test("that has the CA and knows the token is believed", async () => {
    answers = known(published(ca.cert));
    expect(await ask(ca.cert)).toEqual({ server, others: [], caCert: ca.cert });
    expect(seen).toEqual([undefined, `Bearer ${token.id}.${token.secret}`]);
  });

  test.each<[string, () => void, () => KeyPair, RegExp]>([
    [
      "of another CA",
      () => (answers = known(published(ca.cert))),
      () => stranger,
      /another cluster, or somebody is in/,
    ],
    [
      "that publishes another CA than its own",
      () => (answers = known(published(stranger.cert))),
      () => ca,
      /another cluster, or somebody is in/,
    ],
    [
      "whose clock is far away",
      () => {
        answers = known(published(ca.cert));
        date = "Thu, 01 Jan 2026 00:00:00 GMT";
      },
      () => ca,
      /this machine's clock is \d+ min (ahead of|behind) the cluster's; set one of them right/,
    ],
    [
      "that does not know the token",
      () => (answers = () => unauthorized),
      () => ca,
      /the token abc123 has expired, was/,
    ],
    [
      "that is none",
      () => (answers = () => ({ status: 404, body: "" })),
      () => ca,
      /no mini-kube cluster \(it said 404\)/,
    ],
    ["that speaks of other things", () => (answers = known("<html>")), () => ca, /no API server of a cluster/],
    ["that publishes nothing", () => (answers = known("{}")), () => ca, /publishes no kubeconfig/],
  ])("%s is not", async (_, set, expected, why) => {
    set();
    await expect(ask(expected().cert)).rejects.toThrow(why);
  });

  test("is not told the token before it has shown its CA", async () => {
    answers = known(published(ca.cert));
    await expect(ask(stranger.cert)).rejects.toThrow(publicKeyHash(ca.cert));
    expect(seen).toEqual([undefined]);
  });

  test("who stands in between shows the CA of the cluster, but has no certificate of it", async () => {
    const own = await forged(ca.cert);
    answers = known(published(ca.cert));
    const between = createServer({ key: own.key, cert: `${own.cert}${ca.cert}` }, (req, res) => {
      seen.push(req.headers.authorization);
      res.end("{}");
    });
    const at = await listening(between);
    await expect(ask(ca.cert, at).finally(() => between.close())).rejects.toThrow(/: somebody is in between/);
    expect(seen).toEqual([undefined]);
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
