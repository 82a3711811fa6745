import { expect, test } from "@jest/globals";
import { canonicalImage, defaultPullPolicy, parseImage } from "./image.ts";

const digest = `sha256:${"0".repeat(64)}`;

test.each([
  ["nginx", "docker.io/library/nginx:latest"],
  ["nginx:1.27", "docker.io/library/nginx:1.27"],
  ["bitnami/redis", "docker.io/bitnami/redis:latest"],
  ["index.docker.io/library/nginx", "docker.io/library/nginx:latest"],
  ["localhost/a", "localhost/a:latest"],
  ["localhost:5000/a:b", "localhost:5000/a:b"],
  ["registry.k8s.io/pause:3.10", "registry.k8s.io/pause:3.10"],
  ["[::1]:5000/a", "[::1]:5000/a:latest"],
  [`nginx@${digest}`, `docker.io/library/nginx@${digest}`],
  [`nginx:1@${digest}`, `docker.io/library/nginx:1@${digest}`],
  ["a__b/c-d.e", "docker.io/a__b/c-d.e:latest"],
])("%s is %s", (text, name) => {
  const parsed = parseImage(text);
  expect(parsed.ok && canonicalImage(parsed.image)).toBe(name);
});

test.each([
  ["", "invalid reference format"],
  ["nginx:", "invalid tag"],
  ["nginx: latest", "invalid tag"],
  ["Nginx", "repository name (library/Nginx) must be lowercase"],
  ["nginx@sha256:12", "invalid digest"],
  ["a//b", "invalid reference format"],
  ["http://nginx", "invalid"],
  ["-a.b/c", "invalid registry"],
  [`a/${"b".repeat(255)}`, "more than 255 characters"],
])("%s is refused", (text, reason) => {
  const parsed = parseImage(text);
  expect(parsed.ok ? "" : parsed.reason).toContain(reason);
});

test.each([
  ["nginx", "Always"],
  ["nginx:latest", "Always"],
  ["nginx:1.27", "IfNotPresent"],
  [`nginx@${digest}`, "IfNotPresent"],
  ["localhost:5000/nginx", "Always"],
  ["NOT VALID", "IfNotPresent"],
])("%s is pulled %s", (text, policy) => {
  expect(defaultPullPolicy(text)).toBe(policy);
});
