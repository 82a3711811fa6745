import { expect, test } from "@jest/globals";
import { createServer } from "node:net";
import { systemClock } from "../../util/clock.ts";
import { parseIpv4Cidr } from "../../util/ipv4.ts";
import { dialer, Reachability, type Target } from "./reachability.ts";

const target = (n: number, way: Target["way"]): Target => ({
  name: `node-${n}`,
  ip: `192.168.1.${n}`,
  podCidr: parseIpv4Cidr(`10.244.${n}.0/24`) ?? { base: 0, prefix: 32 },
  way,
});

test("one lost packet is no news; a second is, once; and that it is over is, too", async () => {
  const silent = new Set<string>();
  const asked: string[] = [];
  const all = new Reachability((host) => {
    asked.push(host);
    return Promise.resolve(!silent.has(host));
  });
  const look = () => all.look("192.168.1.9", [target(2, "route"), target(3, "vxlan")]);
  expect(await look()).toEqual([]);
  expect(asked).toEqual(["10.244.2.1", "10.244.3.1"]);
  silent.add("10.244.3.1");
  expect(await look()).toEqual([]);
  expect(await look()).toEqual([
    {
      reachable: false,
      message:
        "Pods of node node-3 are not reached (vxlan): no answer from 10.244.3.1; does a firewall drop UDP port 8472 between 192.168.1.9 and 192.168.1.3?",
    },
  ]);
  expect(await look()).toEqual([]);
  silent.clear();
  expect(await look()).toEqual([{ reachable: true, message: "Pods of node node-3 are reached again" }]);
  expect(await look()).toEqual([]);
});

test("a node that went and came back begins anew", async () => {
  const all = new Reachability(() => Promise.resolve(false));
  await all.look("192.168.1.9", [target(2, "route")]);
  await all.look("192.168.1.9", []);
  expect(await all.look("192.168.1.9", [target(2, "route")])).toEqual([]);
});

test("that nobody listens is an answer", async () => {
  const dial = dialer(systemClock);
  const server = createServer();
  const port = await new Promise<number>((resolve) =>
    server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port)),
  );
  expect(await dial("127.0.0.1", port)).toBe(true);
  await new Promise((resolve) => server.close(resolve));
  expect(await dial("127.0.0.1", port)).toBe(true);
});
