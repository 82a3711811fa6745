/**
 * Debian's base image, on which the Dockerfile builds, where no registry is reached: made by debootstrap from Debian's
 * package mirror. It trusts whom this machine trusts, so that what is built on it reaches what this machine reaches.
 *
 *   node --import tsx test/images/trixie.ts      makes it, unless the daemon has it
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { run, runOk } from "../harness/process.ts";

export const TRIXIE_IMAGE = "debian:trixie-slim";

const MIRROR = "http://deb.debian.org/debian";
const PULL_MS = 60_000;
const DEBOOTSTRAP_MS = 300_000;
const IMPORT_MS = 60_000;

/** What `-slim` leaves out, and what only making it needed. */
const SUPERFLUOUS = ["doc", "info", "locale", "man"].map((dir) => `usr/share/${dir}`);
const LEFTOVERS = ["var/cache/apt", "var/lib/apt/lists", "var/log/bootstrap.log"];
/** Where `update-ca-certificates` looks for those that are this machine's own. */
const OWN_CAS = "usr/local/share/ca-certificates";

/** Pulled where a registry answers, else made; the daemon keeps it for the next time. */
export async function ensureTrixieImage(): Promise<string> {
  const has = async () => (await run("docker", ["image", "inspect", TRIXIE_IMAGE])).code === 0;
  if (await has()) return TRIXIE_IMAGE;
  const { code } = await run("docker", ["pull", "-q", TRIXIE_IMAGE], { deadline: PULL_MS });
  if (code !== 0) await make();
  return TRIXIE_IMAGE;
}

async function make(): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), "mk-trixie-"));
  try {
    const root = join(dir, "root");
    await runOk("debootstrap", ["--variant=minbase", "trixie", root, MIRROR], { deadline: DEBOOTSTRAP_MS });
    for (const path of [...SUPERFLUOUS, ...LEFTOVERS]) rmSync(join(root, path), { recursive: true, force: true });
    // dpkg and apt want their folders.
    for (const path of ["var/cache/apt/archives/partial", "var/lib/apt/lists/partial"])
      mkdirSync(join(root, path), { recursive: true });
    if (existsSync(`/${OWN_CAS}`)) cpSync(`/${OWN_CAS}`, join(root, OWN_CAS), { recursive: true });
    await importRoot(root);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

async function importRoot(root: string): Promise<void> {
  const tar = spawn("tar", ["-C", root, "--numeric-owner", "-c", "."], { stdio: ["ignore", "pipe", "inherit"] });
  const load = spawn("docker", ["import", "--change", 'CMD ["bash"]', "-", TRIXIE_IMAGE], {
    stdio: [tar.stdout, "ignore", "inherit"],
  });
  const signal = AbortSignal.timeout(IMPORT_MS);
  const ends = await Promise.all([tar, load].map((child) => once(child, "exit", { signal })));
  if (ends.some(([code]) => code !== 0)) throw new Error(`${TRIXIE_IMAGE} could not be imported`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) await ensureTrixieImage();
