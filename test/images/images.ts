import { ensureBusyboxImage, hasImage } from "../../cmd/dev/busybox-image.mjs";
import { DockerApi } from "../../pkg/runtime/docker/api.ts";
import { Images, PAUSE_IMAGE } from "../../pkg/runtime/docker/images.ts";
import { systemClock } from "../../pkg/util/clock.ts";

/** Stands in for the public image of that name, where there is none. */
export const BUSYBOX_IMAGE = "busybox:1.36";

/** The images that tests and benchmarks run, made where they are missing; no registry is asked. */
export async function ensureTestImages(
  socketPath = "/var/run/docker.sock",
): Promise<{ sandbox: string; busybox: string }> {
  await ensureBusyboxImage(BUSYBOX_IMAGE, { socketPath, changes: ['CMD ["sh"]'] });
  if (!(await hasImage(PAUSE_IMAGE, { socketPath }))) {
    await new Images(new DockerApi({ socketPath }), systemClock).makeSandboxImage(
      PAUSE_IMAGE,
      AbortSignal.timeout(60_000),
    );
  }
  return { sandbox: PAUSE_IMAGE, busybox: BUSYBOX_IMAGE };
}
