/**
 * `npm run test:faults [-- NAME…]`: breaks a cluster of three machines and three etcd members in every way of docs/faults.md,
 * and says what held. Needs root and what `npm test` needs, and installs it.
 */
import { spawnSync } from "node:child_process";
import * as machine from "./machine.mjs";
import { ensureTestPackages, inOwnNetwork } from "./own-network.mjs";

try {
  machine.checkNode();
  await machine.ensureDependencies();
  await machine.step("build", () => machine.runAsync("npm", ["run", "--silent", "build"]));
  await ensureTestPackages();
  const docker = await machine.ensureDocker();
  machine.say(`Docker ${docker.version} at ${docker.socket}`);
  const env = { ...process.env, DOCKER_HOST: `unix://${docker.socket}` };
  const [command, ...args] = inOwnNetwork(["--import", "tsx", "test/faults/main.ts", ...process.argv.slice(2)]);
  process.exitCode = spawnSync(command, args, { cwd: machine.root, stdio: "inherit", env }).status ?? 1;
} catch (error) {
  process.stderr.write(`error: ${error instanceof machine.Missing ? error.message : error.stack}\n`);
  process.exitCode = 1;
}
