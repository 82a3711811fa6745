/** What the network of a node needs of its machine beyond Docker. */
import { access, constants } from "node:fs/promises";
import { delimiter, join } from "node:path";

const TOOLS: Readonly<Record<string, string>> = { nft: "nftables", ip: "iproute2", iptables: "iptables" };

/** What is missing, in a sentence with its cure; undefined: nothing. */
export async function whatIsMissing(o: {
  path: string | undefined;
  uid: number | undefined;
}): Promise<string | undefined> {
  const without = "Services, NetworkPolicies and Pods of other nodes are out of reach";
  if (process.platform !== "linux") return `${without}: the network needs Linux`;
  if (o.uid !== 0) return `${without}: the network needs root (sudo mini-kube up)`;
  const missing: string[] = [];
  for (const [tool, debian] of Object.entries(TOOLS)) if (!(await inPath(tool, o.path))) missing.push(debian);
  return missing.length === 0
    ? undefined
    : `${without}: install ${missing.join(" and ")} (apt-get install ${missing.join(" ")})`;
}

/** Where administrators' tools are, whatever the shell of the user knows. */
const SYSTEM_PATH = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];

async function inPath(tool: string, path = ""): Promise<boolean> {
  for (const dir of new Set([...path.split(delimiter), ...SYSTEM_PATH])) {
    try {
      await access(join(dir, tool), constants.X_OK);
      return true;
    } catch {
      // not in this folder
    }
  }
  return false;
}
