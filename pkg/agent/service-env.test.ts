import { expect, test } from "@jest/globals";
import type { ServiceSpec } from "../api/generated/types.ts";
import { serviceVariables } from "./service-env.ts";

const service = (name: string, spec: ServiceSpec) => ({ metadata: { name, namespace: "default" }, spec });
const variables = (...services: ReturnType<typeof service>[]) => Object.fromEntries(serviceVariables(services));

test("of a Service with two ports", () => {
  const ports = [
    { name: "sql", port: 5432 },
    { name: "log-in", port: 514, protocol: "UDP" },
  ];
  expect(variables(service("my-db", { clusterIP: "10.0.0.7", ports }))).toEqual({
    MY_DB_SERVICE_HOST: "10.0.0.7",
    MY_DB_SERVICE_PORT: "5432",
    MY_DB_SERVICE_PORT_SQL: "5432",
    MY_DB_SERVICE_PORT_LOG_IN: "514",
    MY_DB_PORT: "tcp://10.0.0.7:5432",
    MY_DB_PORT_5432_TCP: "tcp://10.0.0.7:5432",
    MY_DB_PORT_5432_TCP_PROTO: "tcp",
    MY_DB_PORT_5432_TCP_PORT: "5432",
    MY_DB_PORT_5432_TCP_ADDR: "10.0.0.7",
    MY_DB_PORT_514_UDP: "udp://10.0.0.7:514",
    MY_DB_PORT_514_UDP_PROTO: "udp",
    MY_DB_PORT_514_UDP_PORT: "514",
    MY_DB_PORT_514_UDP_ADDR: "10.0.0.7",
  });
});

test("an address of IPv6 stands in brackets", () => {
  expect(variables(service("six", { clusterIP: "fd00::1", ports: [{ port: 80 }] }))["SIX_PORT"]).toBe(
    "tcp://[fd00::1]:80",
  );
});

test.each<ServiceSpec>([
  { clusterIP: "None", ports: [{ port: 80 }] },
  { type: "ExternalName", externalName: "example.org" },
  { clusterIP: "10.0.0.8" },
])("none of %j", (spec) => expect(variables(service("s", spec))).toEqual({}));
