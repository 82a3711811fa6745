/** What `status` collects of a cluster, before anything is said about it. Also what `-o json` prints. */

/** RFC 3339. */
export type Time = string;

export interface Certificate {
  /** Whose, in words. */
  readonly of: string;
  readonly from: Time;
  readonly until: Time;
}

export interface ApiServerFacts {
  /** `10.0.0.1:6443` */
  readonly address: string;
  readonly version?: string;
  /** Its process. */
  readonly startedAt?: Time;
  /** The checks of `/readyz` that failed. */
  readonly failed: readonly string[];
  /** Why it did not answer from here. */
  readonly error?: string;
}

/** Who acts, of several of a kind. */
export interface LeaderFacts {
  /** The Lease in kube-system. */
  readonly name: string;
  /** Undefined: nobody. */
  readonly holder?: string;
  readonly renewedAt?: Time;
  /** So long a renewal is good for, in seconds. */
  readonly leaseSeconds: number;
}

export interface StoreMemberFacts {
  readonly name: string;
  readonly endpoint: string;
  readonly leader: boolean;
  readonly version: string;
  readonly dbSize: number;
  readonly alarms: readonly string[];
  readonly healthy: boolean;
  readonly error?: string;
}

export interface StoreFacts {
  readonly kind: string;
  readonly sizeBytes: number;
  readonly inUseBytes: number;
  readonly members: readonly StoreMemberFacts[];
}

export interface NodeFacts {
  readonly name: string;
  readonly ready: "True" | "False" | "Unknown";
  /** Of the Ready condition, where it is not True. */
  readonly why?: string;
  /** Its last sign of life. */
  readonly heardAt?: Time;
  readonly version: string;
  /** `DiskPressure` … that are so. */
  readonly pressures: readonly string[];
  readonly unschedulable: boolean;
  readonly pods: number;
}

export interface ClusterFacts {
  /** By the server's clock; what it tells has this time. */
  readonly now: Time;
  /** How far the clock of this machine is ahead of the server's. */
  readonly aheadMs: number;
  /** Who was asked. */
  readonly server: string;
  readonly version: string;
  /** Components that run in the process of the server that was asked. */
  readonly inProcess: readonly string[];
  readonly apiServers: readonly ApiServerFacts[];
  readonly leaders: readonly LeaderFacts[];
  readonly store?: StoreFacts;
  readonly nodes: readonly NodeFacts[];
  /** By phase. */
  readonly pods: Readonly<Record<string, number>>;
  /** The oldest that has no node yet. */
  readonly waiting?: { readonly count: number; readonly since: Time };
  readonly images: number;
  readonly certificates: readonly Certificate[];
  /** What could not be asked for, and why. */
  readonly unknown: readonly { readonly what: string; readonly why: string }[];
}
