/**
 * `npm run bench [-- api | pods]`: mini-kube beside etcd3, LMDB and the raw Docker API in one run. Needs what `npm start`
 * needs and an etcd, and installs them.
 */
import { spawnSync } from "node:child_process";
import * as machine from "./machine.mjs";

try {
  machine.checkNode();
  await machine.ensureDependencies();
  await machine.step("build", () => machine.runAsync("npm", ["run", "--silent", "build"]));
  await machine.ensurePackages(["busybox-static"], ["busybox"], "the benchmark's containers run it");
  await machine.ensurePackages(["etcd-server"], ["etcd"], "the API server's figures are held against it");
  const docker = await machine.ensureDocker();
  machine.say(`Docker ${docker.version} at ${docker.socket}`);
  const args = ["--import", "tsx", "test/bench/main.ts", ...process.argv.slice(2)];
  const env = { ...process.env, DOCKER_HOST: `unix://${docker.socket}` };
  process.exitCode = spawnSync(process.execPath, args, { cwd: machine.root, stdio: "inherit", env }).status ?? 1;
} catch (error) {
  process.stderr.write(`error: ${error instanceof machine.Missing ? error.message : error.stack}\n`);
  process.exitCode = 1;
}
