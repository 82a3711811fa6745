/** Pods that say who they are and whom they see, to ask through a Service: `/cgi-bin/who`. */

/** Ends at once when it is told to, and answers nothing more: only the proxies spare its clients. */
const WHO = String.raw`mkdir -p /tmp/www/cgi-bin && cd /tmp/www && printf '#!/bin/sh\nprintf "Content-type: text/plain\\r\\n\\r\\n$(hostname) $REMOTE_ADDR\\n"\n' >cgi-bin/who && chmod +x cgi-bin/who && { trap "kill %1; exit" TERM; httpd -f -p 8080 -h /tmp/www & wait; }`;

export const WHO_PATH = "/cgi-bin/who";
export const WHO_LABELS = { app: "web" };

/** `web`, of so many Pods; `pod`: more of their spec. */
export const whoDeployment = (replicas: number, pod: object = {}) => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "web" },
  spec: {
    replicas,
    selector: { matchLabels: WHO_LABELS },
    strategy: { rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
    template: {
      metadata: { labels: WHO_LABELS },
      spec: {
        terminationGracePeriodSeconds: 10,
        containers: [
          {
            name: "web",
            image: "busybox:1.36",
            command: ["sh", "-c", WHO],
            ports: [{ name: "http", containerPort: 8080 }],
            readinessProbe: { httpGet: { path: WHO_PATH, port: "http" }, periodSeconds: 1 },
          },
        ],
        ...pod,
      },
    },
  },
});

/** Of an answer: httpd writes an IPv4 address as `[::ffff:10.0.0.1]` or `[10.0.0.1]`. */
export function parseWho(answer: string): readonly [pod: string, client: string] {
  const [pod = "", client = ""] = answer.trim().split(" ");
  return [pod, client.replace(/^\[(::ffff:)?|\]$/g, "")];
}
