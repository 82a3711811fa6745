/** The image of manifests/hello.yaml: busybox httpd with one page, on port 8080. */
import { ensureBusyboxImage } from "./busybox-image.mjs";

export const HELLO_IMAGE = "mini-kube/hello:1";

const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Hello from mini-kube</title>
<style>
  :root { color-scheme: light dark }
  body { font: 1.1rem/1.6 system-ui, sans-serif; max-width: 38rem; margin: 15vh auto; padding: 0 1.5rem }
  h1 { font-size: 2.6rem; line-height: 1.1; margin: 0 0 1rem }
  code { padding: .1em .35em; border-radius: .3em; background: color-mix(in srgb, currentColor 10%, transparent) }
</style>
<h1>Hello from mini-kube</h1>
<p>This page comes out of a Pod: <code>busybox httpd</code> in a container that shares its network with a second one.</p>
<p>Kill it, with <code>docker kill</code> or by any other means, and load this page again.</p>
</html>
`;

/** Makes the image when the daemon lacks it. */
export function ensureHelloImage({ socketPath } = {}) {
  return ensureBusyboxImage(HELLO_IMAGE, {
    ...(socketPath ? { socketPath } : {}),
    files: { "/www/index.html": PAGE },
    changes: ["EXPOSE 8080", 'CMD ["httpd","-f","-p","8080","-h","/www"]'],
  });
}
