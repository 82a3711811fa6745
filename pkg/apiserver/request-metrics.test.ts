import { EventEmitter } from "node:events";
import type { ServerResponse } from "node:http";
import { expect, test } from "@jest/globals";
import { onPath, onResource } from "../api/rbac/attributes.ts";
import { FakeClock } from "../util/fake-clock.ts";
import { type Asked, RequestMetrics } from "./request-metrics.ts";

const me = { name: "me", groups: [] };

class Fixture {
  readonly clock = new FakeClock(0);
  readonly metrics = new RequestMetrics({ clock: this.clock, objects: () => [["pods", 3]] });

  begin(asked: Asked) {
    const res = Object.assign(new EventEmitter(), { statusCode: 200 });
    const following = this.metrics.follow(res as unknown as ServerResponse, () => asked);
    following.known();
    following.known();
    return res;
  }

  async lines(): Promise<string[]> {
    return (await this.metrics.text()).split("\n");
  }
}

test("requests are counted when they are over, by what they were", async () => {
  const f = new Fixture();
  const get = f.begin({
    attributes: onResource(me, "get", { resource: "pods", namespace: "a", name: "web" }),
    version: "v1",
  });
  const list = f.begin({
    attributes: onResource(me, "list", { apiGroup: "apps", resource: "deployments" }),
    version: "v1",
  });
  const create = f.begin({ attributes: onResource(me, "create", { resource: "pods", namespace: "a" }), version: "v1" });
  f.begin({ attributes: onPath(me, "get", "/metrics"), version: "" }).emit("close");
  expect(await f.lines()).toContain('apiserver_current_inflight_requests{request_kind="readOnly"} 2');
  expect(await f.lines()).toContain('apiserver_current_inflight_requests{request_kind="mutating"} 1');
  await f.clock.advance(30);
  get.emit("close");
  list.emit("close");
  create.statusCode = 409;
  create.emit("close");
  const lines = await f.lines();
  const pods = 'group="",version="v1",resource="pods",subresource="",scope="resource",component="apiserver"';
  for (const line of [
    `apiserver_request_total{verb="GET",${pods},code="200"} 1`,
    `apiserver_request_total{verb="POST",${pods},code="409"} 1`,
    'apiserver_request_total{verb="LIST",group="apps",version="v1",resource="deployments",subresource="",scope="cluster",component="apiserver",code="200"} 1',
    'apiserver_request_total{verb="GET",group="",version="",resource="",subresource="",scope="",component="apiserver",code="200"} 1',
    `apiserver_request_duration_seconds_sum{verb="GET",${pods}} 0.03`,
    'apiserver_current_inflight_requests{request_kind="readOnly"} 0',
    'apiserver_storage_objects{resource="pods"} 3',
  ])
    expect(lines).toContain(line);
});

test("what goes on for long is told while it does, and is no slow request", async () => {
  const f = new Fixture();
  const watch = f.begin({ attributes: onResource(me, "watch", { resource: "pods" }), version: "v1" });
  const labels =
    'verb="WATCH",group="",version="v1",resource="pods",subresource="",scope="cluster",component="apiserver"';
  expect(await f.lines()).toContain(`apiserver_longrunning_requests{${labels}} 1`);
  await f.clock.advance(600_000);
  watch.emit("close");
  const lines = await f.lines();
  expect(lines).toContain(`apiserver_longrunning_requests{${labels}} 0`);
  expect(lines).toContain(`apiserver_request_total{${labels},code="200"} 1`);
  expect(lines.filter((l) => l.startsWith("apiserver_request_duration_seconds"))).toEqual([]);
});
