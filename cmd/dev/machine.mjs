/**
 * What a machine must have before mini-kube can run or be tested on it. Plain JavaScript with no dependency, because it
 * runs before `npm ci`. Each `ensure…` leaves alone what is there, says what it adds, and fails with a {@link Missing}
 * whose message is one sentence: what is missing and how to get it.
 */
import { spawn } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import http from "node:http";
import { homedir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline/promises";

/** The machine lacks something we cannot or may not add ourselves. */
export class Missing extends Error {}

export const root = new URL("../../", import.meta.url).pathname;

const paint = (code, text) =>
  process.stdout.isTTY && !process.env.NO_COLOR ? `\u001b[${code}m${text}\u001b[0m` : text;
export const bold = (text) => paint(1, text);
export const green = (text) => paint(32, text);
export const red = (text) => paint(31, text);
export const dim = (text) => paint(2, text);

export function say(text) {
  process.stdout.write(`${dim("»")} ${text}\n`);
}

/** Runs a program quietly, beside a progress display; its output is shown only when it fails. */
export function runAsync(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, ...options, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (d) => (output = (output + d).slice(-65536)));
    child.on("error", reject);
    child.on("close", (status) => {
      if (status === 0) return resolve(output);
      reject(new Error(`\`${[command, ...args].join(" ")}\` failed (exit code ${status}):\n${output.trim()}`));
    });
  });
}

/** A line that ticks while `work` runs; on no terminal, one line when it is done. */
export async function step(title, work) {
  const started = Date.now();
  const seconds = () => `${((Date.now() - started) / 1000).toFixed(1)} s`;
  const tty = process.stdout.isTTY;
  const timer = tty
    ? setInterval(() => process.stdout.write(`\r${dim("…")} ${title} ${dim(seconds())}\u001b[K`), 200)
    : undefined;
  const done = (mark) => {
    clearInterval(timer);
    process.stdout.write(`${tty ? "\r" : ""}${mark} ${title} ${dim(seconds())}${tty ? "\u001b[K" : ""}\n`);
  };
  try {
    const result = await work();
    done(green("✓"));
    return result;
  } catch (error) {
    done(red("✗"));
    throw error;
  }
}

export function which(program) {
  const path = `${process.env.PATH ?? ""}:/usr/sbin:/sbin:/usr/local/sbin`;
  for (const dir of path.split(":")) {
    const file = join(dir, program);
    if (dir && existsSync(file) && statSync(file).isFile()) return file;
  }
  return undefined;
}

export function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  throw new Missing(
    `mini-kube needs Node.js 20.19 or newer; this is ${process.version}. Get one from https://nodejs.org.`,
  );
}

