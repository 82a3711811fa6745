import { randomUUID } from "node:crypto";
import { describe, expect, test } from "@jest/globals";
import { seededRandom } from "../../util/clock.ts";
import { ensureTestImages } from "../../../test/images/images.ts";
import { type Behaviour, describeRuntime } from "../conformance.ts";
import type { LogChunk } from "../runtime.ts";
import { DockerApi } from "./api.ts";
import { dialProgram } from "./dial.ts";
import { DockerRuntime } from "./docker.ts";
import { canLowerOomScore } from "./oom-score.ts";
import { pauseProgram, tarOf } from "./pause.ts";
import { framed } from "./streams.ts";

const signal = new AbortController().signal;

function command(b: Behaviour): readonly string[] {
  if (b.notFound) return ["nope"];
  const script = [
    b.ignoreTerm ? "trap '' TERM" : "trap 'exit 143' TERM",
    ...(b.logs ?? []).map((line) => `echo ${line}`),
    ...(b.listens === "echo" ? ["nc -ll -p 8080 -e cat &"] : []),
    ...(b.listens === "localhost" ? ["httpd -p 127.0.0.1:8080 -h /tmp"] : []),
    ...(b.oom ? ["exec dd if=/dev/zero of=/dev/null bs=64M"] : []),
    b.exit === undefined ? "while true; do sleep 1 & wait; done" : `exit ${b.exit}`,
  ];
  return ["sh", "-c", script.join("\n")];
}

const image = ensureTestImages().then((images) => images.busybox);

describeRuntime("docker", async () => {
  const owner = { clusterId: `test-${randomUUID()}`, nodeName: "node" };
  const runtime = new DockerRuntime(owner);
  const daemon = new DockerApi({});
  return {
    runtime,
    again: () => new DockerRuntime(owner),
    network: "10.239",
    image: await image,
    missingImage: "localhost:1/missing:1",
    command,
    settle: (p) => p,
    kill: (id) => daemon.request({ method: "POST", path: `/containers/${id}/kill`, signal }),
    removeBehindBack: (id) =>
      daemon.request({ method: "DELETE", path: `/containers/${id}`, query: { force: true }, signal }),
    async dispose() {
      for (const pod of await runtime.listPods(signal)) {
        await Promise.all(pod.containers.map((c) => runtime.removeContainer(c.id, signal)));
        if (pod.sandbox) await runtime.removeSandbox(pod.sandbox.id, signal);
      }
    },
  };
});

describe("DockerRuntime without a daemon", () => {
  test("RuntimeUnavailable, to be tried again", async () => {
    const runtime = new DockerRuntime({ clusterId: "c", nodeName: "n", socketPath: "/nowhere/docker.sock" });
    await expect(runtime.listPods(signal)).rejects.toMatchObject({ reason: "RuntimeUnavailable", retryable: true });
    const events = runtime.events(signal)[Symbol.asyncIterator]();
    await expect(events.next()).rejects.toMatchObject({ reason: "RuntimeUnavailable" });
  });
});

describe("OOM score", () => {
  test("can be lowered unless the machine lacks CAP_SYS_RESOURCE", () => {
    expect(canLowerOomScore("CapBnd:\t000001ffffffffff\n")).toBe(true);
    expect(canLowerOomScore("CapBnd:\t000001fffeffffff\n")).toBe(false);
    expect(canLowerOomScore("")).toBe(true);
  });
});

describe("streams", () => {
  test("frames come apart however the network cuts them", () => {
    const frame = (stream: number, text: string) => {
      const header = Buffer.alloc(8);
      header[0] = stream;
      header.writeUInt32BE(text.length, 4);
      return Buffer.concat([header, Buffer.from(text)]);
    };
    const wire = Buffer.concat([frame(1, "one "), frame(2, "oops"), frame(1, ""), frame(1, "two")]);
    const random = seededRandom(7);
    for (let round = 0; round < 100; round++) {
      const out = { stdout: "", stderr: "" };
      const demultiplex = framed();
      for (let at = 0; at < wire.length;) {
        const size = 1 + Math.floor(random() * 9);
        for (const c of demultiplex(wire.subarray(at, at + size))) out[c.stream] += Buffer.from(c.data).toString();
        at += size;
      }
      expect(out).toEqual({ stdout: "one two", stderr: "oops" });
    }
  });
});

