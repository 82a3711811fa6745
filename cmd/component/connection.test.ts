import { afterEach, expect, test } from "@jest/globals";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { singleKubeconfig, writeKubeconfig } from "../../pkg/client/kubeconfig.ts";
import { FakeClock } from "../../pkg/util/fake-clock.ts";
import { silent } from "../../pkg/util/log.ts";
import { followKubeconfig } from "./connection.ts";

const DAY = 24 * 3_600_000;
const dir = mkdtempSync(join(tmpdir(), "mk-follow-"));
afterEach(() => rmSync(dir, { recursive: true, force: true }));

test("a certificate that was renewed in the kubeconfig is taken on; what is broken meanwhile changes nothing", async () => {
  const file = join(dir, "kubeconfig");
  const write = (cert: string) =>
    writeKubeconfig(file, singleKubeconfig("x", { server: "https://a:6443", cert, key: `key of ${cert}` }));
  write("one");
  const used: object[] = [];
  const clock = new FakeClock();
  const stop = new AbortController();
  const done = followKubeconfig(file, { use: (pair) => void used.push(pair) }, { clock, log: silent }, stop.signal);
  await clock.advance(3 * DAY);
  expect(used).toEqual([]);
  writeFileSync(file, "clusters: [");
  await clock.advance(DAY);
  write("two");
  await clock.advance(2 * DAY);
  expect(used).toEqual([{ cert: "two", key: "key of two" }]);
  stop.abort();
  await done;
});