/** `npm ci`, when node_modules is not what package-lock.json says. */
export async function ensureDependencies() {
  const lock = join(root, "package-lock.json");
  const installed = join(root, "node_modules/.package-lock.json");
  const stamp = join(root, "node_modules/.mini-kube-lock");
  const wanted = readFileSync(lock, "utf8");
  if (existsSync(installed) && existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return;
  // No install scripts: every native part we use comes prebuilt in its package.
  await step("npm dependencies", async () => {
    await runAsync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
    writeFileSync(stamp, wanted);
  });
}

/** Debian packages by name, installed only if one of `programs` is missing. */
export async function ensurePackages(packages, programs, why) {
  if (programs.every((p) => which(p))) return;
  const missing = programs.filter((p) => !which(p)).join(", ");
  const how = `apt-get install ${packages.join(" ")}`;
  if (!which("apt-get"))
    throw new Missing(
      `${missing} is missing (${why}); install it with your system's package manager (on Debian: ${how}).`,
    );
  if (process.getuid?.() !== 0) throw new Missing(`${missing} is missing (${why}); as root, run: ${how}`);
  if (process.stdin.isTTY && process.stdout.isTTY && !process.env.CI) {
    const prompt = createInterface({ input: process.stdin, output: process.stdout });
    const answer = await prompt.question(`${missing} is missing (${why}). Run \`${how}\` now? [Y/n] `);
    prompt.close();
    if (!/^(y(es)?)?$/i.test(answer.trim()))
      throw new Missing(`${missing} is missing (${why}); install it with: ${how}`);
  } else {
    say(`${missing} is missing (${why}): installing Debian's ${packages.join(", ")}`);
  }
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  await step(how, async () => {
    const install = () => runAsync("apt-get", ["install", "-y", "--no-install-recommends", ...packages], { env });
    try {
      await install();
    } catch {
      await runAsync("apt-get", ["update"], { env });
      await install();
    }
  });
}

/** What the network of a node is made with, on the machine whose kernel it is in. */
export async function ensureNetworkTools() {
  if (process.platform !== "linux") return;
  const why = "addresses of Services and the network of Pods are made with them";
  await ensurePackages(["nftables", "conntrack", "iproute2"], ["nft", "conntrack", "ip"], why);
}

/** Where Docker may listen: what DOCKER_HOST says, or else the usual sockets. */
function dockerSockets() {
  const host = process.env.DOCKER_HOST;
  if (host?.startsWith("unix://")) return [host.slice("unix://".length)];
  return [
    "/var/run/docker.sock",
    join(homedir(), ".docker/run/docker.sock"),
    join(homedir(), ".docker/desktop/docker.sock"),
  ];
}

/** The version of the engine behind a unix socket, or undefined if none answers within two seconds. */
export function dockerVersion(socketPath) {
  return new Promise((resolve) => {
    const request = http.get({ socketPath, path: "/version", timeout: 2000 }, (response) => {
      let body = "";
      response.on("data", (d) => (body += d));
      response.on("end", () => {
        try {
          resolve(JSON.parse(body).Version);
        } catch {
          resolve(undefined);
        }
      });
    });
    request.on("timeout", () => request.destroy());
    request.on("error", () => resolve(undefined));
  });
}

async function findDocker() {
  for (const socket of dockerSockets()) {
    if (!existsSync(socket)) continue;
    const version = await dockerVersion(socket);
    if (version) return { socket, version };
  }
  return undefined;
}

/**
 * A Docker engine that answers: one that runs, else the installed one started, else Debian's docker.io installed and
 * started. Never a second daemon beside one that runs.
 */
export async function ensureDocker() {
  const running = await findDocker();
  if (running) return running;
  if (process.env.DOCKER_HOST) {
    throw new Missing(
      `No Docker engine answers at DOCKER_HOST=${process.env.DOCKER_HOST}; start it, or unset DOCKER_HOST.`,
    );
  }
  if (process.platform !== "linux") {
    throw new Missing(
      "No Docker engine answers; start Docker Desktop (https://docs.docker.com/get-docker/) and try again.",
    );
  }
  await ensurePackages(["docker.io", "iptables"], ["dockerd"], "mini-kube runs containers with Docker");
  if (process.getuid?.() !== 0)
    throw new Missing("No Docker engine answers; start it as root with: systemctl start docker");
  await step("start the Docker engine", startDockerd);
  const started = await findDocker();
  if (!started) throw new Missing("dockerd was started but does not answer; see /var/log/mini-kube-dockerd.log.");
  return started;
}

/** What a killed engine may cost the next one: it gives up after 15 s if it waits for a containerd that is no more. */
const DOCKER_START_MS = 90_000;
const DOCKER_STARTS = 6;

async function startDockerd() {
  const systemd = existsSync("/run/systemd/system");
  if (systemd) await runAsync("systemctl", ["start", "docker"]);
  let dockerd;
  let starts = 0;
  for (const deadline = Date.now() + DOCKER_START_MS; Date.now() < deadline;) {
    if (!systemd && (!dockerd || dockerd.exitCode !== null || dockerd.signalCode !== null)) {
      if (starts++ === DOCKER_STARTS) break;
      forgetDeadContainerd();
      dockerd = spawnDockerd();
    }
    if (await findDocker()) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Missing(
    `The Docker engine does not start; see /var/log/mini-kube-dockerd.log or \`journalctl -u docker\`.`,
  );
}

function spawnDockerd() {
  const log = openSync("/var/log/mini-kube-dockerd.log", "a");
  const dockerd = spawn(which("dockerd"), [], { detached: true, stdio: ["ignore", log, log] });
  dockerd.unref();
  closeSync(log);
  return dockerd;
}

/**
 * A containerd that was killed with its dockerd, and that nobody has reaped yet, still has its process id: the next
 * dockerd would take it for alive and wait for its socket in vain. Dead is dead: its pid file goes.
 */
export function forgetDeadContainerd(pidFile = "/var/run/docker/containerd/containerd.pid") {
  if (!existsSync(pidFile)) return;
  const stat = `/proc/${readFileSync(pidFile, "utf8").trim()}/stat`;
  // pid (comm) state …; comm may hold anything, even brackets
  const state = existsSync(stat) ? readFileSync(stat, "utf8").replace(/^.*\) /s, "")[0] : undefined;
  if (state === undefined || state === "Z") rmSync(pidFile);
}
