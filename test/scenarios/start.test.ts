import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, program, root } from "../harness/cluster.ts";
import { run, Running, runOk } from "../harness/process.ts";

/** `npm start` as a stranger runs it: once, twice, and after a kill -9. */
let home: string;
let port: number;
let env: NodeJS.ProcessEnv;
const start = (...args: string[]) =>
  new Running("npm", ["start", "--silent", "--", "--port", String(port), ...args], { env, cwd: root });
const cli = (...args: string[]) => run(process.execPath, [program, ...args], { env });

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), "mk-start-"));
  port = await freePort();
  const { KUBECONFIG: _, ...rest } = process.env;
  env = { ...rest, MINI_KUBE_HOME: home, NO_COLOR: "1" };
});
afterAll(async () => {
  await cli("down", "--purge");
  rmSync(home, { recursive: true, force: true });
});

const pidOf = (output: string) => Number(/\(pid (\d+)/.exec(output)?.[1]);

describe("npm start", () => {
  test("--detach: the page is served, and everything that is printed is so", async () => {
    const first = start("--detach");
    expect([await first.exited, first.output]).toEqual([0, expect.stringMatching(/mini-kube is running/)]);
    const page = /page\s+(http:\S+)/.exec(first.output)?.[1] ?? "";
    expect(await (await fetch(page)).text()).toMatch(/<html/i);
    const kubeconfig = /kubeconfig\s+(\S+)/.exec(first.output)?.[1] ?? "";
    expect(await runOk("kubectl", ["--kubeconfig", kubeconfig, "get", "pods"], { env })).toMatch(
      /hello\s+2\/2\s+Running/,
    );
    // The watcher may have asked before the page was there; it asks again.
    const logs = new Running(process.execPath, [program, "logs", "-f", "hello", "-c", "watcher"], { env });
    expect((await logs.until(/the page is up/))[0]).toBe("the page is up");
    logs.kill("SIGTERM");
  });

  test("a second time it finds what runs, and changes nothing", async () => {
    const before = await cli("get", "pod", "hello", "-o", "jsonpath={.metadata.uid} {.status.podIP}");
    const pid = pidOf((await cli("status")).stdout);
    const second = start("--detach");
    expect([await second.exited, second.output]).toEqual([0, expect.stringMatching(/mini-kube is running/)]);
    expect(pidOf(second.output)).toBe(pid);
    expect((await cli("get", "pod", "hello", "-o", "jsonpath={.metadata.uid} {.status.podIP}")).stdout).toBe(
      before.stdout,
    );
  });

  test("after a kill -9 it takes over, in the foreground; Ctrl-C ends it and takes the containers along", async () => {
    const killed = pidOf((await cli("status")).stdout);
    process.kill(killed, "SIGKILL");
    const third = start();
    await third.until(/mini-kube is running/);
    await third.until(/Stop\s+Ctrl-C/);
    expect(pidOf(third.output)).not.toBe(killed);
    expect((await cli("get", "pods", "--no-headers")).stdout).toMatch(/^hello\s+2\/2\s+Running/);
    const server = pidOf(third.output);
    process.kill(server, "SIGINT");
    await third.exited;
    expect((await cli("status")).stdout).toMatch(/not running/);
    expect(
      await runOk("docker", [
        "ps",
        "-q",
        "--filter",
        "label=io.mini-kube.pod.name=hello",
        "--filter",
        `label=io.mini-kube.cluster=${await clusterOf()}`,
      ]),
    ).toBe("");
  });
});

async function clusterOf(): Promise<string> {
  const { readFile } = await import("node:fs/promises");
  return (await readFile(join(home, "cluster-id"), "utf8")).trim();
}
