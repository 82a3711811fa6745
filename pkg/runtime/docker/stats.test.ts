import { expect, test } from "@jest/globals";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Cgroups, toUsage } from "./stats.ts";

function tree(files: Readonly<Record<string, string>>): Disposable & { readonly root: string } {
  const root = mkdtempSync(join(tmpdir(), "cgroups-"));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return { root, [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }) };
}

const v1 = (group: string) => ({
  [`cpuacct/${group}/cpuacct.usage`]: "5000000000\n",
  [`memory/${group}/memory.usage_in_bytes`]: "1000\n",
  [`memory/${group}/memory.stat`]: "rss 1\ninactive_file 2\ntotal_rss 300\ntotal_inactive_file 400\n",
});
const v2 = (group: string) => ({
  [`${group}/cpu.stat`]: "usage_usec 5000000\nuser_usec 1\n",
  [`${group}/memory.current`]: "1000\n",
  [`${group}/memory.stat`]: "anon 300\nfile 600\ninactive_file 400\n",
});

const expected = {
  cpuNanoseconds: 5e9,
  memoryUsageBytes: 1000,
  memoryWorkingSetBytes: 600,
  memoryRssBytes: 300,
};

test.each([
  ["v1, cgroupfs", v1("docker/abc")],
  ["v1, systemd", v1("system.slice/docker-abc.scope")],
  ["v2, cgroupfs", v2("docker/abc")],
  ["v2, systemd", v2("system.slice/docker-abc.scope")],
])("reads a container's group: %s", async (_, files) => {
  using t = tree(files);
  const cgroups = new Cgroups(t.root);
  expect(await cgroups.usage("abc")).toEqual(expected);
  expect(await cgroups.usage("abc")).toEqual(expected);
  expect(await cgroups.usage("gone")).toBeUndefined();
});

test("where no group is to be seen, nothing is made up", async () => {
  using t = tree({});
  expect(await new Cgroups(t.root).usage("abc")).toBeUndefined();
});

test.each([
  ["v1", { rss: 1, total_rss: 300, total_inactive_file: 400 }],
  ["v2", { anon: 300, inactive_file: 400 }],
])("the daemon's answer says the same: %s", (_, stats) => {
  const answer = { cpu_stats: { cpu_usage: { total_usage: 5e9 } }, memory_stats: { usage: 1000, stats } };
  expect(toUsage(answer)).toEqual(expected);
});
