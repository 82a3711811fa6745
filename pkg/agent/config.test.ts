import { describe, expect, test } from "@jest/globals";
import type { Container, PodSpec } from "../api/generated/types.ts";
import { containerConfig } from "./config.ts";
import { Harness, podOf } from "./testing/harness.ts";

function configOf(c: Partial<Container>, o: { spec?: Partial<PodSpec>; imageUser?: string } = {}) {
  const pod = podOf("web", [c], o.spec);
  const of = { lookup: () => undefined, hostIP: "192.168.0.1", podIP: undefined, allocatable: {}, nodeMemory: 0 };
  const { imageUser } = o;
  const image = imageUser === undefined ? {} : { imageUser };
  const container = pod.spec?.containers[0] ?? { name: "" };
  return containerConfig({ ...of, pod, container, attempt: 0, sandboxId: "s", mounts: { mounts: [] }, ...image });
}

describe("runAsNonRoot", () => {
  const nonRoot = { runAsNonRoot: true };
  const where = '(pod: "web_default(web-uid)", container: c0)';

  test.each([
    ["", "container has runAsNonRoot and image will run as root"],
    ["0", "container has runAsNonRoot and image will run as root"],
    ["0:0", "container has runAsNonRoot and image will run as root"],
    ["nginx", "container has runAsNonRoot and image has non-numeric user (nginx), cannot verify user is non-root"],
  ])("refuses an image that runs as %j", (imageUser, why) =>
    expect(() => configOf({ securityContext: nonRoot }, { imageUser })).toThrow(`${why} ${where}`),
  );

  test("refuses root by the Pod's own word", () => {
    const spec = { securityContext: { ...nonRoot, runAsUser: 0 } };
    expect(() => configOf({}, { spec })).toThrow(`container's runAsUser breaks non-root policy ${where}`);
  });

  test("is content with a number other than 0, from the image or the spec", () => {
    expect(configOf({ securityContext: nonRoot }, { imageUser: "101:101" }).security).toEqual({});
    expect(configOf({ securityContext: { ...nonRoot, runAsUser: 7 } }).security).toEqual({ user: "7" });
  });

  test("can be switched off for one container", () => {
    expect(
      configOf({ securityContext: { runAsNonRoot: false } }, { spec: { securityContext: nonRoot } }).security,
    ).toEqual({});
  });

  test("knows what the image says", async () => {
    await using h = new Harness();
    h.start();
    const securityContext = nonRoot;
    h.create("named", [{ image: "user:nginx", securityContext }]);
    h.create("numbered", [{ image: "user:1000", securityContext }]);
    await h.untilRunning("numbered");
    expect(h.pod("named")?.status?.containerStatuses?.[0]?.state?.waiting).toMatchObject({
      reason: "CreateContainerConfigError",
      message: expect.stringContaining("non-numeric user (nginx)") as unknown,
    });
  });
});
