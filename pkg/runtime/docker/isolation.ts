/** How Docker is told what a container sees of the machine and may do to it. Pure. */
import type { ContainerSecurity, MemoryMount, MemoryVolume, Mount } from "../isolation.ts";
import type { Labels } from "./labels.ts";

const PROPAGATION = { HostToContainer: "rslave", Bidirectional: "rshared" } as const;

/** As a `Mount`, not a `Bind`: a path may have a colon in it, and a source that is not there is an error. */
export function bindMount(m: Mount): object {
  return {
    Type: "bind",
    Source: m.hostPath,
    Target: m.containerPath,
    ReadOnly: m.readOnly,
    BindOptions: {
      Propagation: m.propagation === undefined ? "rprivate" : PROPAGATION[m.propagation],
      // Docker 25 and later go down into submounts unless told not to; before, it never did.
      ...(m.readOnly ? { [m.recursiveReadOnly ? "ReadOnlyForceRecursive" : "ReadOnlyNonRecursive"]: true } : {}),
    },
  };
}

/**
 * A volume of Docker's own `local` driver, which mounts it for the first container that wants it and unmounts it after the
 * last: the daemon does it, so it works for an agent that may not mount, and where the daemon sees other mounts than we do.
 */
export function memoryMount({ volume: v, containerPath, readOnly }: MemoryMount, labels: Labels): object {
  return {
    Type: "volume",
    Source: v.name,
    Target: containerPath,
    ReadOnly: readOnly,
    VolumeOptions: {
      NoCopy: true,
      Labels: labels,
      DriverConfig: { Name: "local", Options: { type: v.type, device: v.type, o: v.options } },
    },
  };
}

/** In the sandbox, which only holds it. */
export function heldMount(volume: MemoryVolume, labels: Labels): object {
  return memoryMount({ volume, containerPath: `/volumes/${volume.name}`, readOnly: false }, labels);
}

export function securityBody(s: ContainerSecurity): object {
  const options = securityOptions(s);
  return {
    Privileged: s.privileged ?? false,
    ReadonlyRootfs: s.readOnlyRootFilesystem ?? false,
    ...(s.groups ? { GroupAdd: s.groups } : {}),
    ...(s.capabilitiesAdd ? { CapAdd: s.capabilitiesAdd } : {}),
    ...(s.capabilitiesDrop ? { CapDrop: s.capabilitiesDrop } : {}),
    ...(s.unmaskedProc ? { MaskedPaths: [], ReadonlyPaths: [] } : {}),
    ...(options.length > 0 ? { SecurityOpt: options } : {}),
  };
}

function securityOptions(s: ContainerSecurity): string[] {
  return [
    ...(s.noNewPrivileges ? ["no-new-privileges"] : []),
    ...(s.seccomp ? [`seccomp=${s.seccomp === "unconfined" ? s.seccomp : s.seccomp.profile}`] : []),
    ...(s.appArmor === undefined ? [] : [`apparmor=${s.appArmor}`]),
    ...Object.entries(s.seLinux ?? {}).map(([part, value]) => `label=${part}:${value}`),
  ];
}