describe("the sandbox's programs", () => {
  test("is a static executable for its machine, in an archive that tar reads", () => {
    for (const [architecture, machine] of [
      ["amd64", 0x3e],
      ["arm64", 0xb7],
    ] as const) {
      const program = pauseProgram(architecture);
      expect(program.subarray(0, 4).toString("latin1")).toBe("\x7fELF");
      expect(program.readUInt16LE(18)).toBe(machine);
      const dial = dialProgram(architecture);
      expect(dial.readUInt16LE(18)).toBe(machine);
      const tar = tarOf({ pause: program, dial });
      expect(tar.length % 512).toBe(0);
      expect(tar.subarray(512, 512 + program.length)).toEqual(program);
      const second = 512 + Math.ceil(program.length / 512) * 512;
      expect(tar.subarray(second, second + 5).toString()).toBe("dial\0");
      expect(tar.subarray(second + 512, second + 512 + dial.length)).toEqual(dial);
    }
  });

  test("leaves on TERM at once, with code 0", async () => {
    const runtime = new DockerRuntime({ clusterId: `test-${randomUUID()}`, nodeName: "node" });
    const { id } = await runtime.createSandbox(
      {
        uid: randomUUID(),
        name: "pause",
        namespace: "default",
        attempt: 0,
        hostname: "pause",
        hostNetwork: false,
        ports: [],
        shareProcessNamespace: false,
      },
      signal,
    );
    try {
      const { ip } = await runtime.startSandbox(id, signal);
      expect(ip).toBeDefined();
      await runtime.stopContainer(id, 600, signal);
      const inspected = await runtime.api.request<{ State: object }>({ path: `/containers/${id}/json`, signal });
      expect(inspected.State).toMatchObject({ Status: "exited", ExitCode: 0 });
    } finally {
      await runtime.removeSandbox(id, signal);
    }
  });
});

describe("large output", () => {
  test("a reader that stops reading stops the writer, and gets it all when it goes on", async () => {
    const runtime = new DockerRuntime({ clusterId: `test-${randomUUID()}`, nodeName: "node" });
    const pod = { uid: randomUUID(), name: "big", namespace: "default", attempt: 0 };
    const sandbox = await runtime.createSandbox(
      { ...pod, hostname: "big", hostNetwork: false, ports: [], shareProcessNamespace: false },
      signal,
    );
    const { id } = await runtime.createContainer(
      {
        podUid: pod.uid,
        podName: pod.name,
        podNamespace: pod.namespace,
        sandboxId: sandbox.id,
        name: "main",
        attempt: 0,
        image: await image,
        command: ["sh", "-c", "while true; do sleep 1 & wait; done"],
        env: [],
        mounts: [],
        resources: {},
        security: {},
        tty: false,
        stdin: false,
        specHash: "",
      },
      signal,
    );
    /** The bytes that the program has written, as soon as two looks at it find the same; rejects when it has ended. */
    const writtenAtRest = async (program: string) => {
      const command = ["sh", "-c", `grep wchar /proc/$(pidof ${program})/io`];
      for (let last = ""; ;) {
        const look = await runtime.exec(id, { command, tty: false, stdin: false }, signal);
        let now = "";
        for await (const chunk of look.output as AsyncIterable<LogChunk>) now += chunk.data.toString();
        expect(await look.exitCode).toBe(0);
        if (now === last) return Number(now.split(" ")[1]);
        last = now;
      }
    };
    try {
      await runtime.startSandbox(sandbox.id, signal);
      await runtime.startContainer(id, signal);
      const size = 20 * 2 ** 20;
      const o = { command: ["head", "-c", String(size), "/dev/zero"], tty: false, stdin: false };
      const session = await runtime.exec(id, o, signal);
      const output = (session.output as AsyncIterable<LogChunk>)[Symbol.asyncIterator]();
      let received = (await output.next()).value.data.length;
      expect(await writtenAtRest("head")).toBeLessThan(size);
      for (let next = await output.next(); !next.done; next = await output.next()) received += next.value.data.length;
      expect([received, await session.exitCode]).toEqual([size, 0]);
    } finally {
      await runtime.removeContainer(id, signal);
      await runtime.removeSandbox(sandbox.id, signal);
    }
  });
});
