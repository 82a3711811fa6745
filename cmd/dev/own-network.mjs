/** What the tests need of the machine; and for the fault tests, a network namespace to run in. */
import * as machine from "./machine.mjs";

/**
 * A command that runs Node with these arguments in namespaces of its own (network, mount, pid): what it plugs in, mounts and
 * starts ends with it, however it ends.
 */
export function inOwnNetwork(args) {
  const namespaces = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];
  return ["unshare", ...namespaces, "sh", "-c", 'ip link set lo up && exec "$@"', "sh", process.execPath, ...args];
}

export async function ensureTestPackages() {
  const why = "the tests run on a real one";
  await machine.ensurePackages(["etcd-server"], ["etcd"], why);
  await machine.ensurePackages(["etcd-client"], ["etcdctl"], why);
  await machine.ensurePackages(["busybox-static"], ["busybox"], "the tests make their images from it");
  await machine.ensurePackages(["kubernetes-client"], ["kubectl"], why);
  await machine.ensurePackages(["e2fsprogs"], ["mkfs.ext4"], "the fault tests stop and fill disks of their own");
  await machine.ensurePackages(["faketime"], ["faketime"], "the fault tests change the clock of single programs");
  await machine.ensureNetworkTools();
}
