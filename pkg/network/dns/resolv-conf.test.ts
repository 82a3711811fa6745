import { expect, test } from "@jest/globals";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../util/clock.ts";
import { followResolvConf, type HostResolver, parseResolvConf } from "./resolv-conf.ts";

test("as resolver(5) reads it", () => {
  const text = "# made by hand\nnameserver 192.0.2.1\n nameserver fe80::1%eth0\nnameserver 2001:DB8::1 ; second\n";
  expect(parseResolvConf(`${text}domain old.example\nsearch a.example  b.example .\noptions ndots:2\n`)).toEqual({
    nameservers: ["192.0.2.1", "2001:db8::1"],
    searches: ["a.example", "b.example"],
  });
  expect(parseResolvConf("")).toEqual({ nameservers: [], searches: [] });
});

test("is followed when it changes; one that is not there is empty", async () => {
  const dir = await mkdtemp(join(tmpdir(), "mk-resolv-"));
  const path = join(dir, "resolv.conf");
  const [seen, stop] = [[] as HostResolver[], new AbortController()];
  let wake = () => {};
  const until = async (count: number) => {
    while (seen.length < count) await new Promise<void>((resolve) => (wake = resolve));
    return seen.at(-1)?.nameservers;
  };
  const onChange = (now: HostResolver) => {
    seen.push(now);
    wake();
  };
  // Looks as often as it can: only the waiting is another's.
  const clock = { ...systemClock, sleep: (_ms: number, signal: AbortSignal) => systemClock.sleep(1, signal) };
  const following = followResolvConf({ path, clock, onChange }, stop.signal);
  expect(await until(1)).toEqual([]);
  await writeFile(path, "nameserver 192.0.2.1\n");
  // A file is seen empty, too, between its creation and its content.
  while ((await until(seen.length + 1))?.length === 0);
  expect(seen.at(-1)?.nameservers).toEqual(["192.0.2.1"]);
  stop.abort();
  await following;
  await rm(dir, { recursive: true });
});
