import { expect, test } from "@jest/globals";
import type { IncomingMessage } from "node:http";
import { configMaps } from "../../api/kinds/core/configmap.ts";
import { REMOVED_NODES } from "../../api/removed-nodes.ts";
import { SKEW_MS } from "../../util/pki.ts";
import { viewOf } from "../admission/testing/requests.ts";
import { refuseRemoved } from "./removed-nodes.ts";

const REMOVED = "2026-01-02T00:00:00Z";
const at = Date.parse(REMOVED);
const map = { metadata: REMOVED_NODES, data: { n1: REMOVED } };
const node = (name: string) => ({ name: `system:node:${name}`, groups: ["system:nodes", "system:authenticated"] });

/** Of a connection whose certificate was issued then: it holds from a little before. */
function request(issuedAt: number): IncomingMessage {
  const getPeerCertificate = () => ({ valid_from: new Date(issuedAt - SKEW_MS).toUTCString() });
  return { socket: { getPeerCertificate } } as unknown as IncomingMessage;
}

const check = (user: ReturnType<typeof node>, issuedAt: number) => () =>
  refuseRemoved(request(issuedAt), user, viewOf([configMaps, map]));

test("a node's certificate of before its removal is refused", () => {
  const said = "the node n1 was removed from the cluster; join again with a new token";
  expect(check(node("n1"), at - 1000)).toThrow(said);
});

test.each<[string, ReturnType<typeof node>, number]>([
  ["the same node, after it has joined again", node("n1"), at + 1000],
  ["another node", node("n2"), at - 1000],
  ["somebody who only has its name", { name: "system:node:n1", groups: [] }, at - 1000],
])("%s is not", (_, user, issuedAt) => {
  expect(check(user, issuedAt)).not.toThrow();
});

test("a connection that stands when the node is removed is refused, too", () => {
  const req = request(at - 1000);
  expect(refuseRemoved(req, node("n1"), viewOf())).toBeUndefined();
  expect(() => refuseRemoved(req, node("n1"), viewOf([configMaps, map]))).toThrow("was removed");
});
