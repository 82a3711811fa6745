/**
 * Small images made without a registry: a static busybox with its applets, and files. Plain JavaScript with no
 * dependency, because it runs before the build; what it needs is a Docker daemon and the `tar` every system has.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { chmod, copyFile, mkdir, symlink, writeFile } from "node:fs/promises";
import http from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/** Those that work in a static build: `wget` and `nslookup` of Debian's do not, for want of glibc's resolver. */
const APPLETS = `[ awk base64 basename cat chmod chown cp cut date dd df dirname du echo env expr false find free grep
  gunzip gzip head hostname httpd id ifconfig ip kill killall less ln ls md5sum mkdir mkfifo mktemp mount mv nc netstat
  od pidof ping printenv printf ps pwd readlink rm rmdir sed seq sh sha256sum sleep sort stat stty sync tail tar tee
  test time timeout top touch tr true tty umount uname uniq usleep vi watch wc which whoami xargs yes`
  .trim()
  .split(/\s+/);

/** Whether the daemon has the image. */
export async function hasImage(image, { socketPath = "/var/run/docker.sock" } = {}) {
  const { status } = await call({ socketPath, method: "GET", path: `/images/${image}/json` });
  return status === 200;
}

/**
 * Makes `image` when the daemon lacks it.
 * `files` is `{ "/www/index.html": "…" }`; `changes` are Dockerfile instructions (CMD, EXPOSE, …).
 * Without a static busybox on this machine, the public `busybox:stable` is pulled to build on.
 */
export async function ensureBusyboxImage(
  image,
  { socketPath = "/var/run/docker.sock", files = {}, changes = [] } = {},
) {
  if (await hasImage(image, { socketPath })) return;
  const dir = mkdtempSync(join(tmpdir(), "mini-kube-image-"));
  try {
    for (const [path, content] of Object.entries(files)) await put(join(dir, "rootfs", path), content);
    const busybox = staticBusybox();
    if (busybox) await importRootfs({ socketPath, image, changes, rootfs: join(dir, "rootfs"), busybox });
    else await buildOnPublicImage({ socketPath, image, changes, dir });
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Debian's busybox-static, or one put there by hand. */
function staticBusybox() {
  return ["/bin/busybox", "/usr/bin/busybox", "/usr/local/bin/busybox"].find((p) => existsSync(p) && isStaticElf(p));
}

/** A 64-bit ELF file without a PT_INTERP program header needs no dynamic linker. */
function isStaticElf(path) {
  const file = readFileSync(path);
  if (file.length < 64 || file.toString("latin1", 0, 5) !== "\x7fELF\x02") return false;
  const [offset, size, count] = [Number(file.readBigUInt64LE(32)), file.readUInt16LE(54), file.readUInt16LE(56)];
  const PT_INTERP = 3;
  return Array.from({ length: count }, (_, i) => file.readUInt32LE(offset + i * size)).every((t) => t !== PT_INTERP);
}

async function importRootfs({ socketPath, image, changes, rootfs, busybox }) {
  await mkdir(join(rootfs, "bin"), { recursive: true });
  await copyFile(busybox, join(rootfs, "bin/busybox"));
  await chmod(join(rootfs, "bin/busybox"), 0o755);
  for (const applet of APPLETS) await symlink("busybox", join(rootfs, "bin", applet));
  await put(join(rootfs, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n");
  await put(join(rootfs, "etc/group"), "root:x:0:\nnogroup:x:65534:\n");
  for (const empty of ["root", "tmp", "var/run", "www"]) await mkdir(join(rootfs, empty), { recursive: true });
  await chmod(join(rootfs, "tmp"), 0o1777);
  const [repo, tag] = splitTag(image);
  const query = new URLSearchParams({ fromSrc: "-", repo, tag });
  for (const change of ["ENV PATH=/bin", ...changes]) query.append("changes", change);
  await post({ socketPath, path: `/images/create?${query}`, dir: rootfs });
}

async function buildOnPublicImage({ socketPath, image, changes, dir }) {
  try {
    await post({ socketPath, path: "/images/create?fromImage=busybox&tag=stable" });
  } catch (e) {
    throw new Error(
      `${image} needs a static busybox or an image registry, and there is neither; on Debian: apt-get install busybox-static`,
      { cause: e },
    );
  }
  await mkdir(join(dir, "rootfs"), { recursive: true });
  await writeFile(join(dir, "Dockerfile"), ["FROM busybox:stable", "COPY rootfs /", ...changes, ""].join("\n"));
  await post({ socketPath, path: `/build?${new URLSearchParams({ t: image })}`, dir });
}

async function put(path, content) {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
}

function splitTag(image) {
  const at = image.lastIndexOf(":");
  return [image.slice(0, at), image.slice(at + 1)];
}

/** Sends `dir` as an archive; the daemon tells of failures in a line of its answer, too. */
async function post({ socketPath, path, dir }) {
  const archive =
    dir && spawn("tar", ["-C", dir, "--numeric-owner", "-cf", "-", "."], { stdio: ["ignore", "pipe", "inherit"] });
  const { status, body } = await call({ socketPath, method: "POST", path, input: archive?.stdout });
  const failure = body
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => JSON.parse(line))
    .find((line) => line.error ?? (status >= 400 && line.message));
  if (failure || status >= 400) throw new Error(`Docker: ${failure?.error ?? failure?.message ?? `status ${status}`}`);
}

function call({ socketPath, method, path, input }) {
  return new Promise((resolve, reject) => {
    const headers = input ? { "content-type": "application/x-tar" } : {};
    const request = http.request({ socketPath, method, path, headers }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (d) => (body += d));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body }));
      response.on("error", reject);
    });
    request.on("error", reject);
    if (input) input.on("error", reject).pipe(request);
    else request.end();
  });
}
