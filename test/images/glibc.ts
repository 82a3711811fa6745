import { copyFileSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { hasImage } from "../../cmd/dev/busybox-image.mjs";
import { runOk } from "../harness/process.ts";
import { BUSYBOX_IMAGE, ensureTestImages } from "./images.ts";

/** Looks names up as programs of most images do: with glibc, by `getent`. All else is busybox. */
export const GLIBC_IMAGE = "mini-kube/glibc:1";
/** Runs this machine's own Node.js, at the same place. */
export const NODE_IMAGE = "mini-kube/node:1";

/** Makes the image of this machine's own glibc, where the daemon lacks it. */
export function ensureGlibcImage(socketPath?: string): Promise<string> {
  return ensureImageWith("/usr/bin/getent", GLIBC_IMAGE, socketPath);
}

export function ensureNodeImage(socketPath?: string): Promise<string> {
  return ensureImageWith(realpathSync(process.execPath), NODE_IMAGE, socketPath);
}

/** A program of this machine with the libraries that it is linked with, on top of busybox. */
async function ensureImageWith(program: string, image: string, socketPath = "/var/run/docker.sock"): Promise<string> {
  await ensureTestImages(socketPath);
  if (await hasImage(image, { socketPath })) return image;
  const dir = mkdtempSync(join(tmpdir(), "mk-image-"));
  try {
    const libraries = (await runOk("ldd", [program])).match(/\/\S+\.so\S*/g) ?? [];
    for (const file of [program, ...libraries]) {
      const copy = join(dir, "rootfs", file);
      mkdirSync(dirname(copy), { recursive: true });
      copyFileSync(file, copy);
    }
    writeFileSync(join(dir, "rootfs/nsswitch.conf"), "hosts: files dns\n");
    const path = `ENV PATH=/bin:/usr/bin:${dirname(program)}`;
    const steps = [`FROM ${BUSYBOX_IMAGE}`, "COPY rootfs /", "RUN mv /nsswitch.conf /etc/", path];
    writeFileSync(join(dir, "Dockerfile"), `${steps.join("\n")}\n`);
    await runOk("docker", ["-H", `unix://${socketPath}`, "build", "-q", "-t", image, dir]);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
  return image;
}
