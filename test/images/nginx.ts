import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { hasImage } from "../../cmd/dev/busybox-image.mjs";
import { runOk } from "../harness/process.ts";
import { BUSYBOX_IMAGE, ensureTestImages } from "./images.ts";

/** Stands in for the public image of that name: Debian's nginx on busybox. */
export const NGINX_IMAGE = "nginx:1.22";

/** Makes the image from Debian's package and this machine's libraries, where the daemon lacks it; nothing is installed. */
export async function ensureNginxImage(socketPath = "/var/run/docker.sock"): Promise<string> {
  await ensureTestImages(socketPath);
  if (await hasImage(NGINX_IMAGE, { socketPath })) return NGINX_IMAGE;
  const dir = mkdtempSync(join(tmpdir(), "mk-image-"));
  const root = join(dir, "rootfs");
  try {
    const downloaded = { cwd: dir, deadline: 120_000 };
    await runOk("apt-get", ["download", "nginx", "nginx-common"], downloaded).catch(async () => {
      await runOk("apt-get", ["update"], downloaded);
      await runOk("apt-get", ["download", "nginx", "nginx-common"], downloaded);
    });
    for (const deb of readdirSync(dir).filter((f) => f.endsWith(".deb"))) {
      await runOk("dpkg-deb", ["-x", join(dir, deb), root]);
    }
    const libraries = (await runOk("ldd", [join(root, "usr/sbin/nginx")])).match(/\/\S+\.so\S*/g) ?? [];
    for (const file of libraries) {
      const copy = join(root, file);
      mkdirSync(dirname(copy), { recursive: true });
      copyFileSync(file, copy);
    }
    for (const empty of ["etc/nginx/conf.d", "var/log/nginx", "var/lib/nginx", "run", "var/cache/nginx"]) {
      mkdirSync(join(root, empty), { recursive: true });
    }
    writeFileSync(join(root, "etc/nginx/nginx.conf"), CONFIG);
    const steps = [
      `FROM ${BUSYBOX_IMAGE}`,
      "COPY rootfs /",
      "ENV PATH=/bin:/usr/bin:/usr/sbin",
      "STOPSIGNAL SIGQUIT",
      'CMD ["nginx", "-g", "daemon off;"]',
    ];
    writeFileSync(join(dir, "Dockerfile"), `${steps.join("\n")}\n`);
    await runOk("docker", ["-H", `unix://${socketPath}`, "build", "-q", "-t", NGINX_IMAGE, dir]);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
  return NGINX_IMAGE;
}

/** As the public image has it: everything else is in conf.d. */
const CONFIG = `user nobody nogroup;
worker_processes 1;
pid /run/nginx.pid;
error_log /dev/stderr notice;
events { worker_connections 512; }
http {
  access_log off;
  keepalive_timeout 65;
  include /etc/nginx/conf.d/*.conf;
}
`;
