import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { hasImage } from "../../cmd/dev/busybox-image.mjs";
import { runOk } from "../harness/process.ts";
import { BUSYBOX_IMAGE, ensureTestImages } from "./images.ts";

/** Looks names up as programs of most images do: with glibc, by `getent`. All else is busybox. */
export const GLIBC_IMAGE = "mini-kube/glibc:1";

const GETENT = "/usr/bin/getent";

/** Makes the image of this machine's own glibc, where the daemon lacks it. */
export async function ensureGlibcImage(socketPath = "/var/run/docker.sock"): Promise<string> {
  await ensureTestImages(socketPath);
  if (await hasImage(GLIBC_IMAGE, { socketPath })) return GLIBC_IMAGE;
  const dir = mkdtempSync(join(tmpdir(), "mk-image-"));
  try {
    const libraries = (await runOk("ldd", [GETENT])).match(/\/\S+\.so\S*/g) ?? [];
    for (const file of [GETENT, ...libraries]) {
      const copy = join(dir, "rootfs", file);
      mkdirSync(dirname(copy), { recursive: true });
      copyFileSync(file, copy);
    }
    writeFileSync(join(dir, "rootfs/nsswitch.conf"), "hosts: files dns\n");
    const steps = [`FROM ${BUSYBOX_IMAGE}`, "COPY rootfs /", "RUN mv /nsswitch.conf /etc/", "ENV PATH=/bin:/usr/bin"];
    writeFileSync(join(dir, "Dockerfile"), `${steps.join("\n")}\n`);
    await runOk("docker", ["-H", `unix://${socketPath}`, "build", "-q", "-t", GLIBC_IMAGE, dir]);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
  return GLIBC_IMAGE;
}
