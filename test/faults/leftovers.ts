/** What a cluster may leave behind on a machine: as lines, so that before and after can be compared. */
import type { TestHost } from "../harness/hosts.ts";

export type Leftovers = Readonly<Record<string, readonly string[]>>;

const LOOKS: Readonly<Record<string, string>> = {
  container: "docker ps -aq --no-trunc",
  network: "docker network ls --format '{{.Name}}'",
  volume: "docker volume ls -q",
  "nft table": "nft list tables",
  route: "ip route show table all type unicast; ip rule",
  link: "ip -br link | cut -d' ' -f1",
  mount: "awk '{print $2}' /proc/mounts | grep -v -e /overlay2/ -e /netns/ -e /shm$",
};

export async function leftOn(host: TestHost): Promise<Leftovers> {
  // Who cannot look has not seen that nothing is there.
  const looks = Object.entries(LOOKS).map(
    async ([what, look]) => [what, linesOf(await host.runOk("sh", ["-c", look]))] as const,
  );
  return Object.fromEntries(await Promise.all(looks));
}

/** Pods that have containers on a machine, by uid. */
export async function podsOn(host: TestHost): Promise<Set<string>> {
  const format = '{{.Label "io.mini-kube.pod.uid"}}';
  return new Set(linesOf(await host.runOk("docker", ["ps", "-a", "--format", format], { deadline: 20_000 })));
}

const linesOf = (text: string): string[] =>
  text
    .split("\n")
    .map((l) => l.trim())
    .filter(Boolean);
