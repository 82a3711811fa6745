/**
 * `npm test`: installs and starts what the tests need, runs every check and every test, and closes with
 * `N passed, N failed`. A part that cannot be had is a failure, never a skip.
 *
 *   npm test                      everything
 *   npm test -- unit [PATTERN]    only the named stage: check | unit | scenario
 *   SEED=7 npm test -- unit PATTERN   what is left to chance as in the run that failed with that seed
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { spawnSync } from "node:child_process";
import * as machine from "./machine.mjs";
import { ensureTestPackages } from "./own-network.mjs";

const [only, ...patterns] = process.argv.slice(2);
const total = { passed: 0, failed: 0 };

function tally(ok, title, detail) {
  total[ok ? "passed" : "failed"] += 1;
  if (!ok) process.stdout.write(`${machine.red("✗")} ${title}\n${detail}\n`);
}

/** One static check: passes when the command succeeds. */
function check(title, command, args) {
  return checkThat(
    title,
    machine.runAsync(command, args).catch((error) => error),
  );
}

/** Passes unless `work`, which never rejects, resolves to an Error. */
async function checkThat(title, work) {
  try {
    await machine.step(title, async () => {
      const result = await work;
      if (result instanceof Error) throw result;
    });
    tally(true, title);
  } catch (error) {
    tally(false, title, error.message);
  }
}

/** A jest run; each of its tests counts. A skipped test, a suite that did not load or no test at all is a failure. */
function jest(title, args) {
  process.stdout.write(`\n${machine.bold(title)}\n`);
  const dir = mkdtempSync(join(tmpdir(), "mini-kube-test-"));
  const report = join(dir, "report.json");
  const flags = ["--experimental-vm-modules", "--no-warnings", "node_modules/jest/bin/jest.js"];
  const result = spawnSync(process.execPath, [...flags, ...patterns, "--json", `--outputFile=${report}`, ...args], {
    cwd: machine.root,
    stdio: ["ignore", "ignore", "inherit"],
  });
  if (!existsSync(report))
    return tally(false, title, `jest ended with ${result.status ?? result.signal} and no report`);
  const r = JSON.parse(readFileSync(report, "utf8"));
  rmSync(dir, { recursive: true, force: true });
  total.passed += r.numPassedTests;
  total.failed += r.numFailedTests + r.numRuntimeErrorTestSuites + r.numPendingTests + r.numTodoTests;
  if (r.numTotalTests === 0) tally(false, title, "no test was found");
  if (result.status !== 0 && total.failed === 0)
    tally(false, title, `jest ended with ${result.status ?? result.signal}`);
}

async function main() {
  machine.checkNode();
  await machine.ensureDependencies();
  const wants = (stage) => !only || only === stage;
  if (!only || only !== "check") {
    await ensureTestPackages();
    await machine.ensurePackages(
      ["debootstrap"],
      ["debootstrap"],
      "Debian's base image is made by it, without a registry",
    );
    await machine.ensurePackages(["docker-compose"], ["docker-compose"], "docker-compose.yml is brought up by it");
    const docker = await machine.ensureDocker();
    machine.say(`Docker ${docker.version} at ${docker.socket}`);
  }
  // Fetched by a process of its own while the other stages run: jest blocks this one.
  const tools = wants("scenario")
    ? machine.runAsync(process.execPath, ["cmd/dev/test-tools.mjs"]).catch((error) => error)
    : undefined;
  await check("generate", "npm", ["run", "--silent", "generate"]);
  if (wants("check")) {
    await check("types", "npx", ["--no-install", "tsc", "--noEmit", "-p", "."]);
    await check("lint", "npx", ["--no-install", "oxlint", "--deny-warnings"]);
    await check("format", "npx", ["--no-install", "oxfmt", "--check"]);
  }
  if (!only || only === "scenario") await check("build", "npm", ["run", "--silent", "build"]);
  // A worker keeps the modules of every suite it ran; one that has grown too large is replaced before the next.
  const workers = ["--maxWorkers=2", "--workerIdleMemoryLimit=700MB"];
  if (wants("unit")) jest("unit and conformance tests", ["--selectProjects", "unit", ...workers]);
  if (tools) await checkThat("kubectl and Helm of several versions", tools);
  if (wants("scenario")) jest("scenarios on real Docker", ["--selectProjects", "scenario", "--runInBand"]);
}

try {
  await main();
} catch (error) {
  tally(false, "the machine", error instanceof machine.Missing ? error.message : error.stack);
}
process.stdout.write(`\n${total.passed} passed, ${total.failed} failed\n`);
process.exitCode = total.failed === 0 && total.passed > 0 ? 0 : 1;
