/** `images`, `image` and `logs --gone` against the agents' own side of it, with fake runtimes in place of nodes. */
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable, Writable } from "node:stream";
import { toApiError } from "../agent/answers.ts";
import { serveImages } from "../agent/image-requests.ts";
import type { KeptLogEntry } from "../api/kept-logs.ts";
import { singleKubeconfig, writeKubeconfig } from "../client/kubeconfig.ts";
import { FakeRuntime } from "../runtime/fake.ts";
import { RuntimeError } from "../runtime/runtime.ts";
import { systemClock } from "../util/clock.ts";
import { included } from "./build-context.ts";
import { humanSize, rowsOf } from "./commands/images.ts";
import { runCli } from "./program.ts";

const NOW = Date.parse("2026-01-02T00:00:00Z");
const signal = new AbortController().signal;

/** As much of an API server as these commands see: its nodes, and the way to their agents. */
class FakeApi {
  readonly nodes = new Map<string, FakeRuntime>();
  readonly kept = new Map<string, { readonly log: KeptLogEntry; readonly text: string }>();
  readonly #server: Server = createServer((req, res) => void this.#answer(req, res));

  async listen(): Promise<string> {
    await new Promise<void>((done) => this.#server.listen(0, "127.0.0.1", done));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    const closed = new Promise((done) => this.#server.close(done));
    this.#server.closeAllConnections();
    await closed;
  }

  async #answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const { pathname, searchParams: query } = new URL(req.url ?? "", "http://x");
    if (pathname === "/api/v1/nodes")
      return json(res, 200, { metadata: {}, items: [...this.nodes.keys()].map((name) => ({ metadata: { name } })) });
    const [, node = "", verb = "", what = ""] =
      /^\/api\/v1\/nodes\/([^/]+)\/proxy\/([^/]+)\/?(.*)$/.exec(pathname) ?? [];
    const runtime = this.nodes.get(node);
    const kept = this.kept.get(node);
    if (verb === "keptLogs") return json(res, 200, { logs: kept ? [kept.log] : [] });
    if (verb === "containerLogs" && kept) return void res.end(`${query.get("uid")} ${kept.text}`);
    if (verb !== "images" || !runtime) return json(res, 404, status("NotFound", `pods "${what}" not found`, 404));
    try {
      await serveImages({ runtime, pods: { workers: () => [] } }, { req, res, what, query, signal });
    } catch (error) {
      const { message, reason, code } = toApiError(error);
      json(res, code, status(reason, message, code));
    }
  }
}

const status = (reason: string, message: string, code: number) => {
  const kind = { kind: "Status", status: "Failure" };
  return { ...kind, reason, message, code };
};

const json = (res: ServerResponse, code: number, body: object) =>
  void res.writeHead(code, { "content-type": "application/json" }).end(JSON.stringify(body));

let api: FakeApi;
let home: string;

beforeEach(async () => {
  api = new FakeApi();
  home = mkdtempSync(join(tmpdir(), "mini-kube-cli-"));
  writeKubeconfig(join(home, "kubeconfig"), singleKubeconfig("test", { server: await api.listen() }));
  for (const name of ["n1", "n2", "n3"])
    api.nodes.set(
      name,
      new FakeRuntime({ clock: systemClock, images: name === "n1" ? ["app:1", "base:1"] : ["base:1"] }),
    );
});
afterEach(async () => {
  await api.close();
  rmSync(home, { recursive: true, force: true });
});

async function cli(words: readonly string[], stdin = ""): Promise<{ code: number; out: string; err: string }> {
  const [out, err]: Buffer[][] = [[], []];
  const sink = (to: Buffer[] = []) => new Writable({ write: (part: Buffer, _, done) => (to.push(part), done()) });
  const io = {
    stdin: Readable.from([Buffer.from(stdin)]),
    stdout: sink(out),
    stderr: sink(err),
    env: { MINI_KUBE_HOME: home },
    userHome: home,
    clock: systemClock,
    signal,
  };
  const code = await runCli(words, { io });
  return { code, out: Buffer.concat(out ?? []).toString(), err: Buffer.concat(err ?? []).toString() };
}

const on = async (node: string) => [...((await api.nodes.get(node)?.listImages(signal)) ?? [])].flatMap((i) => i.names);

describe("images", () => {
  test("of every node, by name, as a table and as data", async () => {
    const { out } = await cli(["images", "app"]);
    expect(out).toMatch(/^NODE +IMAGE +TAG +ID +SIZE +USED BY\nn1 +app +1 +fake-app:1 +1MB +<none>\n$/);
    const { nodes } = JSON.parse((await cli(["images", "-o", "json"])).out) as {
      nodes: { images: { names: string[] }[] }[];
    };
    expect(nodes.map((n) => n.images.flatMap((i) => i.names))).toEqual([["app:1", "base:1"], ["base:1"], ["base:1"]]);
    expect((await cli(["images", "--node", "n2", "--no-headers"])).out).toMatch(/^n2 +base +1 +\S+ +1MB +<none>\n$/);
  });

  test("one node that does not answer hides no other", async () => {
    api.nodes.get("n2")?.failNext("listImages", new RuntimeError("RuntimeUnavailable", "Docker does not answer"));
    const { code, out, err } = await cli(["images", "base"]);
    expect({ code, nodes: out.match(/^n\d/gm) }).toEqual({ code: 1, nodes: ["n1", "n3"] });
    expect(err).toBe("Error from server (ServiceUnavailable): Docker does not answer\n");
  });

  test("a row for each tag, with its users", () => {
    const image = {
      id: "sha256:0123456789abcdef",
      names: ["host:5000/app:1", "app:2", "app@sha256:feed"],
      sizeBytes: 1_234_567,
      createdAt: NOW - 3_600_000,
      usedBy: ["a", "b", "c", "d"].map((name) => ({ namespace: "x", name })),
    };
    const rest = ["0123456789ab", "1.23MB", "x/a,x/b,x/c,+1 more", "60m", "sha256:feed"];
    expect(rowsOf(image, NOW)).toEqual([
      ["host:5000/app", "1", ...rest],
      ["app", "2", ...rest],
    ]);
    expect(rowsOf({ ...image, names: [], usedBy: [] }, NOW)[0]?.slice(0, 2)).toEqual(["<none>", "<none>"]);
  });

  test.each([
    [0, "0B"],
    [999, "999B"],
    [1000, "1kB"],
    [1_500_000, "1.5MB"],
    [2e12, "2TB"],
    [3e15, "3000TB"],
  ])("%d bytes are %s", (bytes, text) => expect(humanSize(bytes)).toBe(text));
});

