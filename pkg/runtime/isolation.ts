/** What a container sees of the machine and may do to it, as every runtime is told. */

/** A file or directory of the node. */
export interface Mount {
  readonly hostPath: string;
  readonly containerPath: string;
  readonly readOnly: boolean;
  /** What is mounted below it, too. */
  readonly recursiveReadOnly?: boolean;
  /** Whether mounts made later below it are seen on the other side. Absent: neither way. */
  readonly propagation?: "HostToContainer" | "Bidirectional";
}

/**
 * A file system in memory that a Pod's containers share. It begins empty when the first of them starts, and the sandbox
 * holds it: it lives as long as that does.
 */
export interface MemoryVolume {
  /** Unique on the node. */
  readonly name: string;
  readonly type: "tmpfs" | "hugetlbfs";
  /** As `mount -o` takes them: `size=1048576,mode=1777`. */
  readonly options: string;
}

export interface MemoryMount {
  readonly volume: MemoryVolume;
  readonly containerPath: string;
  readonly readOnly: boolean;
}

export interface ContainerSecurity {
  readonly privileged?: boolean;
  /** `uid`, `uid:gid`, or names; absent: the image's. */
  readonly user?: string;
  readonly groups?: readonly string[];
  readonly readOnlyRootFilesystem?: boolean;
  readonly capabilitiesAdd?: readonly string[];
  readonly capabilitiesDrop?: readonly string[];
  readonly noNewPrivileges?: boolean;
  /** A profile as JSON, or none at all; absent: the runtime's own. */
  readonly seccomp?: "unconfined" | { readonly profile: string };
  /** A loaded profile's name, or `unconfined`; absent: the runtime's own. */
  readonly appArmor?: string;
  readonly seLinux?: Readonly<Partial<Record<"user" | "role" | "type" | "level", string>>>;
  /** /proc as the kernel shows it. */
  readonly unmaskedProc?: boolean;
}
