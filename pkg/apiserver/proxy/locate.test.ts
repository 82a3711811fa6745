import { describe, expect, test } from "@jest/globals";
import type { Endpoints, EndpointSlice, Pod, Service } from "../../api/generated/types.ts";
import { seededRandom } from "../../util/clock.ts";
import { parseProxyName, podPort, servicePort } from "./locate.ts";

describe("names below proxy", () => {
  test.each<[string, string, string, string]>([
    ["web", "http", "web", ""],
    ["web:80", "http", "web", "80"],
    ["web:", "http", "web", ""],
    ["https:web:443", "https", "web", "443"],
    ["https:web:", "https", "web", ""],
    [":web:http", "http", "web", "http"],
  ])("%s", (text, scheme, name, port) => {
    expect(parseProxyName(text, "pod")).toEqual({ scheme, name, port });
  });

  test.each(["", ":80", "ftp:web:80", "http::80", "a:b:c:d"])("invalid: %j", (text) => {
    expect(() => parseProxyName(text, "service")).toThrow(`invalid service request ${JSON.stringify(text)}`);
  });
});

describe("a Pod's port", () => {
  const pod = (...ports: number[]): Pod => ({
    metadata: { name: "web", namespace: "ns" },
    spec: { containers: [{ name: "a" }, { name: "b", ports: ports.map((containerPort) => ({ containerPort })) }] },
  });

  test.each([
    ["named", pod(8080), "web:81", 81],
    ["the first declared", pod(8080, 9090), "web", 8080],
    ["none declared", pod(), "web", 80],
    ["none declared, https", pod(), "https:web:", 443],
  ])("%s", (_, p, name, port) => {
    expect(podPort(p, parseProxyName(name, "pod"))).toEqual({ namespace: "ns", pod: "web", port });
  });

  test.each(["web:http", "web:0", "web:65536"])("invalid: %s", (name) => {
    expect(() => podPort(pod(), parseProxyName(name, "pod"))).toThrow(`invalid pod request "${name}"`);
  });
});

describe("a Service's Pod", () => {
  const service: Service = {
    metadata: { name: "shop", namespace: "ns" },
    spec: { ports: [{ port: 80 }, { name: "admin", port: 9000 }] },
  };
  const ready = (...names: string[]) =>
    names.map((name) => ({ addresses: ["10.0.0.1"], targetRef: { kind: "Pod", name } }));
  const slice = (o: Partial<EndpointSlice>): EndpointSlice => ({
    metadata: { name: "shop-1" },
    addressType: "IPv4",
    ports: [{ port: 8080 }, { name: "admin", port: 9001 }],
    ...o,
  });
  const find = (name: string, slices: EndpointSlice[], endpoints?: Endpoints) =>
    servicePort(service, parseProxyName(name, "service"), { slices, endpoints }, seededRandom(1));

  test("its port is found by number and by name, and is the Pod's own", () => {
    const slices = [slice({ endpoints: ready("a") })];
    expect(find("shop", slices)).toEqual({ namespace: "ns", pod: "a", port: 8080 });
    expect(find("shop:80", slices).port).toBe(8080);
    expect(find("shop:9000", slices).port).toBe(9001);
    expect(find("shop:admin", slices).port).toBe(9001);
  });

  test("only ready Pods, each of them some time", () => {
    const random = seededRandom(7);
    const endpoints = [
      ...ready("a", "b"),
      { addresses: ["10.0.0.9"], conditions: { ready: false }, targetRef: { kind: "Pod", name: "c" } },
      { addresses: ["1.2.3.4"] },
    ];
    const slices = [slice({ endpoints }), slice({ endpoints: ready("d") })];
    const asked = parseProxyName("shop", "service");
    const chosen = Array.from(
      { length: 100 },
      () => servicePort(service, asked, { slices, endpoints: undefined }, random).pod,
    );
    expect(new Set(chosen)).toEqual(new Set(["a", "b", "d"]));
  });

  test("Endpoints serve where there are no slices", () => {
    const endpoints: Endpoints = {
      metadata: { name: "shop" },
      subsets: [{ addresses: [{ ip: "10.0.0.1", targetRef: { kind: "Pod", name: "old" } }], ports: [{ port: 7 }] }],
    };
    expect(find("shop", [], endpoints)).toEqual({ namespace: "ns", pod: "old", port: 7 });
  });

  test.each([
    ["shop", "no endpoints available for service"],
    ["shop:8", "no service port 8 found for service"],
    ["shop:none", "no endpoints available for service"],
  ])("none: %s", (name, message) => {
    expect(() => find(name, [slice({ endpoints: [] })])).toThrow(
      expect.objectContaining({ code: 503, message: `${message} "shop"` }),
    );
  });
});