describe("image", () => {
  test("load: from the input onto every node, or from a file onto some", async () => {
    const { code, err } = await cli(["image", "load", "-"], "new:1\n");
    expect(code).toBe(0);
    expect(err.split("\n").toSorted()).toEqual(["", ...["n1", "n2", "n3"].map((n) => `${n}: Loaded image: new:1`)]);
    writeFileSync(join(home, "a.tar"), "other:1\n");
    await cli(["image", "load", join(home, "a.tar"), "--node", "n2"]);
    expect([await on("n1"), await on("n2")]).toEqual([
      ["app:1", "base:1", "new:1"],
      ["base:1", "new:1", "other:1"],
    ]);
  });

  test("load: what one node refuses, the others take", async () => {
    api.nodes.get("n2")?.failNext("loadImages", new RuntimeError("RuntimeError", "no space left on device"));
    const { code, err } = await cli(["image", "load", "-"], "new:1\n");
    expect(code).toBe(1);
    expect(err).toContain("error: node n2: no space left on device\n");
    expect([await on("n1"), await on("n2"), await on("n3")].map((names) => names.includes("new:1"))).toEqual([
      true,
      false,
      true,
    ]);
  });

  test("copy: from the node that has it to those that lack it, or to those named", async () => {
    expect(await cli(["image", "copy", "app:1", "--to", "n3"])).toMatchObject({
      code: 0,
      out: "app:1 copied from n1 to n3\n",
    });
    expect((await cli(["image", "copy", "app:1"])).out).toBe("app:1 copied from n1 to n2\n");
    expect((await cli(["image", "copy", "app:1"])).out).toBe("app:1 is on every node already\n");
    expect(await on("n2")).toContain("app:1");
    expect((await cli(["image", "copy", "nothing:1"])).err).toBe(
      "error: no nothing:1 on any node; see: mini-kube images\n",
    );
    expect((await cli(["image", "copy", "app:1", "--to", "n9"])).err).toBe(
      "error: no node n9; there are: n1, n2, n3\n",
    );
  });

  test("build: on the first node, then onto the others", async () => {
    mkdirSync(join(home, "src"));
    writeFileSync(join(home, "src", "Dockerfile"), "FROM base:1\n");
    const { code, out, err } = await cli(["image", "build", join(home, "src"), "-t", "built:1"]);
    expect({ code, out }).toEqual({ code: 0, out: "built:1 built on n1, n2, n3\n" });
    expect(err).toMatch(/Sending build context: \d{4,} bytes/);
    for (const node of ["n1", "n2", "n3"]) expect(await on(node)).toContain("built:1");
    const outside = await cli(["image", "build", join(home, "src"), "-t", "x", "-f", "../Dockerfile"]);
    expect(outside.err).toMatch(/-f \.\.\/Dockerfile: it must be within the directory/);
  });

  test.each<[string, string[]]>([
    ["", ["a", "d", "d/b", "d/c", "Dockerfile"]],
    ["d\n", ["a", "Dockerfile"]],
    ["d\n!d/b\n", ["a", "d", "d/b", "Dockerfile"]],
    ["*\n!a\n", ["a", "Dockerfile"]],
    ["**/b\n# c\n", ["a", "d", "d/c", "Dockerfile"]],
  ])("what .dockerignore %j leaves", (rules, left) => {
    const wanted = included(["a", "d", "d/b", "d/c", "Dockerfile"], rules, ["Dockerfile"]);
    expect([...wanted].filter(Boolean).toSorted()).toEqual(left.toSorted());
  });
});

describe("logs of a Pod that is gone", () => {
  const entry = (uid: string, endedAt: number): KeptLogEntry => {
    const container = { namespace: "default", pod: "web", container: "app" };
    return { ...container, uid, endedAt, attempt: 0, sizeBytes: 3 };
  };

  test("the newest of that name, wherever it was", async () => {
    api.kept.set("n1", { log: entry("old", NOW - 1000), text: "long ago\n" });
    api.kept.set("n3", { log: entry("new", NOW), text: "last words\n" });
    const { out, err } = await cli(["logs", "--gone", "web"]);
    expect(out).toBe("new last words\n");
    expect(err).toBe('Pod "web" is gone from node n3 since 2026-01-02T00:00:00.000Z; this is what it said:\n');
    expect((await cli(["logs", "--gone", "web", "-c", "other"])).err).toMatch(
      /no log of container other was kept, but of: app/,
    );
  });

  test("when none was kept, it says so", async () => {
    expect((await cli(["logs", "--gone", "web"])).err).toBe('error: no log was kept of a Pod "web"\n');
  });
});
