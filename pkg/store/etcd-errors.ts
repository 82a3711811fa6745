import {
  EtcdAuthenticationFailedError,
  EtcdPermissionDeniedError,
  GRPCInvalidArgumentError,
  GRPCResourceExhastedError,
  GRPCUnauthenticatedError,
} from "etcd3";
import {
  CompactedError,
  FutureRevisionError,
  type Revision,
  StoreUnavailableError,
  TxnTooLargeError,
} from "./store.ts";

/** What to do about a quota that is used up; reads go on meanwhile. */
const NO_SPACE =
  "etcd has used up its space (alarm NOSPACE): writes are refused until old revisions are compacted, the members are " +
  "defragmented and the alarm is disarmed (etcdctl defrag --cluster; etcdctl alarm disarm), or --quota-backend-bytes is raised";

/** The typed error for what etcd said. Its own words are all there is to tell these apart. */
export function typed(error: unknown, asked: Revision = 0n): Error {
  const message = String(error);
  if (message.includes("required revision has been compacted")) return new CompactedError(asked + 1n);
  if (message.includes("required revision is a future revision")) return new FutureRevisionError(asked);
  if (message.includes("request is too large") || message.includes("too many operations")) {
    return new TxnTooLargeError(message);
  }
  if (
    error instanceof StoreUnavailableError ||
    error instanceof CompactedError ||
    error instanceof FutureRevisionError
  ) {
    return error;
  }
  if (message.includes("database space exceeded")) {
    return new StoreUnavailableError(NO_SPACE, { cause: error, full: true });
  }
  return new StoreUnavailableError(`etcd: ${explained(message) ?? message}`, { cause: error });
}

/** It was not etcd's answer to what was asked: another member may do better. */
export function isOutage(error: unknown): boolean {
  return !isExhausted(error) && !isFinal(error) && typed(error) instanceof StoreUnavailableError;
}

/** An outage that may end by itself. */
export function isAway(error: unknown): boolean {
  if (!isOutage(error)) return false;
  const reason = typed(error);
  return reason instanceof StoreUnavailableError && !reason.full && explained(String(error)) === undefined;
}

export function isExhausted(error: unknown): boolean {
  return error instanceof GRPCResourceExhastedError;
}

/** No later attempt can go better. */
export function isFinal(error: unknown): boolean {
  const kinds = [
    EtcdPermissionDeniedError,
    EtcdAuthenticationFailedError,
    GRPCUnauthenticatedError,
    GRPCInvalidArgumentError,
  ];
  return kinds.some((kind) => error instanceof kind);
}

/**
 * Said where nothing can have happened: no connection was made, or the member knew of no leader that it could have
 * passed the transaction on to.
 */
const NOTHING_HAPPENED = [
  "No connection established",
  "Name resolution failed",
  "Waiting for LB pick",
  "etcdserver: no leader",
  "etcdserver: too many requests",
  "rpc not supported for learner",
];

/** A transaction that failed so may be sent again. */
export function nothingHappened(error: unknown): boolean {
  const message = String(error);
  return NOTHING_HAPPENED.some((said) => message.includes(said));
}

interface Diagnosis {
  readonly said: RegExp;
  readonly means: string;
}

/** What the TLS library says of a wrong set-up, and what is to be done. None of these passes by itself. */
const DIAGNOSES: readonly Diagnosis[] = [
  {
    said: /unable to (verify the first|get (local )?issuer) certificate|self[- ]signed certificate|unable to get local/,
    means: "its certificate is of another CA than the one given: name etcd's own with --store-ca-file",
  },
  {
    said: /ALTNAME_INVALID/,
    means: "its certificate is not for this host name: use a name or address that the certificate has",
  },
  { said: /certificate has expired/, means: "its certificate has expired: renew it" },
  {
    said: /alert bad certificate|certificate required|alert unknown ca|alert certificate unknown/,
    means: "it wants a client certificate of its own CA: give --store-cert-file and --store-key-file",
  },
  {
    said: /disconnected before secure TLS connection|wrong version number|packet length too long/,
    means: "it does not speak TLS: use etcd:// instead of etcds://",
  },
  {
    said: /key values mismatch/,
    means: "the client's key does not belong to its certificate: check --store-cert-file and --store-key-file",
  },
  {
    said: /user name is empty|invalid auth token|auth(entication)? failed/i,
    means:
      "it wants a user: give a client certificate whose common name is that of an etcd user (--store-cert-file, --store-key-file)",
  },
];

/** The sentence for a set-up that is wrong; undefined where time may help. */
export function explained(message: string): string | undefined {
  return DIAGNOSES.find(({ said }) => said.test(message))?.means;
}
