import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { bootstrapTokenSecret } from "../../api/bootstrap-token.ts";
import { secrets } from "../../api/kinds/core/secret.ts";
import { nameOf } from "../../api/object.ts";
import { rfc3339 } from "../../util/clock.ts";
import { startControlPlane } from "../testing/control-plane.ts";

const HOUR = 3_600_000;
const token = { id: "abc123", secret: "0123456789abcdef" };

let c: Awaited<ReturnType<typeof startControlPlane>>;
beforeEach(async () => {
  c = await startControlPlane();
});
afterEach(() => c.end());

test("at its end a token is removed; one without end, one that was prolonged, and other Secrets stay", async () => {
  const tokens = c.client.resource(secrets, "kube-system");
  const names = async () => (await tokens.list()).items.map(nameOf);
  const expiration = rfc3339(c.clock.now() + HOUR);
  await tokens.create(bootstrapTokenSecret({ ...token, expiration }));
  await tokens.create(bootstrapTokenSecret({ ...token, id: "yyy888", expiration }));
  await tokens.create(bootstrapTokenSecret({ ...token, id: "zzz999" }));
  await tokens.create({ metadata: { name: "bootstrap-token-other" }, stringData: { expiration } });
  await c.clock.advance(HOUR - 5_000);
  expect(await names()).toContain("bootstrap-token-abc123");
  const later = { stringData: { expiration: rfc3339(c.clock.now() + HOUR) } };
  await tokens.patch("bootstrap-token-yyy888", "application/merge-patch+json", later);
  await c.clock.advance(10_000);
  const staying = ["bootstrap-token-other", "bootstrap-token-zzz999"];
  expect(await names()).toEqual([staying[0], "bootstrap-token-yyy888", staying[1]]);
  await c.clock.advance(HOUR);
  expect(await names()).toEqual(staying);
});
